package txn

import (
	"bytes"
	"errors"
	"hash/crc32"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/contrailmq/contrail/broker/canon"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
)

// naive is the same as Table, said in the simplest way.
type naive struct {
	open    []Half
	decided []Decided
	counts  Counts
	next    int64
}

func (n *naive) find(offset int64) int {
	return slices.IndexFunc(n.open, func(h Half) bool { return h.Offset == offset })
}

func (n *naive) canEnd(w *Wish) (again bool, ok bool) {
	if i := n.find(w.Offset); i >= 0 {
		h := n.open[i]
		return false, h.Position == w.Position && (h.Group == w.Group || w.How == entry.TxnByAdmin || w.How == entry.TxnByLastCheck)
	}
	for _, d := range n.decided {
		if d.Offset == w.Offset {
			same := d.Position == w.Position && (d.Group == w.Group || w.How == entry.TxnByAdmin || w.How == entry.TxnByLastCheck) && d.Decision == w.Decision
			return same, same
		}
	}
	return false, false
}

// due is what Due gives when nothing was handed out before.
func (n *naive) due(now int64, s Settings) (check, give []int64) {
	for _, h := range n.open {
		from := h.StoredMillis + max(s.TimeoutMillis, h.ImmunityMillis)
		if h.Checks > 0 {
			from = h.LastCheckMillis + s.IntervalMillis
		}
		switch old := now-h.StoredMillis >= s.MaxAgeMillis; {
		case old, now >= from && h.Checks >= s.ChecksMax:
			give = append(give, h.Offset)
		case now >= from:
			check = append(check, h.Offset)
		}
	}
	return check, give
}

type world struct {
	table, copied *Table
	naive         naive
	now           int64
	settings      Settings
}

// TestTableIsTheNaiveOne: after any history the table, and one that was saved and restored at any moment, say what the naive one says.
func TestTableIsTheNaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{table: New(), copied: New(), settings: Settings{TimeoutMillis: 6, IntervalMillis: 30, ChecksMax: 3, MaxAgeMillis: 500}}
		t.Repeat(map[string]func(*rapid.T){
			"put":   w.put,
			"end":   w.end,
			"check": w.check,
			"due":   w.due,
			"save":  w.save,
			"":      w.same,
		})
	})
}

func (w *world) both(t *rapid.T, what string, f func(*Table) error) error {
	err := f(w.table)
	if other := f(w.copied); (err == nil) != (other == nil) {
		t.Fatalf("%s: %v, and the copy says %v", what, err, other)
	}
	return err
}

func (w *world) put(t *rapid.T) {
	w.now += rapid.Int64Range(0, 20).Draw(t, "later")
	h := Half{
		Offset: w.naive.next + rapid.Int64Range(-1, 2).Draw(t, "gap"), Group: rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "group"),
		StoredMillis: w.now, ImmunityMillis: rapid.SampledFrom([]int64{0, 0, 3, 90}).Draw(t, "immunity"), Size: rapid.Int32Range(0, 9).Draw(t, "size"),
	}
	h.Position = 10 * h.Offset
	err := w.both(t, "put", func(table *Table) error { return table.Put(&h) })
	if (err == nil) != (h.Offset >= w.naive.next && h.Offset >= 0) {
		t.Fatalf("put of %d after %d: %v", h.Offset, w.naive.next, err)
	}
	if err == nil {
		w.naive.open = append(w.naive.open, h)
		w.naive.next = h.Offset + 1
		w.naive.counts.Put++
	}
}

func (w *world) end(t *rapid.T) {
	w.now += rapid.Int64Range(0, 20).Draw(t, "later")
	offset := rapid.Int64Range(-1, w.naive.next).Draw(t, "offset")
	wish := Wish{
		Offset: offset, Position: 10*offset + rapid.SampledFrom([]int64{0, 0, 0, 1}).Draw(t, "off"), Group: rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "group"),
		Decision: entry.TxnDecision(rapid.IntRange(1, 3).Draw(t, "decision")), How: entry.TxnHow(rapid.IntRange(2, 4).Draw(t, "how")),
	}
	_, again, err := w.table.CanEnd(w.now, w.settings.TimeoutMillis, &wish)
	wantAgain, ok := w.naive.canEnd(&wish)
	var refusal *Refusal
	if again != wantAgain || (err == nil) != ok || err != nil && !errors.As(err, &refusal) {
		t.Fatalf("%+v: again %t, %v", wish, again, err)
	}
	i := w.naive.find(offset)
	e := entry.TxnEnd{Offset: offset, Position: wish.Position, AtMillis: w.now, Decision: wish.Decision, How: wish.How}
	applied := w.both(t, "end", func(table *Table) error { return table.End(&e) })
	if may := i >= 0 && w.naive.open[i].Position == wish.Position; (applied == nil) != may {
		t.Fatalf("%+v: %v", e, applied)
	}
	if applied == nil {
		w.naive.decided = append(w.naive.decided, Decided{offset, wish.Position, w.now, w.naive.open[i].Group, wish.Decision, wish.How})
		w.naive.open = slices.Delete(w.naive.open, i, i+1)
		*w.naive.counts.of(wish.Decision)++
	}
}

