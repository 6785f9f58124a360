package timer

import (
	"bytes"
	"cmp"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model is the timer told naively: all entries in one list.
type model struct {
	table   *Table
	all     []modelled
	cursor  Cursor
	rolled  int64
	counts  Counts
	seq     uint64                // the open segment
	sealed  map[uint64]*sealedRun // of those that were not dropped
	dropped uint64                // segments up to here
	pos     int64
}

type modelled struct {
	Entry
	seq       uint64
	cancelled bool
}

func (m *model) pending(keep func(*modelled) bool) (out []Entry) {
	for i := range m.all {
		if e := &m.all[i]; !e.cancelled && e.Pos >= m.rolled && m.cursor.Before(e.Place()) && keep(e) {
			out = append(out, e.Entry)
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return a.Place().Compare(b.Place()) })
	return out
}

func (m *model) park(t *rapid.T) {
	for range rapid.IntRange(1, 600).Draw(t, "messages") {
		m.pos += int64(rapid.IntRange(1, 3).Draw(t, "gap"))
		e := Entry{Due: max(1, m.cursor.Due+int64(rapid.IntRange(0, 20).Draw(t, "in"))), Pos: m.pos, Key: rapid.Uint64Range(1, 3).Draw(t, "key"), Size: 9}
		if err := m.table.Park(m.seq, e); err != nil {
			t.Fatal(err)
		}
		m.all = append(m.all, modelled{e, m.seq, false})
		m.counts.Scheduled++
	}
}

func (m *model) fire(t *rapid.T) {
	upTo, limit := m.cursor.Due+int64(rapid.IntRange(-1, 15).Draw(t, "up to")), rapid.IntRange(1, 700).Draw(t, "limit")
	want := m.pending(func(e *modelled) bool { return e.Due <= upTo })
	want = want[:min(limit, len(want))]
	got, to, err := m.table.Due(nil, upTo, limit)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("due up to %d: %v %v, expected %v", upTo, got, err, want)
	}
	if n := len(want); n > 0 && to.Before(want[n-1].Place()) || to.Before(m.cursor) || to != m.cursor && to.Due > upTo {
		t.Fatalf("due up to %d reaches to %v", upTo, to)
	}
	left := m.pending(func(e *modelled) bool { return e.Due <= upTo && !to.Before(e.Place()) })
	if len(left) != len(want) {
		t.Fatalf("a fire to %v passes %d messages, %d are fired", to, len(left), len(want))
	}
	if to == m.cursor || rapid.Bool().Draw(t, "nothing comes of it") {
		return
	}
	if err := m.table.Fire(m.cursor, to, int64(len(got))); err != nil {
		t.Fatal(err)
	}
	m.cursor = to
	m.counts.Fired += int64(len(got))
}

func (m *model) cancel(t *rapid.T) {
	for range rapid.IntRange(1, 50).Draw(t, "cancels") {
		if len(m.all) == 0 {
			return
		}
		e := &m.all[rapid.IntRange(0, len(m.all)-1).Draw(t, "which")]
		var want error
		switch {
		case e.Pos < m.rolled:
			want = ErrCancelled
		case !m.cursor.Before(e.Place()):
			want = ErrTooLate
		case e.cancelled:
			want = ErrCancelled
		default:
			e.cancelled = true
			m.counts.Cancelled++
		}
		if err := m.table.Cancel(e.Place()); !errors.Is(err, want) {
			t.Fatalf("cancel %v: %v, expected %v", e.Place(), err, want)
		}
	}
}

func (m *model) find(t *rapid.T) {
	due, key := m.cursor.Due+int64(rapid.IntRange(0, 20).Draw(t, "due")), rapid.Uint64Range(1, 3).Draw(t, "key")
	got, _, err := m.table.Find(due, key)
	if want := m.pending(func(e *modelled) bool { return e.Due == due && e.Key == key }); err != nil || !slices.Equal(got, want) {
		t.Fatalf("find %d: %v %v, expected %v", due, got, err, want)
	}
}

// roll parks the oldest again.
func (m *model) roll(t *rapid.T) {
	seq, limit := rapid.Uint64Range(0, m.seq).Draw(t, "up to segment"), rapid.IntRange(1, 500).Draw(t, "limit")
	want := m.pending(func(e *modelled) bool { return e.seq <= seq })
	slices.SortFunc(want, func(a, b Entry) int { return cmp.Compare(a.Pos, b.Pos) })
	want = want[:min(limit, len(want))]
	got, err := m.table.Oldest(seq, limit)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("the oldest up to segment %d: %v %v, expected %v", seq, got, err, want)
	}
	if len(got) == 0 || rapid.Bool().Draw(t, "nothing comes of it") {
		return
	}
	to := got[len(got)-1].Pos + 1
	if err := m.table.Roll(m.rolled, to, int64(len(got))); err != nil {
		t.Fatal(err)
	}
	m.rolled = to
	m.counts.Rolled += int64(len(got))
	for _, e := range got {
		m.pos++
		e.Pos = m.pos
		if err := m.table.Park(m.seq, e); err != nil {
			t.Fatal(err)
		}
		m.all = append(m.all, modelled{e, m.seq, false})
		m.counts.Scheduled++
	}
}

// end ends the open segment; it is sealed now or later.
func (m *model) end(t *rapid.T) {
	m.seq++
	if rapid.Bool().Draw(t, "sealed later") {
		return
	}
	m.sealAll(t)
}

func (m *model) sealAll(t *rapid.T) {
	for seq := m.dropped + 1; seq < m.seq; seq++ {
		o := m.table.Open(seq)
		if o == nil {
			continue
		}
		m.sealed[seq] = seal(o.Sorted())
		if err := m.table.Seal(seq, m.sealed[seq]); err != nil {
			t.Fatal(err)
		}
	}
}

