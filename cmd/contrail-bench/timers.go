package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/wire"
)

// timers is scenario 7: what scheduled messages cost, how late they come, and what a storm and a restart are like.
type timers struct {
	binary, dir    string
	window         time.Duration
	accurate       time.Duration
	rate, rounds   int
	out            io.Writer
	node           *target
	conf           string
	scheduledTopic string
	pending        int64
	cancelled      int
	touchGiB       int64
	stormOf        int64
}

func timersCommand() *cobra.Command {
	var s timers
	c := &cobra.Command{Use: "timers", Short: "Scenario 7, one node, fdatasync, 1 KB: scheduled messages beside normal ones, a storm, lateness, cancels that race, kill -9 with all that waits",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			s.out = cmd.OutOrStdout()
			return s.run()
		}}
	c.Flags().StringVar(&s.binary, "contrail", "bin/contrail", "the program to measure")
	c.Flags().DurationVar(&s.window, "window", 5*time.Second, "how long to send in each window")
	c.Flags().IntVar(&s.rounds, "pairs", 3, "windows of normal and of scheduled messages, in turn")
	c.Flags().DurationVar(&s.accurate, "lateness-for", 20*time.Second, "how long to send messages with random due times")
	c.Flags().IntVar(&s.rate, "lateness-rate", 1000, "a second")
	c.Flags().IntVar(&s.cancelled, "cancels", 0, "about how many messages to send of which half are cancelled, half of those within a second of their due time; 0: none")
	c.Flags().Int64Var(&s.stormOf, "storm", 1_000_000, "how many to send that are due in one ms")
	c.Flags().Int64Var(&s.pending, "pending", 0, "how many shall wait before the node is killed; 10 million are about 13 GB of log")
	c.Flags().Int64Var(&s.touchGiB, "touch", 0, "GiB of free memory to touch before, as of run")
	return c
}