func (w *world) check(t *rapid.T) {
	w.now += rapid.Int64Range(0, 20).Draw(t, "later")
	c := entry.TxnCheck{
		Offset: rapid.Int64Range(0, w.naive.next).Draw(t, "offset"), AtMillis: w.now, Times: rapid.Int32Range(1, 3).Draw(t, "times"),
		Group: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "group"),
	}
	i := w.naive.find(c.Offset)
	may := i >= 0 && w.naive.open[i].Group == c.Group && w.naive.open[i].Checks+1 == c.Times
	if err := w.both(t, "check", func(table *Table) error { return table.Check(&c) }); (err == nil) != may {
		t.Fatalf("%+v: %v", c, err)
	}
	if may {
		w.naive.open[i].Checks, w.naive.open[i].LastCheckMillis = c.Times, c.AtMillis
		w.naive.counts.ChecksAsked++
	}
}

// due: what one table handed out it does not hand out again at once; a new leader hands out everything.
func (w *world) due(t *rapid.T) {
	w.now += rapid.Int64Range(0, 60).Draw(t, "later")
	check, give := w.naive.due(w.now, w.settings)
	if rapid.Bool().Draw(t, "a new leader") {
		w.table.Forget()
		gotCheck, gotGive, _ := w.table.Due(w.now, w.settings, 1<<20)
		if !slices.Equal(sorted(gotCheck), check) || !slices.Equal(sorted(gotGive), give) {
			t.Fatalf("at %d check %v and give up %v, expected %v and %v", w.now, sorted(gotCheck), sorted(gotGive), check, give)
		}
		return
	}
	limit := rapid.IntRange(1, 3).Draw(t, "limit")
	gotCheck, gotGive, next := w.table.Due(w.now, w.settings, limit)
	for _, offset := range sorted(gotCheck) {
		if !slices.Contains(check, offset) {
			t.Fatalf("at %d check %d, expected among %v", w.now, offset, check)
		}
	}
	for _, offset := range sorted(gotGive) {
		if !slices.Contains(give, offset) {
			t.Fatalf("at %d give up %d, expected among %v", w.now, offset, give)
		}
	}
	if n := len(gotCheck) + len(gotGive); n > limit || n < limit && next <= w.now && next != 0 || (next == 0) != (len(w.naive.open) == 0) {
		t.Fatalf("at %d %d of %d, next %d with %d open", w.now, n, limit, next, len(w.naive.open))
	}
}

func sorted(halves []Half) (out []int64) {
	for _, h := range halves {
		out = append(out, h.Offset)
	}
	slices.Sort(out)
	return out
}

