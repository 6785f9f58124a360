package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

const (
	lostNode = 2 // node 3, counted from 0
	newNode  = 3
)

// catchup is scenario 9's member that begins with nothing while the others serve.
type catchup struct {
	binary, keep    string
	gib             float64
	rate            int
	warm, window    time.Duration
	patience        time.Duration
	whole           bool
	touchGiB        int64
	out             io.Writer
	cluster         *cluster
	load            *recorder
	stretches       []*stretch
	bytes           int64 // of the log when the new member began
	began           time.Time
	learned, voting time.Duration
	moved           []movement
}

// movement is what the new member's folder held at a moment.
type movement struct {
	at    time.Time
	bytes int64
}

func catchupCommand() *cobra.Command {
	c := &catchup{}
	cmd := &cobra.Command{Use: "catchup", Short: "Scenario 9, three members: what sends feel while a wiped node is replaced by one that has nothing, and how fast that learns",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			c.out = cmd.OutOrStdout()
			return c.run()
		}}
	f := cmd.Flags()
	f.StringVar(&c.binary, "contrail", "bin/contrail", "the program to measure")
	f.StringVar(&c.keep, "keep", "", "folder for data and logs, which stay there; empty: a temporary one")
	f.Float64Var(&c.gib, "gib", 2, "what the log holds when the member begins")
	f.IntVar(&c.rate, "rate", 2000, "messages of 1 KB per second, open loop, 16 connections, all the time")
	f.DurationVar(&c.warm, "warm", 10*time.Second, "unmeasured stretch of the load before; what filling the log left to be written goes to the disk in it")
	f.DurationVar(&c.window, "window", 20*time.Second, "stretch before; half as long with two members, and afterwards")
	f.DurationVar(&c.patience, "patience", 10*time.Minute, "how long the member may take")
	f.BoolVar(&c.whole, "whole", false, "the log still has its first entry: the member gets entries; else retention took it, and the member gets segments as files")
	f.Int64Var(&c.touchGiB, "touch", 0, "GiB of free memory to touch before, as of run")
	return cmd
}

func (c *catchup) run() error {
	dir := c.keep
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp(".", "bench-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	if err := c.prepare(dir); err != nil {
		return err
	}
	defer c.cluster.stop()
	if err := touchMemory(c.touchGiB << 30); err != nil {
		return err
	}
	c.load = record(c.leader(), openLoad(c.rate))
	err := c.during()
	if err := errors.Join(err, c.load.end()); err != nil {
		return err
	}
	c.print()
	return nil
}

func (c *catchup) leader() string { return c.cluster.nodes[0].addr }

// prepare fills the log. Retention by size takes its first entry, unless it shall stay.
func (c *catchup) prepare(dir string) (err error) {
	want := int64(c.gib * (1 << 30))
	keep := want
	if c.whole {
		keep = 1 << 40
	}
	l := layout{groups: []string{clusterGroup}, spare: 1, settings: loadedSettings(keep)}
	if c.cluster, err = startCluster(c.binary, dir, l); err != nil {
		return err
	}
	if err = c.fill(want); err != nil {
		c.cluster.stop()
	}
	return err
}

func (c *catchup) fill(want int64) error {
	if err := c.cluster.settled(60 * time.Second); err != nil {
		return err
	}
	if err := createTopic(c.leader(), topic, queues); err != nil {
		return err
	}
	t := &target{addr: c.leader()}
	for {
		first, end, err := logRange(c.leader())
		if err != nil {
			return err
		}
		if end >= want && (c.whole || first > 0) {
			return nil
		}
		if err := store(t, produceLoad(4, 64, 1024), 1); err != nil {
			return err
		}
	}
}

// during is what happens while the load goes on.
func (c *catchup) during() error {
	time.Sleep(c.warm)
	if err := c.stretch("before, three members", func() error { time.Sleep(c.window); return nil }); err != nil {
		return err
	}
	lost := c.cluster.nodes[lostNode]
	lost.target.stop()
	if err := c.stretch("two members", func() error { time.Sleep(c.window / 2); return os.RemoveAll(lost.dir) }); err != nil {
		return err
	}
	first, end, err := logRange(c.leader())
	if err != nil {
		return err
	}
	c.bytes = end - first
	if err := c.stretch("while it catches up", c.replace); err != nil {
		return err
	}
	return c.stretch("afterwards", func() error { time.Sleep(c.window / 2); return nil })
}