// drop takes segments from the front as retention does.
func (m *model) drop(t *rapid.T) {
	for seq := m.dropped + 1; seq < m.seq; seq++ {
		want := m.pending(func(e *modelled) bool { return e.seq == seq })
		held, err := m.table.Held(seq)
		if err != nil || held != (len(want) > 0) {
			t.Fatalf("segment %d is held: %t %v, expected %d", seq, held, err, len(want))
		}
		if held || m.table.Open(seq) != nil {
			return
		}
		delete(m.sealed, seq)
		m.dropped = seq
		m.table.DropBefore(seq + 1)
	}
}

// restart restores what was saved and what is sealed. The log behind it would be applied again; here all is sealed before.
func (m *model) restart(t *rapid.T) {
	m.seq++
	m.sealAll(t)
	saved := m.table.Save()
	again := New()
	if err := again.Restore(saved); err != nil {
		t.Fatal(err)
	}
	for seq := m.dropped + 1; seq < m.seq; seq++ {
		if r := m.sealed[seq]; r != nil {
			if err := again.Attach(seq, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !bytes.Equal(again.Save(), saved) {
		t.Fatal("what was restored is saved in another way")
	}
	m.table = again
}

func (m *model) check(t *rapid.T) {
	all := m.pending(func(*modelled) bool { return true })
	if c := m.table.Counts(); c != m.counts || c.Pending() != int64(len(all)) {
		t.Fatalf("counts %+v, expected %+v and %d pending", c, m.counts, len(all))
	}
	next, ok, err := m.table.Next()
	if err != nil || ok != (len(all) > 0) || ok && next != all[0].Due {
		t.Fatalf("next %d %t %v, expected the first of %d", next, ok, err, len(all))
	}
	for seq := m.dropped + 1; seq <= m.seq; seq++ {
		want := m.pending(func(e *modelled) bool { return e.seq == seq })
		from, to := int64(math.MaxInt64), int64(0)
		for _, e := range m.all {
			if e.seq == seq {
				from, to = min(from, e.Pos), max(to, e.Pos+1)
			}
		}
		if n, err := m.table.Segment(seq, from, to); err != nil || n != len(want) {
			t.Fatalf("segment %d: %d pending, %v, expected %d", seq, n, err, len(want))
		}
		if got, err := m.table.OldestPending(nil, seq, 10); err != nil || !slices.Equal(got, want[:min(10, len(want))]) {
			t.Fatalf("segment %d: %v %v, expected %v", seq, got, err, want)
		}
	}
}

// Whatever happens in whatever order, what fires is what a list says, in order, once.
func TestTableIsAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{table: New(), seq: 1, sealed: map[uint64]*sealedRun{}}
		t.Repeat(map[string]func(*rapid.T){
			"park": m.park, "park more": m.park, "fire": m.fire, "fire more": m.fire, "cancel": m.cancel, "find": m.find, "roll": m.roll,
			"end a segment": m.end, "seal": m.sealAll, "drop": m.drop, "restart": m.restart, "": m.check,
		})
	})
}

// Members that sealed and dropped at other times save the same bytes.
func TestSavedStateDoesNotDependOnSealsAndRetention(t *testing.T) {
	var saved [][]byte
	for member := range 3 {
		tab := New()
		for seq := uint64(1); seq <= 3; seq++ {
			for i := range int64(10) {
				if err := tab.Park(seq, Entry{Due: 100*int64(4-seq) + i, Pos: int64(seq)*1000 + i}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range int64(10) { // all of the first segment, which is due last
			if err := tab.Cancel(Cursor{300 + i, 1000 + i}); err != nil {
				t.Fatal(err)
			}
		}
		if member > 0 {
			if err := sealSegment(tab, 1); err != nil {
				t.Fatal(err)
			}
		}
		if held, err := tab.Held(1); held || err != nil {
			t.Fatal("a segment with only cancelled messages is held", err)
		}
		if member > 1 {
			tab.DropBefore(2)
		}
		entries, to, err := tab.Due(nil, 150, 100)
		if err != nil || len(entries) != 10 {
			t.Fatal(entries, err)
		}
		if err := tab.Fire(Cursor{}, to, 10); err != nil {
			t.Fatal(err)
		}
		saved = append(saved, tab.Save())
	}
	if !bytes.Equal(saved[0], saved[1]) || !bytes.Equal(saved[0], saved[2]) {
		t.Errorf("%x", saved)
	}
}

// FuzzRestore: what is taken is saved as it was; all else is an error, never a panic.
func FuzzRestore(f *testing.F) {
	tab := New()
	f.Add(tab.Save())
	err := errors.Join(tab.Park(1, Entry{Due: 5, Pos: 1}), tab.Park(1, Entry{Due: 6, Pos: 2}))
	if err = errors.Join(err, tab.Fire(Cursor{}, Cursor{5, 1}, 1), tab.Cancel(Cursor{6, 2})); err != nil {
		f.Fatal(err)
	}
	f.Add(tab.Save())
	f.Add(tab.Save()[:20])
	if err = errors.Join(tab.Roll(0, 2, 0)); err != nil {
		f.Fatal(err)
	}
	f.Add(tab.Save())
	f.Fuzz(func(t *testing.T, b []byte) {
		tab := New()
		if err := tab.Restore(b); err != nil {
			if !errors.Is(err, ErrSaved) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(tab.Save(), b) {
			t.Fatalf("%x is saved as %x", b, tab.Save())
		}
	})
}