func (w *world) save(t *rapid.T) {
	w.copied = New()
	if err := w.copied.Restore(w.table.Save()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) same(t *rapid.T) {
	if got := w.table.Open("", 1<<20); !slices.Equal(got, w.naive.open) {
		t.Fatalf("open %v, expected %v", got, w.naive.open)
	}
	want := w.naive.counts
	if want.Open = len(w.naive.open); w.table.Counts() != want || w.copied.Counts() != want {
		t.Fatalf("%+v, the copy has %+v, expected %+v", w.table.Counts(), w.copied.Counts(), want)
	}
	for _, d := range w.naive.decided {
		if got, ok := w.table.Decided(d.Offset); !ok || got != d {
			t.Fatalf("%+v %t, expected %+v", got, ok, d)
		}
	}
	for _, g := range w.table.Groups() {
		of := w.table.Open(g.Group, 1<<20)
		if g.Group != "" && (len(of) != g.Open || of[0].StoredMillis != g.OldestStoredMillis) {
			t.Fatalf("%+v, open %v", g, of)
		}
	}
	if !bytes.Equal(w.table.Save(), w.copied.Save()) {
		t.Fatal("a copy is saved otherwise")
	}
}

// TestDecidedAreForgotten: the last DecidedMax are known, in a copy too, and forgotten in the order of the log.
func TestDecidedAreForgotten(t *testing.T) {
	table := New()
	const more = 10
	for i := range int64(DecidedMax + more) {
		end := entry.TxnEnd{Offset: i, Position: 10 * i, Decision: entry.TxnCommit, How: entry.TxnByProducer}
		if err := errors.Join(table.Put(&Half{Offset: i, Position: 10 * i, Group: "g"}), table.End(&end)); err != nil {
			t.Fatal(err)
		}
	}
	again := New()
	if err := again.Restore(table.Save()); err != nil {
		t.Fatal(err)
	}
	for _, x := range []*Table{table, again} {
		if _, ok := x.Decided(more - 1); ok {
			t.Error("more than DecidedMax are known")
		}
		if _, ok := x.Decided(more); !ok {
			t.Error("the oldest of DecidedMax is forgotten")
		}
	}
	if !bytes.Equal(table.Save(), again.Save()) {
		t.Error("a copy is saved otherwise")
	}
}

// FuzzRestore: bytes are refused, or are what Save gives for the state that they say.
func FuzzRestore(f *testing.F) {
	table := New()
	f.Add(table.Save())
	for i := range int64(6) {
		_ = table.Put(&Half{Offset: 2 * i, Position: 100 * i, Size: 100, Group: string(rune('a' + i%3)), StoredMillis: 1000 + i})
	}
	_ = table.Check(&entry.TxnCheck{Offset: 2, AtMillis: 9000, Times: 1, Group: "b"})
	_ = table.End(&entry.TxnEnd{Offset: 4, Position: 200, AtMillis: 9000, Decision: entry.TxnRollback, How: entry.TxnByAdmin})
	f.Add(table.Save())
	f.Fuzz(func(t *testing.T, b []byte) {
		table := New()
		if err := table.Restore(b); err != nil {
			if !errors.Is(err, canon.ErrFormat) || table.Save() != nil {
				t.Fatalf("%v, and %d bytes of state", err, len(table.Save()))
			}
			return
		}
		if got := table.Save(); !bytes.Equal(got, b) {
			t.Fatalf("saved as %x", got)
		}
	})
}

// BenchmarkOpen is a million open half messages: what one more, its end, and looking for what is due cost.
func BenchmarkOpen(b *testing.B) {
	table := New()
	at := int64(0)
	put := func() {
		_ = table.Put(&Half{Offset: at, Position: 10 * at, Group: "g", StoredMillis: at})
		at++
	}
	for range OpenMax {
		put()
	}
	table.Due(0, DefaultSettings(), 1)
	b.ReportAllocs()
	for b.Loop() {
		put()
		_ = table.End(&entry.TxnEnd{Offset: at - 1, Position: 10 * (at - 1), Decision: entry.TxnCommit, How: entry.TxnByProducer})
		table.Due(0, DefaultSettings(), 1)
	}
}

func BenchmarkSaveOpen(b *testing.B) {
	table := New()
	for i := range int64(OpenMax) {
		_ = table.Put(&Half{Offset: i, Position: 300 * i, Size: 300, Group: "g", StoredMillis: 1_700_000_000_000 + i/50})
	}
	for b.Loop() {
		b.ReportMetric(float64(len(table.Save()))/OpenMax, "B/half")
	}
}

// TestLeftOversAreSwept: transactions that ended leave no more behind than leftOversMax, and what is open still comes due.
func TestLeftOversAreSwept(t *testing.T) {
	table, s := New(), DefaultSettings()
	table.Due(0, s, 1)
	if err := table.Put(&Half{Offset: 0, Group: "g"}); err != nil {
		t.Fatal(err)
	}
	for i := range int64(3 * leftOversMax) {
		end := entry.TxnEnd{Offset: 1 + i, Decision: entry.TxnCommit, How: entry.TxnByProducer}
		if err := errors.Join(table.Put(&Half{Offset: 1 + i, Group: "g"}), table.End(&end)); err != nil {
			t.Fatal(err)
		}
		if n := table.plan.heap.Len(); n > leftOversMax+4 {
			t.Fatalf("%d items for one transaction", n)
		}
	}
	check, _, next := table.Due(6000, s, 10)
	if len(check) != 1 || check[0].Offset != 0 || next != 6000+AgainMillis {
		t.Errorf("%+v, next %d", check, next)
	}
	if h, ok := table.Oldest(); !ok || h != check[0] {
		t.Errorf("the oldest is %+v", h)
	}
}

// TestRoom: more than OpenMax is refused with both numbers.
func TestRoom(t *testing.T) {
	table := New()
	if err := table.Room(OpenMax); err != nil {
		t.Error(err)
	}
	var refusal *Refusal
	if err := table.Room(OpenMax + 1); !errors.As(err, &refusal) || refusal.Text != "0 transactions are open, and 1048577 more would be more than 1048576" {
		t.Error(err)
	}
}

// TestHalfOf: what a stored half message says, and a time before the first check that is none.
func TestHalfOf(t *testing.T) {
	for seconds, want := range map[string]int64{"": 0, "5": 5000, "0": 0, "-1": 0, "x": 0, "999999999999": ImmunityMaxMillis} {
		run := message.AppendProperty(nil, message.PropProducerGroup, "g")
		run = message.AppendProperty(run, PropImmunity, seconds)
		v := message.View(message.Append(nil, &message.Draft{Topic: []byte("half"), Properties: run}))
		message.Place(v, 0, 7, 800, 900)
		if got := HalfOf(v); got != (Half{Offset: 7, Position: 800, Size: int32(len(v)), Group: "g", StoredMillis: 900, ImmunityMillis: want, Sum: crc32.Checksum(v, castagnoli)}) {
			t.Errorf("%q: %+v", seconds, got)
		}
	}
}
