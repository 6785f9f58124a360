package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/contrailmq/contrail/broker/wire"
)

// sample is one answered request of an open loop that is looked at afterwards, in stretches that nobody knew of when it began.
type sample struct {
	planned time.Time
	took    time.Duration
	refusal string
}

// recorder keeps the samples of an open loop, of each connection apart.
type recorder struct {
	load    load
	samples [][]sample
	errs    []error
	stop    chan struct{}
	wg      sync.WaitGroup
}

func record(addr string, l load) *recorder {
	r := &recorder{load: l, samples: make([][]sample, l.conns), errs: make([]error, l.conns), stop: make(chan struct{})}
	for i := range l.conns {
		r.wg.Add(1)
		go func() {
			defer r.wg.Done()
			r.errs[i] = openConn(addr, l, i, r.stop, func(f *wire.Frame, planned time.Time) {
				s := sample{planned: planned, took: time.Since(planned)}
				if f.Code != 0 {
					s.refusal = fmt.Sprintf("code %d: %.200s", f.Code, f.Remark)
				}
				r.samples[i] = append(r.samples[i], s)
			})
		}()
	}
	return r
}

// end waits for what is on the way; samples are complete from then on.
func (r *recorder) end() error {
	close(r.stop)
	r.wg.Wait()
	return errors.Join(r.errs...)
}

// stretch is what requests that were planned in it met with.
type stretch struct {
	text     string
	from, to time.Time
	before   []usage // of each node; the first leads
	after    []usage
}

// latencies are those of acknowledged requests, sorted; then how many were refused, and why the newest of them was.
func (r *recorder) latencies(s *stretch) (took []time.Duration, refused int, refusal string) {
	for _, conn := range r.samples {
		for _, x := range conn {
			switch {
			case x.planned.Before(s.from) || !x.planned.Before(s.to):
			case x.refusal != "":
				refused++
				refusal = x.refusal
			default:
				took = append(took, x.took)
			}
		}
	}
	slices.Sort(took)
	return took, refused, refusal
}

func quantileOf(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
