package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// idler is scenario 9's idle part: nodes that nobody asks anything.
type idler struct {
	binary, trail string
	settle, idle  time.Duration
	out           io.Writer
}

func idleCommand() *cobra.Command {
	var s idler
	c := &cobra.Command{Use: "idle", Short: "Scenario 9, one node and three members of three broker groups: cores and memory of each node that has nothing to do",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			s.out = cmd.OutOrStdout()
			return s.run()
		}}
	c.Flags().StringVar(&s.binary, "contrail", "bin/contrail", "the program to measure")
	c.Flags().StringVar(&s.trail, "trail", "embedded", "trail store; embedded, the default of a node, is a process of its own and counted apart")
	c.Flags().DurationVar(&s.idle, "for", 30*time.Second, "how long to watch")
	c.Flags().DurationVar(&s.settle, "settle", 15*time.Second, "unmeasured stretch before, in which leaders move to where they shall be")
	return c
}

func (s *idler) run() error {
	dir, err := os.MkdirTemp(".", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintf(s.out, "idle for %s, trail %s   must: 0.01 cores for each node\n  %-12s %8s %8s   %s\n", s.idle, s.trail, "node", "cores", "RSS MiB", "its trail store: cores, RSS MiB")
	if err := s.alone(filepath.Join(dir, "alone")); err != nil {
		return err
	}
	return s.three(filepath.Join(dir, "three"))
}

func (s *idler) alone(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	t, err := startContrail(s.binary, dir, "alone", synced, s.trail)
	if err != nil {
		return err
	}
	defer t.stop()
	return s.watch(t)
}

func (s *idler) three(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	l := layout{groups: []string{"broker-a", "broker-b", "broker-c"}, settings: fmt.Sprintf("trail: {engine: %q}\n", s.trail)}
	c, err := startCluster(s.binary, dir, l)
	if err != nil {
		return err
	}
	defer c.stop()
	if err := c.settled(60 * time.Second); err != nil {
		return err
	}
	var nodes []*target
	for _, n := range c.nodes {
		nodes = append(nodes, n.target)
	}
	return s.watch(nodes...)
}

// watch prints what each node used; what its children used is told apart.
func (s *idler) watch(nodes ...*target) error {
	time.Sleep(s.settle)
	before, err := idleUsage(nodes)
	if err != nil {
		return err
	}
	time.Sleep(s.idle)
	after, err := idleUsage(nodes)
	if err != nil {
		return err
	}
	var all time.Duration
	for i, n := range nodes {
		all += after[i][0].cpu - before[i][0].cpu + after[i][1].cpu - before[i][1].cpu
		own, children := cores(before[i][0], after[i][0]), cores(before[i][1], after[i][1])
		fmt.Fprintf(s.out, "  %-12s %8.4f %8d", n.name, own, after[i][0].rss>>20)
		if after[i][1].rss > 0 {
			fmt.Fprintf(s.out, "   %.4f, %d", children, after[i][1].rss>>20)
		}
		fmt.Fprintln(s.out)
	}
	fmt.Fprintf(s.out, "  steal %.1f %%, other work on this machine %.2f cores\n", stealPercent(before[0][0], after[0][0]), foreign(before[0][0], after[0][0], all))
	return nil
}

func cores(a, b usage) float64 { return (b.cpu - a.cpu).Seconds() / b.at.Sub(a.at).Seconds() }

// idleUsage is what each node and its children used until now.
func idleUsage(nodes []*target) (out [][2]usage, err error) {
	for _, n := range nodes {
		own, err := read(n.pid)
		if err != nil {
			return nil, err
		}
		all := usage{at: own.at}
		for _, pid := range descendants(n.pid) {
			u, err := read(pid)
			if err != nil {
				continue // it ended meanwhile
			}
			all.cpu += u.cpu
			all.rss += u.rss
		}
		out = append(out, [2]usage{own, all})
	}
	return out, nil
}

// descendants of a process, as /proc tells.
func descendants(pid int) (out []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range files {
		b, _ := os.ReadFile(name)
		for _, child := range strings.Fields(string(b)) {
			if id, err := strconv.Atoi(child); err == nil {
				out = append(append(out, id), descendants(id)...)
			}
		}
	}
	return out
}
