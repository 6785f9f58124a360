package timer

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// sealedRun is a run as a sidecar gives it.
type sealedRun struct {
	entries []Entry
	fences  []Cursor
	fail    error
}

func seal(entries []Entry) *sealedRun {
	r := &sealedRun{entries: entries}
	for i := 0; i < len(entries); i += BlockEntries {
		r.fences = append(r.fences, entries[i].Place())
	}
	return r
}

func (r *sealedRun) Len() int         { return len(r.entries) }
func (r *sealedRun) Fences() []Cursor { return r.fences }
func (r *sealedRun) Last() Cursor     { return r.entries[len(r.entries)-1].Place() }

func (r *sealedRun) Read(dst []Entry, block int) ([]Entry, error) {
	return append(dst, r.entries[block*BlockEntries:min(len(r.entries), (block+1)*BlockEntries)]...), r.fail
}

// sealSegment does what the shard does when a segment's sidecar was written.
func sealSegment(t *Table, seq uint64) error {
	o := t.Open(seq)
	if o == nil {
		return t.Seal(seq, nil)
	}
	return t.Seal(seq, seal(o.Sorted()))
}

// TestScenarios runs testdata. Commands, each with a line for each of what they do:
//
//	park seg=1          lines "due position key": what is stored in a segment
//	next                the first due time
//	due up-to=5 limit=2 what would be fired
//	fire up-to=5        Due and Fire
//	apply               lines "due position due position": a fire from, to
//	cancel              lines "due position"
//	find due=5 key=1
//	roll seg=1 limit=2  Oldest and Roll
//	seal seg=1, whose messages lie at positions 100 to 199 · drop before=2 · state · restart (Save, Restore, and all that was sealed)
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		s := &scenario{table: New()}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.run(t, d) })
	})
}

type scenario struct {
	table *Table
	runs  []Entry // of sealed segments, by Size: the segment
}

func (s *scenario) run(t *testing.T, d *datadriven.TestData) string {
	var (
		seg, before, key uint64
		upTo, due        int64 = math.MaxInt64, 0
		limit                  = 1000
		out              strings.Builder
	)
	d.MaybeScanArgs(t, "seg", &seg)
	d.MaybeScanArgs(t, "before", &before)
	d.MaybeScanArgs(t, "key", &key)
	d.MaybeScanArgs(t, "up-to", &upTo)
	d.MaybeScanArgs(t, "due", &due)
	d.MaybeScanArgs(t, "limit", &limit)
	say := func(err error) {
		if err != nil {
			fmt.Fprintln(&out, err)
		}
	}
	switch d.Cmd {
	case "park":
		each(t, d.Input, func(v []int64) {
			say(s.table.Park(seg, Entry{Due: v[0], Pos: v[1], Key: uint64(v[2]), Size: uint32(seg)}))
		})
	case "next":
		next, ok, err := s.table.Next()
		say(err)
		fmt.Fprintln(&out, next, ok)
	case "due", "fire":
		from := s.table.Cursor()
		entries, to, err := s.table.Due(nil, upTo, limit)
		say(err)
		list(&out, entries)
		fmt.Fprintln(&out, "to:", to)
		if d.Cmd == "fire" {
			say(s.table.Fire(from, to, int64(len(entries))))
		}
	case "apply":
		each(t, d.Input, func(v []int64) { say(s.table.Fire(Cursor{v[0], v[1]}, Cursor{v[2], v[3]}, 1)) })
	case "cancel":
		each(t, d.Input, func(v []int64) { say(s.table.Cancel(Cursor{v[0], v[1]})) })
	case "find":
		entries, _, err := s.table.Find(due, key)
		say(err)
		list(&out, entries)
	case "roll":
		entries, err := s.table.Oldest(seg, limit)
		say(err)
		list(&out, entries)
		say(s.table.Roll(s.table.Rolled(), entries[len(entries)-1].Pos+1, int64(len(entries))))
	case "seal":
		if o := s.table.Open(seg); o != nil {
			s.runs = append(s.runs, o.Sorted()...)
		}
		say(sealSegment(s.table, seg))
	case "drop":
		s.table.DropBefore(before)
	case "restart":
		say(s.restart())
	case "state":
		s.state(&out)
	default:
		t.Fatalf("command %s", d.Cmd)
	}
	return out.String()
}

func (s *scenario) restart() error {
	saved := s.table.Save()
	s.table = New()
	err := s.table.Restore(saved)
	for i := 0; i < len(s.runs); {
		n := i
		for n < len(s.runs) && s.runs[n].Size == s.runs[i].Size {
			n++
		}
		err = errors.Join(err, s.table.Attach(uint64(s.runs[i].Size), seal(s.runs[i:n])))
		i = n
	}
	return err
}

