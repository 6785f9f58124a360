package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// state is what very many leases of pop and very many groups hold in memory, and what a restart with them is like.
type state struct {
	binary, dir, conf string
	leases, groups    int
	out               io.Writer
	node              *target
}

const (
	leaseQueues  = 10
	leasesQueue  = 10_000 // of one group in one queue, the broker's default limit
	leaseTopic   = "Leased"
	leaseHidden  = "3600000" // ms
	stateCallers = 32
)

func stateCommand() *cobra.Command {
	var s state
	c := &cobra.Command{Use: "state", Short: "One node, fdatasync: memory and restart with very many leases of pop, and with very many consumer groups",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			s.out = cmd.OutOrStdout()
			return s.run()
		}}
	c.Flags().StringVar(&s.binary, "contrail", "bin/contrail", "the program to measure")
	c.Flags().IntVar(&s.leases, "leases", 1_000_000, "of pop, out at one time; a group has 100 000 of them")
	c.Flags().IntVar(&s.groups, "groups", 100_000, "with settings and a place in one queue each")
	return c
}

func (s *state) run() (err error) {
	if s.dir, err = os.MkdirTemp(".", "bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	conf, addr, err := writeConfig(s.dir, "state", synced, "off")
	if err != nil {
		return err
	}
	s.conf = conf
	if s.node, err = spawn("state", s.dir, addr, s.binary, "serve", "--config", conf); err != nil {
		return err
	}
	defer func() { s.node.stop() }()
	for _, name := range []string{topic, leaseTopic} {
		if err := createTopic(addr, name, leaseQueues); err != nil {
			return err
		}
	}
	for _, step := range []func() error{s.lease, s.found} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// lease has groups pop all messages of a topic without an ack.
func (s *state) lease() error {
	if s.leases == 0 {
		return nil
	}
	if s.leases%(leaseQueues*leasesQueue) != 0 {
		return fmt.Errorf("--leases %d: multiples of %d, which a group has, are possible", s.leases, leaseQueues*leasesQueue)
	}
	if err := s.fill(leaseQueues * leasesQueue); err != nil {
		return err
	}
	before, err := read(s.node.pid)
	if err != nil {
		return err
	}
	began := time.Now()
	out, err := s.popEach(s.leases)
	if err != nil {
		return err
	}
	if err := s.told("leases of pop", out, before, time.Since(began)); err != nil {
		return err
	}
	again, err := s.popEach(s.leases)
	if err == nil && again > 0 {
		err = fmt.Errorf("%d messages came again after a kill while they were leased", again)
	}
	return err
}

// popEach pops for each group until nothing comes.
func (s *state) popEach(most int) (int, error) {
	var out atomic.Int64
	groups := (most + leaseQueues*leasesQueue - 1) / (leaseQueues * leasesQueue)
	err := s.each(groups*leaseQueues, func(c *rpc.Client, i int) error {
		for out.Load() < int64(most) {
			f, err := c.Do(wire.PopMessage, []rpc.Field{
				{Name: "consumerGroup", Value: "leasing_" + strconv.Itoa(i/leaseQueues)}, {Name: "topic", Value: leaseTopic}, {Name: "queueId", Value: strconv.Itoa(i % leaseQueues)},
				{Name: "maxMsgNums", Value: "32"}, {Name: "invisibleTime", Value: leaseHidden}, {Name: "pollTime", Value: "0"},
				{Name: "bornTime", Value: strconv.FormatInt(time.Now().UnixMilli(), 10)}, {Name: "initMode", Value: "0"}, {Name: "expType", Value: "TAG"}, {Name: "exp", Value: "*"}, {Name: "order", Value: "false"},
			}, nil)
			if err != nil {
				return err
			}
			if f.Code == 209 || f.Code == 210 {
				return nil
			}
			if f.Code != 0 {
				return fmt.Errorf("pop: code %d %s", f.Code, f.Remark)
			}
			for b := f.Body; len(b) > 0; out.Add(1) {
				v, err := message.Parse(b)
				if err != nil {
					return err
				}
				b = b[len(v):]
			}
		}
		return nil
	})
	return int(out.Load()), err
}

// fill sends n messages, spread over the queues.
func (s *state) fill(n int) error {
	body := make([]byte, 100)
	return s.each(n, func(c *rpc.Client, i int) error {
		f, err := c.Do(wire.SendMessageV2, []rpc.Field{
			{Name: "a", Value: "bench"}, {Name: "b", Value: leaseTopic}, {Name: "c", Value: "TBW102"}, {Name: "d", Value: strconv.Itoa(leaseQueues)}, {Name: "e", Value: strconv.Itoa(i % leaseQueues)},
			{Name: "f", Value: "0"}, {Name: "g", Value: strconv.FormatInt(time.Now().UnixMilli(), 10)}, {Name: "h", Value: "0"}, {Name: "i", Value: ""},
		}, body)
		if err == nil && f.Code != 0 {
			err = fmt.Errorf("send: code %d %s", f.Code, f.Remark)
		}
		return err
	})
}

// found makes groups, each with settings and a place in a queue.
func (s *state) found() error {
	before, err := read(s.node.pid)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.each(s.groups, func(c *rpc.Client, i int) error {
		name := "group_" + strconv.Itoa(i)
		f, err := c.Do(wire.UpdateGroup, nil, fmt.Appendf(nil, `{"groupName":%q,"retryMaxTimes":%d}`, name, i%16+1))
		if err == nil && f.Code == 0 {
			f, err = c.Do(wire.UpdateConsumerOffset, []rpc.Field{{Name: "consumerGroup", Value: name}, {Name: "topic", Value: topic}, {Name: "queueId", Value: "0"}, {Name: "commitOffset", Value: "0"}}, nil)
		}
		if err == nil && f.Code != 0 {
			err = fmt.Errorf("group %s: code %d %s", name, f.Code, f.Remark)
		}
		return err
	}); err != nil {
		return err
	}
	return s.told("groups", s.groups, before, time.Since(began))
}

// each calls f for 0 to n-1 over some connections.
func (s *state) each(n int, f func(c *rpc.Client, i int) error) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, stateCallers)
	for w := range stateCallers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := rpc.Client{Addr: s.node.addr, Timeout: 30 * time.Second}
			defer c.Close()
			for errs[w] == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				errs[w] = f(&c, i)
			}
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// told prints what n of something made of the node, kills it, and prints how it comes back.
func (s *state) told(what string, n int, before usage, took time.Duration) error {
	after, err := read(s.node.pid)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d %s: made in %s, %.1f us of CPU each; %d MiB of memory, %d before, %d bytes each\n", n, what, took.Round(time.Millisecond),
		float64((after.cpu-before.cpu).Microseconds())/float64(max(1, n)), after.rss>>20, before.rss>>20, (after.rss-before.rss)/int64(max(1, n)))
	s.node.stop()
	began := time.Now()
	again, err := spawn("state", s.dir, s.node.addr, s.binary, "serve", "--config", s.conf)
	if err != nil {
		return err
	}
	s.node = again
	if err := firstAck(s.node.addr, topic); err != nil {
		return err
	}
	ready := time.Since(began)
	u, err := read(s.node.pid)
	fmt.Fprintf(s.out, "  killed: ready after %s, %d MiB of memory\n", ready.Round(time.Millisecond), u.rss>>20)
	return err
}
