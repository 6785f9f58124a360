package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// scenario is one row of the table in docs/performance.md.
type scenario struct {
	name string
	text string
	mode mode
	load load // producing
	pull int  // > 0: pull batches of so many instead, after a backlog was sent

	follow  bool // consume what is produced
	members bool // three, acknowledged by a majority
	pop     acking
}

const topic, queues = "contrail_bench", 4

func produceLoad(conns, inFlight, size int) load {
	return load{topic: topic, queues: queues, conns: conns, inFlight: inFlight, size: size}
}

func openLoad(rate int) load {
	return load{topic: topic, queues: queues, conns: 16, rate: rate, size: 1024}
}

var scenarios = []scenario{
	{"1a", "pipelined produce, page cache, 4x64, 1 KB", pageCache, produceLoad(4, 64, 1024), 0, false, false, noPop},
	{"1b", "pipelined produce, page cache, 4x64, 128 B", pageCache, produceLoad(4, 64, 128), 0, false, false, noPop},
	{"2a", "durable produce, fdatasync, 4x64, 1 KB", synced, produceLoad(4, 64, 1024), 0, false, false, noPop},
	{"2b", "durable produce, fdatasync, 16x1, 1 KB", synced, produceLoad(16, 1, 1024), 0, false, false, noPop},
	{"3a", "three members, fdatasync on a majority, 4x64, 1 KB", synced, produceLoad(4, 64, 1024), 0, false, true, noPop},
	{"3b", "three members, fdatasync on a majority, 4x256, 1 KB", synced, produceLoad(4, 256, 1024), 0, false, true, noPop},
	{"3c", "three members, fdatasync on a majority, 4x64, 128 B", synced, produceLoad(4, 64, 128), 0, false, true, noPop},
	{"4a", "one in flight, page cache, 16x1, 1 KB", pageCache, produceLoad(16, 1, 1024), 0, false, false, noPop},
	{"4b", "one in flight, page cache, 64x1, 1 KB", pageCache, produceLoad(64, 1, 1024), 0, false, false, noPop},
	{"4c", "three members, one in flight, fdatasync on a majority, 16x1, 1 KB", synced, produceLoad(16, 1, 1024), 0, false, true, noPop},
	{"4d", "three members, one in flight, fdatasync on a majority, 64x1, 1 KB", synced, produceLoad(64, 1, 1024), 0, false, true, noPop},
	{"5a", "open loop 1 000/s, page cache, 1 KB", pageCache, openLoad(1000), 0, false, false, noPop},
	{"5b", "open loop 8 000/s, page cache, 1 KB", pageCache, openLoad(8000), 0, false, false, noPop},
	{"5c", "open loop 20 000/s, page cache, 1 KB", pageCache, openLoad(20000), 0, false, false, noPop},
	{"5d", "open loop 4 000/s, fdatasync, 1 KB", synced, openLoad(4000), 0, false, false, noPop},
	{"5e", "three members, open loop 2 000/s, fdatasync on a majority, 1 KB", synced, openLoad(2000), 0, false, true, noPop},
	{"5f", "three members, open loop 4 000/s, fdatasync on a majority, 1 KB", synced, openLoad(4000), 0, false, true, noPop},
	{"6a", "hot pull, 32 in a request, 1 KB", pageCache, produceLoad(4, 64, 1024), 32, false, false, noPop},
	{"6b", "hot pull, 512 asked in a request, 1 KB", pageCache, produceLoad(4, 64, 1024), 512, false, false, noPop},
	{"6d", "pop 32 and an ack for each, 16 connections, 1 KB", pageCache, produceLoad(4, 64, 1024), 32, false, false, ackEach},
	{"6e", "pop 32 and one ack for all, 16 connections, 1 KB", pageCache, produceLoad(4, 64, 1024), 32, false, false, ackAll},
	{"6f", "pop 32 and an ack for each, fdatasync, 16 connections, 1 KB", synced, produceLoad(4, 64, 1024), 32, false, false, ackEach},
}