func (s *scenario) state(out *strings.Builder) {
	c := s.table.Counts()
	fmt.Fprintf(out, "%+v pending %d, fired: %v\n", c, c.Pending(), s.table.Cursor())
	for _, g := range s.table.segments {
		n, err := s.table.Segment(g.seq, int64(100*g.seq), int64(100*g.seq+100))
		held, err2 := s.table.Held(g.seq)
		fmt.Fprintf(out, "segment %d: sealed %t, pending %d, held %t\n", g.seq, g.open == nil, n, held)
		if err := errors.Join(err, err2); err != nil {
			fmt.Fprintln(out, err)
		}
	}
}

func each(t *testing.T, lines string, f func([]int64)) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		var v []int64
		for _, field := range strings.Fields(line) {
			var n int64
			if _, err := fmt.Sscan(field, &n); err != nil {
				t.Fatal(err)
			}
			v = append(v, n)
		}
		f(v)
	}
}

func list(out *strings.Builder, entries []Entry) {
	for _, e := range entries {
		fmt.Fprintf(out, "%d@%d\n", e.Due, e.Pos)
	}
}

// What a run cannot read is told, and changes nothing: the next try goes on.
func TestReadErrorsAreTold(t *testing.T) {
	tab := New()
	r := seal([]Entry{{Due: 1, Pos: 1}, {Due: 2, Pos: 2}})
	if err := tab.Attach(1, r); err != nil {
		t.Fatal(err)
	}
	r.fail = errors.New("the disk")
	if _, _, err := tab.Next(); !errors.Is(err, r.fail) {
		t.Errorf("next: %v", err)
	}
	if got, to, err := tab.Due(nil, 9, 9); !errors.Is(err, r.fail) || len(got) > 0 || to != (Cursor{}) {
		t.Errorf("due: %v %v %v", got, to, err)
	}
	if _, _, err := tab.Find(1, 0); !errors.Is(err, r.fail) {
		t.Errorf("find: %v", err)
	}
	if _, err := tab.Held(1); !errors.Is(err, r.fail) {
		t.Errorf("held: %v", err)
	}
	r.fail = nil
	if got, _, err := tab.Due(nil, 9, 9); err != nil || len(got) != 2 {
		t.Errorf("again: %v %v", got, err)
	}
}

// There is a limit of cancelled entries, and passing them makes room.
func TestCancelledAreBounded(t *testing.T) {
	tab := New()
	for i := range int64(CancelledMax) {
		if err := tab.Cancel(Cursor{i*7919%CancelledMax + 10, i}); err != nil {
			t.Fatal(err)
		}
	}
	err := tab.Cancel(Cursor{CancelledMax + 100, 0})
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "1048576, the limit is 1048576") {
		t.Fatalf("one more than the limit: %v", err)
	}
	if n := tab.Counts().Cancelled; n != CancelledMax {
		t.Errorf("%d counted", n)
	}
	again := New()
	if err := again.Restore(tab.Save()); err != nil || again.cancelled.n != CancelledMax {
		t.Fatalf("a copy has %d: %v", again.cancelled.n, err)
	}
	if err := tab.Fire(Cursor{}, Cursor{10, math.MaxInt64}, 0); err != nil {
		t.Fatal(err)
	}
	if err := tab.Cancel(Cursor{CancelledMax + 100, 0}); err != nil {
		t.Errorf("after one was passed: %v", err)
	}
}

// At most blocksMax blocks are in memory, however many runs there are.
func TestBlocksAreBounded(t *testing.T) {
	tab := New()
	const runs = 3 * blocksMax
	for i := range uint64(runs) {
		if err := tab.Attach(i+1, seal([]Entry{{Due: int64(i), Pos: 1}, {Due: int64(i) + runs, Pos: 2}})); err != nil {
			t.Fatal(err)
		}
	}
	if got, _, err := tab.Due(nil, math.MaxInt64, 10*runs); err != nil || len(got) != 2*runs {
		t.Fatalf("%d due: %v", len(got), err)
	}
	kept := 0
	for _, g := range tab.segments {
		if g.sealed[0].block != nil {
			kept++
		}
	}
	if kept == 0 || kept > blocksMax {
		t.Errorf("%d blocks are kept", kept)
	}
}

// Readers may ask while the log is applied and segments are sealed and dropped; the race detector watches.
func TestReadersMayAskAtAnyTime(t *testing.T) {
	tab, stop := New(), make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for due := int64(1); ; due = due%2000 + 1 {
				select {
				case <-stop:
					return
				default:
				}
				_, _, err := tab.Find(due, 1)
				_, _, err2 := tab.Next()
				if err := errors.Join(err, err2); err != nil {
					t.Error(err)
					return
				}
				_ = tab.MayCancel(Cursor{due, due})
			}
		})
	}
	for seq := uint64(1); seq <= 20; seq++ {
		from := tab.Cursor()
		for i := range int64(600) {
			if err := tab.Park(seq, Entry{Due: from.Due + 1 + i*31%200, Pos: int64(seq)*1000 + i, Key: 1}); err != nil {
				t.Fatal(err)
			}
		}
		entries, to, err := tab.Due(nil, from.Due+100, 1000)
		if err := errors.Join(err, sealSegment(tab, seq), tab.Fire(from, to, int64(len(entries)))); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	readers.Wait()
}