// stretch does something and notes from when to when, and what that cost.
func (c *catchup) stretch(text string, do func() error) error {
	s := &stretch{text: text}
	s.before = c.usage()
	s.from = time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	s.to = time.Now()
	s.after = c.usage()
	c.stretches = append(c.stretches, s)
	return nil
}

// usage of each node; a node that does not run has used nothing.
func (c *catchup) usage() []usage {
	out := make([]usage, len(c.cluster.nodes))
	for i, n := range c.cluster.nodes {
		out[i], _ = read(n.pid)
	}
	return out
}

// replace starts the new node and lets its member take the lost one's place.
func (c *catchup) replace() error {
	c.began = time.Now()
	if err := c.cluster.start(newNode); err != nil {
		return err
	}
	if err := c.ask(); err != nil {
		return err
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); c.watch(stop) }()
	defer func() { close(stop); <-done }()
	for time.Since(c.began) < c.patience {
		g, err := groupOf(c.leader())
		if err != nil {
			return err
		}
		if c.noted(&g) {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("the new member does not vote after %s", c.patience)
}

// ask gives the command once, as contrail cluster replace-member does: it goes on by itself.
func (c *catchup) ask() error {
	client := rpc.Client{Addr: c.leader(), Timeout: 10 * time.Second}
	defer client.Close()
	f, err := client.Do(wire.BrokerGroupMembers, []rpc.Field{
		{Name: "add", Value: strconv.Itoa(newNode + 1)}, {Name: "remove", Value: strconv.Itoa(lostNode + 1)},
	}, nil)
	if err == nil && f.Code != 0 {
		err = fmt.Errorf("replace the member: code %d %s", f.Code, f.Remark)
	}
	return err
}

// noted says when the change is over: the new member votes and the lost one is no member.
func (c *catchup) noted(g *inspect.BrokerGroup) bool {
	has := func(id uint64) int {
		return slices.IndexFunc(g.Members, func(m inspect.BrokerMember) bool { return m.ID == id })
	}
	i := has(newNode + 1)
	if i < 0 {
		return false
	}
	m := &g.Members[i]
	// The leader's view is as of its last tick. Close enough is what lets it vote, too.
	if c.learned == 0 && m.Active && m.MatchIndex > 0 && m.LagEntries <= 100 {
		c.learned = time.Since(c.began)
	}
	if m.State == "learner" || has(lostNode+1) >= 0 {
		return false
	}
	c.voting = time.Since(c.began)
	return true
}

// watch notes how the new member's folder grows.
func (c *catchup) watch(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Millisecond):
			c.moved = append(c.moved, movement{time.Now(), folderBytes(c.cluster.nodes[newNode].dir)})
		}
	}
}

func folderBytes(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return nil // it was renamed meanwhile
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}

func groupOf(addr string) (g inspect.BrokerGroup, err error) {
	err = askJSON(addr, wire.BrokerGroupInfo, &g)
	return g, err
}

// logRange gives the positions of the log's first byte and behind its last.
func logRange(addr string) (first, end int64, err error) {
	var info struct {
		Table map[string]string `json:"table"`
	}
	if err = askJSON(addr, wire.BrokerRuntimeInfo, &info); err != nil {
		return 0, 0, err
	}
	first, err = strconv.ParseInt(info.Table["commitLogMinOffset"], 10, 64)
	if err == nil {
		end, err = strconv.ParseInt(info.Table["commitLogMaxOffset"], 10, 64)
	}
	return first, end, err
}

func askJSON(addr string, code int32, v any) error {
	client := rpc.Client{Addr: addr, Timeout: 10 * time.Second}
	defer client.Close()
	f, err := client.Do(code, nil, nil)
	if err != nil {
		return err
	}
	if f.Code != 0 {
		return fmt.Errorf("request %d to %s: code %d %s", code, addr, f.Code, f.Remark)
	}
	return json.Unmarshal(f.Body, v)
}