// window is what one target did in one measured stretch.
type window struct {
	Target      string  `json:"target"`
	PerSecond   float64 `json:"messagesPerSecond"`
	CPUMicros   float64 `json:"serverCPUMicrosPerMessage"`
	OwnMicros   float64 `json:"generatorCPUMicrosPerMessage"`
	Steal       float64 `json:"stealPercent"`
	P50         float64 `json:"p50Millis"`
	P99         float64 `json:"p99Millis"`
	P999        float64 `json:"p999Millis"`
	Max         float64 `json:"maxMillis"`
	MemoryBytes int64   `json:"residentBytes"`
	Refused     uint64  `json:"refused"`
	Refusal     string  `json:"refusal,omitempty"`
}

// measure loads one target: first unmeasured, then for a window.
func (s *scenario) measure(t *target, warm, length time.Duration) (window, error) {
	var measuring atomic.Bool
	stop, done := make(chan struct{}), make(chan error, 1)
	var r *result
	var wg sync.WaitGroup
	for q := range queues {
		if s.follow {
			wg.Add(1)
			go func() {
				defer wg.Done()
				if err := follow(t, q, stop); err != nil {
					fmt.Fprintln(os.Stderr, "contrail-bench: consumer:", err)
				}
			}()
		}
	}
	defer wg.Wait()
	go func() {
		var err error
		if s.pop != noPop {
			r, err = popAll(t.addr, topic, s.pull, s.pop, &measuring, stop)
		} else if s.pull > 0 {
			r, err = consume(t.addr, topic, queues, s.pull, &measuring, stop)
		} else {
			r, err = produce(t.addr, s.load, &measuring, stop)
		}
		done <- err
	}()
	select {
	case err := <-done:
		return window{}, fmt.Errorf("%s: ended before it was measured: %w", t.name, err)
	case <-time.After(warm):
	}
	before, err := read(t.pid, t.others...)
	if err != nil {
		return window{}, err
	}
	measuring.Store(true)
	time.Sleep(length)
	measuring.Store(false)
	after, err := read(t.pid, t.others...)
	close(stop)
	if e := <-done; e != nil {
		return window{}, e
	}
	if err != nil {
		return window{}, err
	}
	return newWindow(t.name, r, before, after), nil
}

func newWindow(name string, r *result, before, after usage) window {
	n := float64(max(r.messages, 1))
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return window{
		Target: name, PerSecond: float64(r.messages) / after.at.Sub(before.at).Seconds(),
		CPUMicros: float64((after.cpu - before.cpu).Microseconds()) / n, OwnMicros: float64((after.own - before.own).Microseconds()) / n,
		Steal: stealPercent(before, after), P50: ms(r.latencies.quantile(0.5)), P99: ms(r.latencies.quantile(0.99)),
		P999: ms(r.latencies.quantile(0.999)), Max: ms(r.latencies.max), MemoryBytes: after.rss, Refused: r.refused, Refusal: r.refusal,
	}
}

// primed is how many messages of 1 KB a server stores before it is measured: the first file of a new log is made in a hurry, unlike all
// later ones.
const primed = 160 << 10

// prepare makes the topic and, for pulls, a backlog of about n messages in each queue.
func (s *scenario) prepare(t *target, n uint64) error {
	if t.name == "floor" { // it makes its files as it goes on, the first like the others
		return nil
	}
	if err := createTopic(t.addr, topic, queues); err != nil {
		return err
	}
	if s.pull == 0 {
		return store(t, produceLoad(4, 64, 1024), primed)
	}
	return store(t, s.load, n*queues)
}

// store sends at least n messages.
func store(t *target, l load, n uint64) error {
	var on atomic.Bool
	on.Store(true)
	for sent := uint64(0); sent < n; {
		stop := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(stop) })
		r, err := produce(t.addr, l, &on, stop)
		if err != nil {
			return err
		}
		sent += r.messages
	}
	return nil
}
