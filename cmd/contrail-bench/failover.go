package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

func failoverCommand() *cobra.Command {
	var binary, only, keep string
	var rounds, conns int
	c := &cobra.Command{Use: "failover", Short: "Scenario 9, three members: the longest gap when the leader is killed, stopped, or ends in order", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return failover(cmd.OutOrStdout(), binary, only, keep, rounds, conns)
		}}
	c.Flags().StringVar(&binary, "contrail", "bin/contrail", "the program to measure")
	c.Flags().StringVar(&only, "fault", "", "only faults whose names begin so: kill, SIGSTOP, orderly")
	c.Flags().StringVar(&keep, "keep", "", "folder for data and logs, which stay there; empty: a temporary one")
	c.Flags().IntVar(&rounds, "rounds", 5, "of each fault")
	c.Flags().IntVar(&conns, "conns", 16, "connections with one request in flight")
	return c
}

// steady sends with one request in flight on each connection, to the leader as the name servers say, and to another node when
// it does not answer.
type steady struct {
	c      *cluster
	last   atomic.Int64 // nanoseconds of the newest acknowledgement
	gap    atomic.Int64 // longest since it was set to zero
	acked  atomic.Int64
	failed atomic.Int64
}

func (s *steady) run(conns int, stop chan struct{}) {
	var wg sync.WaitGroup
	for i := range conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for node := i; s.conn(node%len(s.c.nodes), i, stop); node++ {
			}
		}()
	}
	wg.Wait()
}

// conn sends to one node until it fails; false: it is over.
func (s *steady) conn(node, i int, stop chan struct{}) bool {
	client := rpc.Client{Addr: s.c.nodes[node].addr, Timeout: 500 * time.Millisecond}
	defer client.Close()
	for {
		select {
		case <-stop:
			return false
		default:
		}
		f, err := client.Do(wire.SendMessageV2, []rpc.Field{
			{Name: "a", Value: "steady"}, {Name: "b", Value: topic}, {Name: "c", Value: "TBW102"}, {Name: "d", Value: strconv.Itoa(queues)},
			{Name: "e", Value: strconv.Itoa(i % queues)}, {Name: "f", Value: "0"}, {Name: "g", Value: strconv.FormatInt(time.Now().UnixMilli(), 10)},
			{Name: "h", Value: "0"}, {Name: "i", Value: "UNIQ_KEY\x01" + fmt.Sprintf("%032X", keys.Add(1)) + "\x02"},
		}, make([]byte, 1024))
		if err != nil || f.Code != 0 {
			s.failed.Add(1)
			time.Sleep(time.Millisecond)
			return true
		}
		s.ack()
	}
}

func (s *steady) ack() {
	now := time.Now().UnixNano()
	gap := now - s.last.Swap(now)
	for old := s.gap.Load(); gap > old && !s.gap.CompareAndSwap(old, gap); old = s.gap.Load() {
	}
	s.acked.Add(1)
}

// fault is something that happens to the node that leads.
type fault struct {
	name  string
	begin func(c *cluster, leader int) error
	end   func(c *cluster, leader int) error
}

var faults = []fault{
	{"kill -9", func(c *cluster, l int) error { c.nodes[l].target.stop(); return nil }, func(c *cluster, l int) error { return c.start(l) }},
	{"SIGSTOP for 10 s", func(c *cluster, l int) error { return syscall.Kill(c.nodes[l].pid, syscall.SIGSTOP) }, func(c *cluster, l int) error {
		return syscall.Kill(c.nodes[l].pid, syscall.SIGCONT)
	}},
	{"orderly stop", func(c *cluster, l int) error { return syscall.Kill(c.nodes[l].pid, syscall.SIGTERM) }, func(c *cluster, l int) error {
		c.nodes[l].target.stop()
		return c.start(l)
	}},
}

func failover(out io.Writer, binary, only, dir string, rounds, conns int) error {
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp(".", "bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	c, err := startCluster(binary, dir, oneGroup)
	if err != nil {
		return err
	}
	defer c.stop()
	if err := createTopic(c.nodes[0].addr, topic, queues); err != nil {
		return err
	}
	s := &steady{c: c}
	s.last.Store(time.Now().UnixNano())
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { s.run(conns, stop); close(done) }()
	defer func() { close(stop); <-done }()
	for _, f := range faults {
		for range rounds {
			if !strings.HasPrefix(f.name, only) {
				break
			}
			if err := s.round(out, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *steady) round(out io.Writer, f fault) error {
	if err := s.c.settled(60 * time.Second); err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	l, acked, failed := 0, s.acked.Load(), s.failed.Load()
	s.gap.Store(0)
	if err := f.begin(s.c, l); err != nil {
		return err
	}
	time.Sleep(10 * time.Second)
	gap := time.Duration(s.gap.Load())
	if err := f.end(s.c, l); err != nil {
		return err
	}
	fmt.Fprintf(out, "%-18s longest gap between acknowledgements %6d ms   acknowledged %d, tries that failed %d\n",
		f.name, gap.Milliseconds(), s.acked.Load()-acked, s.failed.Load()-failed)
	return nil
}
