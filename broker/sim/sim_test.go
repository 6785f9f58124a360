package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

var (
	seeds = flag.Int("seeds", 200, "how many seeds to run")
	from  = flag.Uint64("from", 1, "the first seed")
	disk  = flag.Bool("disk", false, "tell each operation on a disk in a failing seed's history")
)

// TestSeeds runs seeds one after the other. A failing one is run again with its history.
func TestSeeds(t *testing.T) {
	var sum Result
	began := time.Now()
	for seed := *from; seed < *from+uint64(*seeds); seed++ {
		r := Run(Config{Seed: seed})
		if r.Violation != "" {
			report(t, Config{Seed: seed}, r)
			return
		}
		sum.Coverage.Add(r.Coverage)
		sum.LongestMs = max(sum.LongestMs, r.LongestMs)
	}
	t.Logf("%d seeds in %s, longest gap %d ms: %s", *seeds, time.Since(began).Round(time.Millisecond), sum.LongestMs, sum.Coverage)
}

// report writes the history of a failing seed to a file and its end to the test's output.
func report(t *testing.T, c Config, r Result) {
	t.Helper()
	c.History, c.Disk = true, *disk
	again := Run(c)
	if again.Violation != r.Violation {
		t.Errorf("seed %d is not repeatable: %q, then %q", c.Seed, r.Violation, again.Violation)
	}
	name := fmt.Sprintf("%s/contrail-sim-%d.txt", os.TempDir(), c.Seed)
	if err := os.WriteFile(name, []byte(strings.Join(again.History, "\n")), 0o644); err != nil {
		t.Error(err)
	}
	tail := again.History[max(0, len(again.History)-40):]
	t.Fatalf("seed %d: %s\nhistory in %s, its end:\n%s", c.Seed, r.Violation, name, strings.Join(tail, "\n"))
}

// TestMain gives the collector more room: a run makes much garbage and keeps little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(1000)
	os.Exit(m.Run())
}
