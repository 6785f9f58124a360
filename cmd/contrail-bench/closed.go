package main

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/wire"
)

// load says what a producing window does.
type load struct {
	topic    string
	queues   int
	conns    int
	inFlight int // of each connection; closed loop
	rate     int // per second of all connections; open loop when > 0
	size     int // of a body
	json     bool
	due      func() int64 // when the next message is to be delivered, ms; nil: at once
}

// result is what one window gave.
type result struct {
	messages  uint64
	refused   uint64
	latencies hist
	refusal   string
}

var keys atomic.Uint64 // UNIQ_KEYs given out

// produce runs connections until stop is closed and tells what was acknowledged while measuring was on.
func produce(addr string, l load, measuring *atomic.Bool, stop chan struct{}) (*result, error) {
	var wg sync.WaitGroup
	results, errs := make([]result, l.conns), make([]error, l.conns)
	for i := range l.conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if l.rate > 0 {
				errs[i] = openConn(addr, l, i, stop, func(f *wire.Frame, planned time.Time) { results[i].count(f, planned, measuring) })
			} else {
				errs[i] = closedConn(addr, l, i, measuring, stop, &results[i])
			}
		}()
	}
	wg.Wait()
	total := &result{}
	for i := range results {
		if errs[i] != nil {
			return nil, fmt.Errorf("connection %d to %s: %w", i, addr, errs[i])
		}
		total.messages += results[i].messages
		total.refused += results[i].refused
		total.latencies.merge(&results[i].latencies)
		if results[i].refusal != "" {
			total.refusal = results[i].refusal
		}
	}
	return total, nil
}

// closedConn keeps inFlight requests on the way: as many as were answered by one read are sent with the next write.
func closedConn(addr string, l load, i int, measuring *atomic.Bool, stop chan struct{}, r *result) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	t := newTemplate(l.topic, i%l.queues, l.size, l.json, l.due != nil)
	sent := make([]time.Time, l.inFlight)
	free := make([]uint32, l.inFlight)
	for s := range free {
		free[s] = uint32(s)
	}
	in := answers{conn: conn}
	var out []byte
	for stopping := false; ; {
		select {
		case <-stop:
			stopping = true
		default:
		}
		if !stopping {
			out = out[:0]
			now := time.Now()
			for _, slot := range free {
				if out = t.append(out, 1_000_000_000+slot, keys.Add(1), l.json); l.due != nil {
					t.setDue(out, l.due())
				}
				sent[slot] = now
			}
			free = free[:0]
			if _, err := conn.Write(out); err != nil {
				return err
			}
		}
		if len(free) == l.inFlight {
			return nil
		}
		if err := in.next(func(f *wire.Frame) error {
			slot := uint32(f.Opaque) - 1_000_000_000
			if int(slot) >= l.inFlight {
				return fmt.Errorf("answer to request %d, which was not sent", f.Opaque)
			}
			free = append(free, slot)
			r.count(f, sent[slot], measuring)
			return nil
		}); err != nil {
			return err
		}
	}
}

func (r *result) count(f *wire.Frame, sent time.Time, measuring *atomic.Bool) {
	if !measuring.Load() {
		return
	}
	if f.Code != 0 {
		r.refused++
		r.refusal = fmt.Sprintf("code %d: %.200s", f.Code, f.Remark)
		return
	}
	r.messages++
	r.latencies.add(time.Since(sent))
}
