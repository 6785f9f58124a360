package service

import (
	"sync"
	"time"
)

// rates keeps samples of the totals of the last ten minutes, taken when somebody asks and once every rateEvery.
type rates struct {
	mu      sync.Mutex
	samples []rateSample // oldest first
}

type rateSample struct {
	at      time.Time
	in, out int64
}

const (
	rateEvery  = 5 * time.Second
	rateWindow = 10 * time.Minute
)

func (r *rates) sample(now time.Time, in, out int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.samples); n > 0 && now.Sub(r.samples[n-1].at) < rateEvery {
		return
	}
	for len(r.samples) > 0 && now.Sub(r.samples[0].at) > rateWindow {
		r.samples = r.samples[1:]
	}
	r.samples = append(r.samples, rateSample{now, in, out})
}

// since gives the rates per second over about the last d.
func (r *rates) since(now time.Time, d time.Duration, in, out int64) (perSecondIn, perSecondOut float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.samples) - 1; i >= 0; i-- {
		s := r.samples[i]
		if age := now.Sub(s.at); age >= d || i == 0 && age > 0 {
			return float64(in-s.in) / age.Seconds(), float64(out-s.out) / age.Seconds()
		}
	}
	return 0, 0
}

// Rates are messages per second in and out over the last 10 s, 60 s and 600 s.
func (s *Service) Rates() (in, out [3]float64) {
	now, totalIn, totalOut := time.Now(), s.shard.Counters().Messages.Load(), s.messageOut.Load()
	for i, d := range []time.Duration{10 * time.Second, time.Minute, rateWindow} {
		in[i], out[i] = s.rates.since(now, d, totalIn, totalOut)
	}
	return in, out
}

// RetentionAge is how long messages are kept.
func (s *Service) RetentionAge() time.Duration { return s.opts.RetentionAge }

// EarliestMessage is when the oldest segment kept was begun, ms.
func (s *Service) EarliestMessage() int64 {
	if segs := s.shard.Log().Segments(); len(segs) > 0 {
		return segs[0].CreatedMillis
	}
	return 0
}
