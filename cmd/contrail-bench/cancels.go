package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// Cancels that race: messages are due in batches, a second apart; half of them are cancelled, and half of those within a second of their due time.
const (
	cancelBatches = 20
	cancelWorkers = 64
	cancelsTopic  = "Cancels"

	cancelsPerSecond = 4000            // that the workers do for sure
	cancelsMiss      = 3 * time.Second // after the last due time, until all that comes has come
)

// cancelled is one message that is cancelled, and what was answered.
type cancelled struct {
	key     uint64
	due     int64
	races   bool // it is cancelled within a second of its due time
	at      time.Time
	outcome string
}

// cancels sends, cancels, reads what came, and tells what was wrong: a cancelled message that came, one that did not come though it was not cancelled, or twice.
func (s *timers) cancels() error {
	if s.cancelled <= 0 {
		return nil
	}
	first, list, due, err := s.cancelLoad()
	if err != nil {
		return err
	}
	s.cancelAll(list)
	time.Sleep(time.Until(time.UnixMilli(due[len(due)-1].due)) + cancelsMiss)
	came := map[uint64]int{}
	for q := range queues {
		if err := s.each(cancelsTopic, q, func(v message.View) {
			id := string(message.Property(v.Properties(), message.PropUniqKey))
			if n, err := strconv.ParseUint(id[len(id)-16:], 16, 64); err == nil {
				came[n]++
			}
		}); err != nil {
			return err
		}
	}
	return s.tellCancels(first, list, came)
}

// batchDue is up to which key messages are due when.
type batchDue struct {
	to  uint64
	due int64
}

func (s *timers) cancelLoad() (first uint64, list []*cancelled, batches []batchDue, err error) {
	first = keys.Load() + 1
	began := time.Now()
	window := s.window
	defer func() { s.window = window }()
	s.window = max(50*time.Millisecond, time.Duration(s.cancelled/cancelBatches)*time.Second/100_000)
	lead := time.Duration(s.cancelled/4) * time.Second / cancelsPerSecond // those that do not race are to be through before the race
	for b := range cancelBatches {
		from := keys.Load() + 1
		due := began.Add(cancelBatches*(s.window+200*time.Millisecond) + lead + time.Duration(3+b)*time.Second).UnixMilli()
		l := produceLoad(4, 64, 1024)
		l.topic, l.due = cancelsTopic, func() int64 { return due }
		if _, _, _, err = s.sent(l); err != nil {
			return first, nil, nil, err
		}
		batches = append(batches, batchDue{keys.Load(), due})
		for key := from; key <= keys.Load(); key++ {
			switch key % 4 {
			case 0:
				list = append(list, &cancelled{key: key, due: due, at: time.Now()})
			case 1:
				list = append(list, &cancelled{key: key, due: due, races: true, at: time.UnixMilli(due).Add(rand.N(2*time.Second) - time.Second)})
			}
		}
	}
	slices.SortFunc(list, func(a, b *cancelled) int { return a.at.Compare(b.at) })
	return first, list, batches, nil
}

func (s *timers) cancelAll(list []*cancelled) {
	var mu sync.Mutex
	next := 0
	take := func() *cancelled {
		mu.Lock()
		defer mu.Unlock()
		if next == len(list) {
			return nil
		}
		next++
		return list[next-1]
	}
	var running sync.WaitGroup
	for range cancelWorkers {
		running.Go(func() {
			c := rpc.Client{Addr: s.node.addr, Timeout: 10 * time.Second}
			defer c.Close()
			for k := take(); k != nil; k = take() {
				time.Sleep(time.Until(k.at))
				k.cancel(&c)
			}
		})
	}
	running.Wait()
}

func (k *cancelled) cancel(c *rpc.Client) {
	handle := service.RecallHandle(cancelsTopic, "broker-a", k.due, fmt.Sprintf("%s%016X", keyPrefix, k.key))
	f, err := c.Do(wire.RecallMessage, []rpc.Field{{Name: "producerGroup", Value: "bench_producer"}, {Name: "topic", Value: cancelsTopic}, {Name: "recallHandle", Value: handle}}, nil)
	switch {
	case err != nil:
		k.outcome = "?"
	case f.Code == 0:
		k.outcome = service.RecallCancelled
	default:
		k.outcome = service.RecallOutcome(string(f.Remark))
	}
}

func (s *timers) tellCancels(first uint64, list []*cancelled, came map[uint64]int) error {
	outcomes := map[string]int{}
	of := map[uint64]string{}
	races, won := 0, 0
	for _, k := range list {
		outcomes[k.outcome]++
		if k.races {
			races++
			if k.outcome == service.RecallCancelled {
				won++
			}
		}
		of[k.key] = k.outcome
	}
	wrong, total := 0, 0
	for key := first; key <= keys.Load(); key++ {
		total++
		want := 1
		if of[key] == service.RecallCancelled {
			want = 0
		}
		if came[key] != want && of[key] != "?" {
			wrong++
		}
	}
	fmt.Fprintf(s.out, "cancels: %d messages, %d cancelled in time (%d of the %d that race), %d too late, %d with another answer; wrong outcomes %d   must: 0\n",
		total, outcomes[service.RecallCancelled], won, races, outcomes[service.RecallTooLate], len(list)-outcomes[service.RecallCancelled]-outcomes[service.RecallTooLate], wrong)
	return nil
}

// keepAll lets nothing be deleted: what waits would be stored again before.
func keepAll(conf string) error {
	b, err := os.ReadFile(conf)
	if err != nil {
		return err
	}
	return os.WriteFile(conf, []byte(strings.Replace(string(b), "keepBytes: 8589934592", "keepBytes: 0", 1)), 0o644)
}

// pile sends scheduled messages until so many wait.
func (s *timers) pile() error {
	if s.pending <= 0 {
		return nil
	}
	c := rpc.Client{Addr: s.node.addr, Timeout: 10 * time.Second}
	defer c.Close()
	l := produceLoad(4, 64, 1024)
	l.topic = s.scheduledTopic
	l.due = func() int64 { return time.Now().Add(time.Hour + rand.N(year-2*time.Hour)).UnixMilli() }
	began, sent := time.Now(), uint64(0)
	for {
		w, err := s.waiting(&c)
		if err != nil {
			return err
		}
		if int64(w.Pending) >= s.pending {
			u, err := read(s.node.pid)
			fmt.Fprintf(s.out, "pending: %d wait, %.0f/s taken, %d MiB of memory   must: 400 MiB at 10 million\n", w.Pending, float64(sent)/time.Since(began).Seconds(), u.rss>>20)
			return err
		}
		n, _, _, err := s.sent(l)
		if err != nil {
			return err
		}
		sent += n
	}
}
