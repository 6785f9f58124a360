package metrics

import (
	"sync/atomic"
)

// latencyBounds are the upper bounds of rocketmq_rpc_latency in µs; the last bucket has none. RocketMQ's, in ms.
var latencyBounds = [...]int64{1_000, 3_000, 5_000, 7_000, 10_000, 100_000, 1_000_000, 2_000_000, 3_000_000}

// latencySlots is the size of the table of (request, response, long polling): a power of two, several times what exists.
// Half of it is used at most, so that a probe is short; what comes later is counted together.
const (
	latencySlots = 1024
	latencyMax   = latencySlots / 2
)

// RPCLatency counts how long requests take. Observe may be called from any goroutine; the zero value is ready.
type RPCLatency struct {
	table [latencySlots]atomic.Pointer[latency]
	used  atomic.Int64
	rest  latency // of codes for which there is no place
}

// latency is the histogram of one kind of request.
type latency struct {
	code, response int32
	held           bool
	buckets        [len(latencyBounds) + 1]atomic.Uint64
	micros         atomic.Int64
}

// Observe counts a request with its answer. It does not allocate, but for the first of a kind.
func (r *RPCLatency) Observe(code, response int32, micros int64, longPolling bool) {
	l := r.find(code, response, longPolling)
	micros = max(micros, 0)
	i := 0
	for i < len(latencyBounds) && micros > latencyBounds[i] {
		i++
	}
	l.buckets[i].Add(1)
	l.micros.Add(micros)
}

// find gives the histogram of a kind, made when it is the first. Slots are only ever filled, so readers need no lock.
func (r *RPCLatency) find(code, response int32, held bool) *latency {
	var made *latency
	for at := slotOf(code, response, held); ; at = (at + 1) % latencySlots {
		l := r.table[at].Load()
		if l == nil {
			if made == nil {
				if r.used.Add(1) > latencyMax {
					r.used.Add(-1)
					return &r.rest
				}
				made = &latency{code: code, response: response, held: held}
			}
			if r.table[at].CompareAndSwap(nil, made) {
				return made
			}
			l = r.table[at].Load()
		}
		if l.code == code && l.response == response && l.held == held {
			if made != nil {
				r.used.Add(-1) // another goroutine was first
			}
			return l
		}
	}
}

func slotOf(code, response int32, held bool) uint32 {
	h := uint32(code)*2654435761 ^ uint32(response)*40503
	if held {
		h ^= 0x9e3779b9
	}
	return (h ^ h>>15) % latencySlots
}

// each calls f for every kind that was seen.
func (r *RPCLatency) each(f func(l *latency, rest bool)) {
	for i := range r.table {
		if l := r.table[i].Load(); l != nil {
			f(l, false)
		}
	}
	f(&r.rest, true)
}

// cumulative gives the histogram as Prometheus wants it, in ms.
func (l *latency) cumulative() (count uint64, sum float64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, len(latencyBounds))
	for i := range l.buckets {
		count += l.buckets[i].Load()
		if i < len(latencyBounds) {
			buckets[float64(latencyBounds[i])/1000] = count
		}
	}
	return count, float64(l.micros.Load()) / 1000, buckets
}
