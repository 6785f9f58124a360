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
	seeds   = flag.Int("seeds", 0, "how many seeds to run; 0: 2000, with -short 200")
	from    = flag.Uint64("from", 1, "the first seed")
	focus   = flag.Int("focus", 0, "a Focus, by number; 0: everything")
	disk    = flag.Bool("disk", false, "tell each operation on a disk in a failing seed's history")
	summary = flag.String("summary", "", "a file to which what was run is appended, every thousand seeds")
)

const (
	usualSeeds = 2000
	shortSeeds = 200
	tellEvery  = 1000 // seeds
)

// tally is what the runs of a test did together.
type tally struct {
	began    time.Time
	runs     int
	coverage Coverage
	longest  int64 // ms between two acknowledgements
	at       uint64
}

func (y *tally) add(seed uint64, r Result) {
	y.runs++
	y.coverage.Add(r.Coverage)
	if r.LongestMs > y.longest {
		y.longest, y.at = r.LongestMs, seed
	}
}

func (y *tally) String() string {
	took := time.Since(y.began)
	return fmt.Sprintf("%d seeds in %s, %.0f a minute; longest gap %d ms (seed %d); %s", y.runs, took.Round(time.Millisecond),
		float64(y.runs)/took.Minutes(), y.longest, y.at, y.coverage)
}

// tell appends a line to the summary, so that a long run that is cut short has told what it did.
func (y *tally) tell(t *testing.T, text string) {
	t.Helper()
	if *summary == "" {
		return
	}
	f, err := os.OpenFile(*summary, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s from seed %d: %s: %s\n", time.Now().UTC().Format(time.RFC3339), *from, text, y); err != nil {
		t.Fatal(err)
	}
}

// TestSeeds runs seeds one after the other. A failing one is run again with its history.
func TestSeeds(t *testing.T) {
	n := *seeds
	if n == 0 {
		if n = usualSeeds; testing.Short() {
			n = shortSeeds
		}
	}
	y := &tally{began: time.Now()}
	for seed := *from; seed < *from+uint64(n); seed++ {
		c := Config{Seed: seed, Focus: Focus(*focus)}
		r := Run(c)
		if r.Violation != "" {
			y.tell(t, fmt.Sprintf("seed %d fails: %.300s", seed, r.Violation))
			report(t, c, r)
			return
		}
		if y.add(seed, r); y.runs%tellEvery == 0 {
			y.tell(t, "so far")
		}
	}
	y.tell(t, "all pass")
	if fmt.Println(y); *focus == 0 {
		checkCoverage(t, y)
	}
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
	t.Fatalf("seed %d: %s\nhistory in %s; again, with each operation on the disks:\n  go test ./broker/sim -run TestSeeds -seeds 1 -from %d -disk\nits end:\n%s",
		c.Seed, r.Violation, name, c.Seed, strings.Join(tail, "\n"))
}

// TestMain gives the collector more room: a run makes much garbage and keeps little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(1000)
	os.Exit(m.Run())
}
