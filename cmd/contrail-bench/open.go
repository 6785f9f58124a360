package main

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/wire"
)

const openSlots = 1 << 16

// openConn sends at planned times, whatever the answers do; latency counts from the planned time, so that a server that
// stalls cannot hide it. count is called for each answer by one goroutine.
func openConn(addr string, l load, i int, stop chan struct{}, count func(f *wire.Frame, planned time.Time)) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	planned := make([]atomic.Int64, openSlots)
	var outstanding atomic.Int64
	var wg sync.WaitGroup
	var readErr error
	wg.Add(1)
	go func() {
		defer wg.Done()
		in := answers{conn: conn}
		for readErr == nil {
			readErr = in.next(func(f *wire.Frame) error {
				at := planned[(uint32(f.Opaque)-1_000_000_000)%openSlots].Load()
				count(f, time.Unix(0, at))
				outstanding.Add(-1)
				return nil
			})
		}
	}()
	err = l.pace(conn, i, planned, &outstanding, stop)
	for end := time.Now().Add(5 * time.Second); outstanding.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	conn.Close()
	wg.Wait()
	return err
}

func (l load) pace(conn net.Conn, i int, planned []atomic.Int64, outstanding *atomic.Int64, stop chan struct{}) error {
	t := newTemplate(l.topic, i%l.queues, l.size, l.json, l.due != nil)
	gap := time.Duration(float64(time.Second) * float64(l.conns) / float64(l.rate))
	next := time.Now().Add(gap * time.Duration(i) / time.Duration(l.conns))
	var out []byte
	for n := uint32(0); ; {
		select {
		case <-stop:
			return nil
		default:
		}
		time.Sleep(time.Until(next))
		out = out[:0]
		for now := time.Now(); !next.After(now); next = next.Add(gap) {
			planned[n%openSlots].Store(next.UnixNano())
			if out = t.append(out, 1_000_000_000+n%openSlots, keys.Add(1), l.json); l.due != nil {
				t.setDue(out, l.due())
			}
			n++
			outstanding.Add(1)
		}
		if _, err := conn.Write(out); err != nil {
			return err
		}
	}
}