func (s *timers) run() error {
	if err := touchMemory(s.touchGiB << 30); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(".", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s.dir = dir
	conf, addr, err := writeConfig(dir, "timers", synced, "off")
	if err != nil {
		return err
	}
	s.conf = conf
	if err := keepAll(conf); err != nil {
		return err
	}
	if s.node, err = spawn("timers", dir, addr, s.binary, "serve", "--config", conf); err != nil {
		return err
	}
	defer func() { s.node.stop() }()
	s.scheduledTopic = topic + "Scheduled"
	for _, name := range []string{topic, s.scheduledTopic, "Storm", "Late", cancelsTopic} {
		if err := createTopic(addr, name, queues); err != nil {
			return err
		}
	}
	for _, step := range []func() error{s.accept, s.lateness, s.storm, s.cancels, s.pile, s.restart} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// sent is one window of a load: how many were acknowledged, and the node's CPU for each.
func (s *timers) sent(l load) (n uint64, micros float64, rss int64, err error) {
	stop := make(chan struct{})
	time.AfterFunc(s.window, func() { close(stop) })
	return s.sentUntil(l, stop)
}

func (s *timers) sentUntil(l load, stop chan struct{}) (n uint64, micros float64, rss int64, err error) {
	var on atomic.Bool
	on.Store(true)
	before, err := read(s.node.pid)
	if err != nil {
		return 0, 0, 0, err
	}
	r, err := produce(s.node.addr, l, &on, stop)
	if err != nil {
		return 0, 0, 0, err
	}
	after, err := read(s.node.pid)
	if err != nil || r.messages == 0 {
		return 0, 0, 0, fmt.Errorf("%d messages were taken: %s: %w", r.messages, r.refusal, err)
	}
	return r.messages, float64((after.cpu - before.cpu).Microseconds()) / float64(r.messages), after.rss, nil
}

const year = 365 * 24 * time.Hour

// accept sends normal and scheduled messages in turn; the latter are due between an hour and a year from now.
func (s *timers) accept() error {
	normal, scheduled := produceLoad(4, 64, 1024), produceLoad(4, 64, 1024)
	scheduled.topic = s.scheduledTopic
	scheduled.due = func() int64 {
		return time.Now().Add(time.Hour + rand.N(year-2*time.Hour)).UnixMilli()
	}
	if _, _, _, err := s.sent(normal); err != nil { // a warm one
		return err
	}
	var ratios, costs []float64
	var total uint64
	var rss int64
	for range s.rounds {
		_, a, _, err := s.sent(normal)
		if err != nil {
			return err
		}
		n, b, r, err := s.sent(scheduled)
		if err != nil {
			return err
		}
		total, rss, ratios, costs = total+n, r, append(ratios, b/a), append(costs, b)
	}
	slices.Sort(ratios)
	slices.Sort(costs)
	fmt.Fprintf(s.out, "accept: %.2f us a scheduled message, %.2f [%.2f..%.2f] times a normal one   must: 1.5; %d wait, %d MiB of memory\n",
		costs[len(costs)/2], ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1], total, rss>>20)
	return nil
}

// waiting asks for counts.
func (s *timers) waiting(c *rpc.Client) (l inspect.ScheduledList, err error) {
	f, err := c.Do(wire.Scheduled, []rpc.Field{{Name: "limit", Value: "0"}}, nil)
	if err == nil && f.Code != 0 {
		err = fmt.Errorf("code %d %s", f.Code, f.Remark)
	}
	if err == nil {
		err = json.Unmarshal(f.Body, &l)
	}
	return l, err
}

// lateness sends at a steady rate, due within five seconds, and reads when each was stored again.
func (s *timers) lateness() error {
	l := load{topic: "Late", queues: queues, conns: 4, rate: s.rate, size: 1024}
	l.due = func() int64 { return time.Now().Add(100*time.Millisecond + rand.N(5*time.Second)).UnixMilli() }
	var on atomic.Bool
	on.Store(true)
	stop := make(chan struct{})
	time.AfterFunc(s.accurate, func() { close(stop) })
	r, err := produce(s.node.addr, l, &on, stop)
	if err != nil {
		return err
	}
	time.Sleep(6 * time.Second)
	var late []time.Duration
	atOnce := 0 // what a stall made due before it was taken did not wait
	for q := range queues {
		if err := s.each("Late", q, func(v message.View) {
			if due, ok := timer.ParseDue(message.Property(v.Properties(), message.PropTimerOutMillis)); ok {
				late = append(late, time.Duration(v.StoreTime()-due)*time.Millisecond)
			} else {
				atOnce++
			}
		}); err != nil {
			return err
		}
	}
	slices.Sort(late)
	early, _ := slices.BinarySearch(late, 0)
	fmt.Fprintf(s.out, "lateness at %d/s: p50 %s, p99 %s, max %s, early %d; %d sent, %d came, %d of them due already when they were taken   must: 5 ms, 50 ms, early 0\n",
		s.rate, quantileOf(late, 0.5), quantileOf(late, 0.99), quantileOf(late, 1), early, r.messages, len(late)+atOnce, atOnce)
	return nil
}

// each reads a queue to its end.
func (s *timers) each(topic string, queue int, f func(message.View)) error {
	c := rpc.Client{Addr: s.node.addr, Timeout: 10 * time.Second}
	defer c.Close()
	for offset := int64(0); ; {
		var fields []rpc.Field
		for _, x := range pullFields(topic, queue, 32, offset, 4, 0) {
			fields = append(fields, rpc.Field{Name: x[0], Value: x[1]})
		}
		a, err := c.Do(wire.PullMessage, fields, nil)
		if err != nil {
			return err
		}
		if a.Code != 0 {
			return nil
		}
		for b := a.Body; len(b) > 0; {
			v, err := message.Parse(b)
			if err != nil {
				return err
			}
			f(v)
			b = b[len(v):]
		}
		if offset, err = a.Int("nextBeginOffset", 0); err != nil {
			return err
		}
	}
}

// stormSend is how long a storm is sent at most; it is due two seconds later.
const stormSend = 40 * time.Second

// storm sends what is all due in one ms, and watches it being delivered.
func (s *timers) storm() error {
	at := time.Now().Add(stormSend + 2*time.Second).UnixMilli()
	l := produceLoad(4, 64, 1024)
	var asked atomic.Int64
	enough := make(chan struct{})
	l.topic, l.due = "Storm", func() int64 {
		if asked.Add(1) == s.stormOf {
			close(enough)
		}
		return at
	}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		select {
		case <-enough:
		case <-time.After(stormSend):
		}
	}()
	c := rpc.Client{Addr: s.node.addr, Timeout: 10 * time.Second}
	defer c.Close()
	was, err := s.waiting(&c)
	if err != nil {
		return err
	}
	written := writtenBy(s.node.pid)
	n, _, _, err := s.sentUntil(l, stop)
	if err != nil {
		return err
	}
	time.Sleep(time.Until(time.UnixMilli(at)) - 100*time.Millisecond)
	before, err := read(s.node.pid)
	for began := time.Now(); err == nil; time.Sleep(5 * time.Millisecond) {
		now, failed := s.waiting(&c)
		if err = failed; err != nil {
			break
		}
		if now.Fired-was.Fired >= int64(n) {
			after, failed := read(s.node.pid)
			took := time.Since(time.UnixMilli(at))
			fmt.Fprintf(s.out, "storm: %d due in one ms were delivered within %s, %.0f/s, %.2f us each, %.2f times the bodies written   must: 100000/s, 3.1 times\n",
				n, took.Round(time.Millisecond), float64(n)/took.Seconds(), float64((after.cpu-before.cpu).Microseconds())/float64(n),
				float64(writtenBy(s.node.pid)-written)/float64(int64(n)*int64(l.size)))
			return failed
		}
		if time.Since(began) > 2*time.Minute {
			return fmt.Errorf("%d of %d were delivered within two minutes", now.Fired-was.Fired, n)
		}
	}
	return err
}

// restart kills the node with all that waits, and sees how long it takes until it takes a message again, and whether all wait still.
func (s *timers) restart() error {
	c := rpc.Client{Addr: s.node.addr, Timeout: 10 * time.Second}
	was, err := s.waiting(&c)
	c.Close()
	if err != nil {
		return err
	}
	s.node.stop()
	began := time.Now()
	if s.node, err = spawn("timers", s.dir, s.node.addr, s.binary, "serve", "--config", filepath.Clean(s.conf)); err != nil {
		return err
	}
	if err := firstAck(s.node.addr, topic); err != nil {
		return err
	}
	ready := time.Since(began)
	c = rpc.Client{Addr: s.node.addr, Timeout: 10 * time.Second}
	defer c.Close()
	now, err := s.waiting(&c)
	if err != nil {
		return err
	}
	u, err := read(s.node.pid)
	fmt.Fprintf(s.out, "kill -9 with %d that wait: ready after %s, %d wait, %d MiB of memory   must: 5 s\n", was.Pending, ready.Round(time.Millisecond), now.Pending, u.rss>>20)
	return err
}
