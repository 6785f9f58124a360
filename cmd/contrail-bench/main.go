package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	if err := root().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "contrail-bench:", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	c := &cobra.Command{Use: "contrail-bench", Short: "What a message costs, beside a floor and other brokers", SilenceUsage: true, SilenceErrors: true}
	c.AddCommand(floorCommand(), listCommand(), runCommand(), lifeCommand(), idleCommand(), failoverCommand(), catchupCommand(), trailCommand(), busyCommand(), timersCommand(), stateCommand(), grpcCommand(), grpcFloorCommand())
	return c
}

func floorCommand() *cobra.Command {
	var listen, dir string
	var sync bool
	c := &cobra.Command{Use: "floor", Short: "Serve as the floor", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		return serveFloor(listen, dir, sync)
	}}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "address")
	c.Flags().StringVar(&dir, "dir", "floor", "where bodies are appended")
	c.Flags().BoolVar(&sync, "sync", false, "fdatasync before an answer")
	return c
}

func listCommand() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the scenarios of run; the other commands are scenarios of their own", Args: cobra.NoArgs, Run: func(cmd *cobra.Command, _ []string) {
		for _, s := range scenarios {
			fmt.Fprintf(cmd.OutOrStdout(), "%-4s %s\n", s.name, s.text)
		}
		fmt.Fprint(cmd.OutOrStdout(), "\nCommands of their own: life, idle, failover and catchup (9), timers (7), trail (10), state, grpc\n")
	}}
}

// settings of a run.
type settings struct {
	contrail, peer, peerMode, out string
	peerPID, pairs                int
	peerOthers                    []int
	warm, window                  time.Duration
	backlog                       uint64
	noFloor                       bool
	touchGiB                      int64
}

func runCommand() *cobra.Command {
	var s settings
	c := &cobra.Command{
		Use: "run [SCENARIO ...]", Short: "Measure: all scenarios, or the named ones (1 means 1a and 1b)",
		RunE: func(cmd *cobra.Command, args []string) error { return s.run(cmd, args) },
	}
	c.Flags().StringVar(&s.contrail, "contrail", "bin/contrail", "the program to measure; empty: none")
	c.Flags().StringVar(&s.peer, "peer", "", "address of another broker, Apache RocketMQ say, that is running already")
	c.Flags().IntVar(&s.peerPID, "peer-pid", 0, "its process")
	c.Flags().IntSliceVar(&s.peerOthers, "peer-others", nil, "processes whose CPU counts, too: the other members of a peer of several, which is measured in the scenarios of three members only, however it acknowledges")
	c.Flags().StringVar(&s.peerMode, "peer-mode", "page-cache", "how it acknowledges: page-cache or fdatasync; it is left out of the other scenarios")
	c.Flags().IntVar(&s.pairs, "pairs", 5, "windows of each target, in turn")
	c.Flags().DurationVar(&s.warm, "warm", 3*time.Second, "unmeasured stretch before each window")
	c.Flags().DurationVar(&s.window, "window", 10*time.Second, "measured stretch")
	c.Flags().Uint64Var(&s.backlog, "backlog", 250_000, "messages in each queue before pulls")
	c.Flags().StringVar(&s.out, "out", "", "write all windows as JSON lines to this file")
	c.Flags().Int64Var(&s.touchGiB, "touch", 0, "GiB of free memory to touch before each window, on a virtual machine whose host takes unused memory away")
	c.Flags().BoolVar(&s.noFloor, "no-floor", false, "do not measure the floor")
	return c
}

func (s *settings) run(cmd *cobra.Command, args []string) error {
	if s.peer != "" && s.peerPID == 0 {
		return errors.New("--peer needs --peer-pid: CPU is read from its process")
	}
	for i := range scenarios {
		sc := &scenarios[i]
		if len(args) > 0 && !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(sc.name, a) }) {
			continue
		}
		r, err := s.scenario(sc)
		if err != nil {
			return fmt.Errorf("scenario %s: %w", sc.name, err)
		}
		r.print(cmd.OutOrStdout())
		if err := s.append(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) scenario(sc *scenario) (*row, error) {
	dir, err := os.MkdirTemp(".", "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	targets, err := s.targets(sc, dir)
	defer func() {
		for _, t := range targets {
			t.stop()
		}
	}()
	if err != nil {
		return nil, err
	}
	r := &row{Scenario: sc.name, Text: s.text(sc), Windows: map[string][]window{}}
	for _, t := range targets {
		r.order = append(r.order, t.name)
		if err := sc.prepare(t, s.backlog); err != nil {
			return nil, err
		}
	}
	for range s.pairs {
		for _, t := range targets {
			if err := touchMemory(s.touchGiB << 30); err != nil {
				return nil, err
			}
			w, err := sc.measure(t, s.warm, s.window)
			if err != nil {
				return nil, err
			}
			r.Windows[t.name] = append(r.Windows[t.name], w)
		}
	}
	return r, nil
}

func (s *settings) targets(sc *scenario, dir string) (out []*target, err error) {
	var t *target
	if s.contrail != "" {
		if sc.members {
			t, err = clusterTarget(s.contrail, dir)
		} else {
			t, err = startContrail(s.contrail, dir, "contrail", sc.mode, "off")
		}
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	if sc.pull == 0 && !s.noFloor {
		if t, err = startFloor(dir, sc.mode); err != nil {
			return out, err
		}
		out = append(out, t)
	}
	if s.joins(sc) {
		out = append(out, &target{name: "peer", addr: s.peer, pid: s.peerPID, others: s.peerOthers, stop: func() {}})
	}
	return out, nil
}

// joins says whether the peer is measured in a scenario. One of several members has no like among single nodes; and none of them that
// speaks this protocol waits for a majority's fdatasync as a matter of course, so that its mode is told instead of asked for.
func (s *settings) joins(sc *scenario) bool {
	switch {
	case s.peer == "":
		return false
	case len(s.peerOthers) > 0:
		return sc.members
	}
	return mode(s.peerMode) == sc.mode || sc.pull > 0
}

// text of a scenario says, too, how a peer acknowledges that does not do what the scenario says.
func (s *settings) text(sc *scenario) string {
	if s.joins(sc) && len(s.peerOthers) > 0 {
		return fmt.Sprintf("%s; peer: %d processes, %s", sc.text, 1+len(s.peerOthers), s.peerMode)
	}
	return sc.text
}

func (s *settings) append(r *row) error {
	if s.out == "" {
		return nil
	}
	f, err := os.OpenFile(s.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	return json.NewEncoder(f).Encode(r)
}
