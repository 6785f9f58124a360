package delivery

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/contrailmq/contrail/broker/entry"
)

// flight is one offset in flight, as the naive model has it.
type flight struct {
	start, pop, until int64
	times             int
	leased            bool // ordered: in the last pop
}

// naive is one queue: every offset below next is in flight or settled, and never comes back from there.
type naive struct {
	next    int64
	low     int64 // the group's consumer offset
	flights map[int64]flight
	settled map[int64]string
	sent    map[int64]bool
	order   bool
	pop     int64 // ordered: the last one
	start   int64
	attempt string
}

func newNaive(order bool) *naive {
	return &naive{order: order, flights: map[int64]flight{}, settled: map[int64]string{}, sent: map[int64]bool{}}
}

func (n *naive) offsets() []int64 { return slices.Sorted(maps.Keys(n.flights)) }

// settle ends a flight.
func (n *naive) settle(t *rapid.T, offset int64, how string) {
	if was, ok := n.settled[offset]; ok {
		t.Fatalf("offset %d is %s, and was %s", offset, how, was)
	}
	n.settled[offset] = how
	delete(n.flights, offset)
}

func (n *naive) blocked(now int64) bool {
	for _, f := range n.flights {
		if f.leased && now < f.until {
			return true
		}
	}
	return false
}

// expected is the consumer offset of what is in flight.
func (n *naive) expected() int64 {
	if len(n.flights) == 0 {
		return n.next
	}
	return n.offsets()[0]
}

type world struct {
	table, copied *Table
	queues        map[Key]*naive
	keys          []Key
	now           int64
}

func newWorld() *world {
	w := &world{table: New(40), copied: New(40), queues: map[Key]*naive{}, now: 1}
	for _, k := range []Key{{"g", "t", 0}, {"g", "t", 1}, {"h", "t", 0}} {
		w.queues[k] = newNaive(k.QueueID == 1)
		w.keys = append(w.keys, k)
	}
	return w
}

// TestTableIsTheNaiveOne: after any history each offset that was popped is in flight, acked or revived, exactly one of them; the consumer
// offset is the lowest in flight; what is refused changes nothing; and a table that was saved and restored at any moment is the same.
func TestTableIsTheNaiveOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		t.Repeat(map[string]func(*rapid.T){
			"pop":       w.pop,
			"pop2":      w.pop,
			"ack":       w.ack,
			"change":    w.change,
			"revive":    w.revive,
			"invented":  w.invented,
			"sent back": w.sendBack,
			"reset":     w.reset,
			"save":      w.save,
			"":          w.same,
		})
	})
}

func (w *world) pick(t *rapid.T) (Key, *naive) {
	w.now += rapid.Int64Range(0, 3).Draw(t, "later")
	k := rapid.SampledFrom(w.keys).Draw(t, "queue")
	return k, w.queues[k]
}

// both applies to the table and to its copy; an error must leave them as they were.
func (w *world) both(t *rapid.T, f func(*Table) (int64, error)) (int64, error) {
	before := w.table.Save()
	low, err := f(w.table)
	low2, err2 := f(w.copied)
	if low != low2 || (err == nil) != (err2 == nil) {
		t.Fatalf("low %d, %v; the copy says %d, %v", low, err, low2, err2)
	}
	if err != nil && !bytes.Equal(w.table.Save(), before) {
		t.Fatalf("%v, and the state is another one", err)
	}
	return low, err
}

func (w *world) must(t *rapid.T, n *naive, f func(*Table) (int64, error)) {
	low, err := w.both(t, f)
	if err != nil {
		t.Fatal(err)
	}
	if n.low = n.expected(); low != n.low {
		t.Fatalf("low %d, expected %d", low, n.low)
	}
	if len(n.flights) == 0 {
		n.next = n.low
	}
}

func (w *world) pop(t *rapid.T) {
	k, n := w.pick(t)
	r := &entry.PopLease{
		Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Client: rapid.SampledFrom([]string{"c", "d", ""}).Draw(t, "client"),
		Order: n.order, PopMillis: w.now, InvisibleMillis: rapid.Int64Range(1, 12).Draw(t, "for"),
	}
	if n.order {
		w.popOrdered(t, k, n, r)
		return
	}
	room, err := w.table.CanPop(k, rapid.IntRange(1, 12).Draw(t, "max"))
	if err != nil || room.Known != (len(n.flights) > 0) || room.Known && room.From != n.next || room.Messages > 40-len(n.flights) {
		t.Fatalf("%+v with %d in flight and next %d: %v", room, len(n.flights), n.next, err)
	}
	r.From = n.next
	r.Next = fresh(t, r, r.From, room.Messages)
	for _, offset := range r.Offsets {
		n.flights[offset] = flight{start: r.From, pop: r.PopMillis, until: r.PopMillis + r.InvisibleMillis}
	}
	n.next = r.Next
	w.must(t, n, func(x *Table) (int64, error) { return leased(x, r) })
}

// fresh adds new messages, with gaps, and gives where the next pop begins.
func fresh(t *rapid.T, r *entry.PopLease, from int64, most int) int64 {
	for range rapid.IntRange(0, most).Draw(t, "messages") {
		if rapid.IntRange(0, 5).Draw(t, "gap") == 0 {
			from += rapid.Int64Range(1, 3).Draw(t, "by")
		}
		r.Offsets = append(r.Offsets, from)
		from++
	}
	return from + rapid.Int64Range(0, 1).Draw(t, "behind")
}

func (w *world) popOrdered(t *rapid.T, k Key, n *naive, r *entry.PopLease) {
	r.Attempt = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "attempt")
	same, blocked := r.Attempt != "" && r.Attempt == n.attempt && len(n.flights) > 0, n.blocked(w.now)
	most := rapid.IntRange(1, 6).Draw(t, "max")
	o, err := w.table.PlanOrdered(w.now, k, r.Attempt, most)
	if err != nil || o.Blocked != (blocked && !same) {
		t.Fatalf("%+v, blocked %t, the same attempt %t: %v", o, blocked, same, err)
	}
	r.PopMillis, r.From = o.PopMillis, n.expected()
	if o.Blocked {
		r.PopMillis = max(w.now, n.pop+1)
		r.Offsets, r.Next = n.offsets(), n.next
		if n.blocked(r.PopMillis) { // the millisecond that a new handle needs may be what it waited for
			if _, err := w.both(t, func(x *Table) (int64, error) { return leased(x, r) }); err == nil {
				t.Fatal("a blocked queue was popped")
			}
		}
		return
	}
	w.again(t, n, r, o, same, blocked)
	if r.Next = n.next; o.Messages > 0 {
		r.Next = fresh(t, r, n.next, o.Messages)
	}
	for _, offset := range r.Offsets {
		f := n.flights[offset]
		f.until, f.leased = r.PopMillis+r.InvisibleMillis, true
		n.flights[offset] = f
	}
	n.next, n.pop, n.start, n.attempt = r.Next, r.PopMillis, r.From, r.Attempt
	w.must(t, n, func(x *Table) (int64, error) { return leased(x, r) })
}

// again takes what was popped before, from the lowest on.
func (w *world) again(t *rapid.T, n *naive, r *entry.PopLease, o Ordered, same, blocked bool) {
	for i, offset := range n.offsets() {
		f := n.flights[offset]
		if i < len(o.Again) {
			if f.leased && !same {
				f.times++
			}
			if got := o.Again[i]; got.Offset != offset || got.Times != f.times || blocked && !f.leased {
				t.Fatalf("again %+v, expected %d %+v", o.Again, offset, f)
			}
			r.Offsets = append(r.Offsets, offset)
		} else {
			f.leased = false
			if o.Messages > 0 {
				t.Fatalf("%d new ones, and %d is passed over", o.Messages, offset)
			}
		}
		n.flights[offset] = f
	}
}

// handle draws a message in flight, and what its client knows of it.
func (w *world) handle(t *rapid.T, n *naive) (entry.PopAck, bool) {
	var may []int64
	for _, offset := range n.offsets() {
		if !n.order || n.flights[offset].leased {
			may = append(may, offset)
		}
	}
	if len(may) == 0 {
		return entry.PopAck{}, false
	}
	offset := rapid.SampledFrom(may).Draw(t, "offset")
	if n.order {
		return entry.PopAck{Start: n.start, PopMillis: n.pop, Offset: offset}, true
	}
	f := n.flights[offset]
	return entry.PopAck{Start: f.start, PopMillis: f.pop, Offset: offset}, true
}

func (w *world) ack(t *rapid.T) {
	k, n := w.pick(t)
	r := &entry.PopAcks{Group: k.Group, Topic: k.Topic, QueueID: k.QueueID}
	for range rapid.IntRange(1, 3).Draw(t, "acks") {
		a, ok := w.handle(t, n)
		if !ok {
			break
		}
		if again, err := w.table.CanAck(k, a, n.low); again || err != nil {
			t.Fatalf("ack %+v: again %t, %v", a, again, err)
		}
		n.settle(t, a.Offset, "acked")
		r.Acks = append(r.Acks, a)
	}
	if len(r.Acks) == 0 {
		return
	}
	slices.SortFunc(r.Acks, CompareAcks)
	w.must(t, n, func(x *Table) (int64, error) { return x.Ack(r) })
	for _, a := range r.Acks {
		if again, err := w.table.CanAck(k, a, n.low); !again || err != nil {
			t.Fatalf("a second ack of %+v: again %t, %v", a, again, err)
		}
	}
	if _, err := w.both(t, func(x *Table) (int64, error) { return x.Ack(r) }); err == nil {
		t.Fatal("the same acks were applied twice")
	}
}

func (w *world) change(t *rapid.T) {
	k, n := w.pick(t)
	a, ok := w.handle(t, n)
	if !ok {
		return
	}
	at, again, err := mayChange(w.table, w.now, k, a, n.low)
	if again || err != nil {
		t.Fatalf("change of %+v: again %t, %v", a, again, err)
	}
	r := &entry.PopChange{Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, PopAck: a, AtMillis: at, InvisibleMillis: rapid.Int64Range(1, 12).Draw(t, "for")}
	f := n.flights[a.Offset]
	if f.until = at + r.InvisibleMillis; !n.order {
		f.start, f.pop = a.Offset, at
	}
	n.flights[a.Offset] = f
	w.must(t, n, func(x *Table) (int64, error) { return x.Change(r) })
	if again, _ := w.table.CanAck(k, a, n.low); again == n.order {
		t.Fatalf("the handle %+v of before: again %t", a, again)
	}
}

// revive takes some of what Due gives, which is what is over.
func (w *world) revive(t *rapid.T) {
	w.now += rapid.Int64Range(0, 20).Draw(t, "later")
	w.table.Forget()
	over, _, _ := w.table.Due(w.now, 1<<20)
	got := map[Key][]int64{}
	for _, l := range over {
		got[l.Key] = append(got[l.Key], l.Offsets...)
	}
	for _, k := range w.keys {
		var want []int64
		for _, offset := range w.queues[k].offsets() {
			if !w.queues[k].order && w.queues[k].flights[offset].until <= w.now {
				want = append(want, offset)
			}
		}
		if slices.Sort(got[k]); !slices.Equal(got[k], want) {
			t.Fatalf("%s: over are %v, expected %v", k, got[k], want)
		}
	}
	if len(over) == 0 {
		return
	}
	l := rapid.SampledFrom(over).Draw(t, "lease")
	n := w.queues[l.Key]
	r := &entry.PopRevive{Group: l.Group, Topic: l.Topic, QueueID: l.QueueID, Start: l.Start, PopMillis: l.PopMillis, AtMillis: w.now}
	for _, offset := range l.Offsets {
		if rapid.Bool().Draw(t, "this one") || len(r.Messages) == 0 {
			r.Messages = append(r.Messages, entry.Revived{Offset: offset, To: entry.PopTo(rapid.IntRange(1, 3).Draw(t, "to"))})
			n.settle(t, offset, "revived")
		}
	}
	early := *r
	early.AtMillis = l.PopMillis + l.InvisibleMillis - 1
	if _, err := w.both(t, func(x *Table) (int64, error) { return revived(x, &early) }); err == nil {
		t.Fatal("revived before its time is over")
	}
	w.must(t, n, func(x *Table) (int64, error) { return revived(x, r) })
}

// invented handles change nothing, and those that can never have been given are refused.
func (w *world) invented(t *rapid.T) {
	k, n := w.pick(t)
	a := entry.PopAck{
		Start: rapid.Int64Range(-1, n.next+2).Draw(t, "start"), PopMillis: rapid.Int64Range(-1, w.now+2).Draw(t, "pop"),
		Offset: rapid.Int64Range(-1, n.next+2).Draw(t, "offset"),
	}
	if real, ok := w.handle(t, n); ok && rapid.Bool().Draw(t, "nearly a real one") {
		a = real
		a.PopMillis += rapid.Int64Range(-2, 2).Draw(t, "off by")
	}
	f, ok := n.flights[a.Offset]
	if ok && f.start == a.Start && f.pop == a.PopMillis || n.order && ok && n.start == a.Start && n.pop == a.PopMillis && f.leased {
		return
	}
	again, err := w.table.CanAck(k, a, n.low)
	if !again && err == nil || a.Offset >= n.next && err == nil || ok && !n.order && a.PopMillis > f.pop && err == nil {
		t.Fatalf("%+v where %+v is: again %t, %v", a, f, again, err)
	}
	if _, err := w.both(t, func(x *Table) (int64, error) {
		return x.Ack(&entry.PopAcks{Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Acks: []entry.PopAck{a}})
	}); err == nil {
		t.Fatalf("an ack of %+v was applied where %+v is", a, f)
	}
}

func (w *world) sendBack(t *rapid.T) {
	k, n := w.pick(t)
	offset := rapid.Int64Range(0, 20).Draw(t, "offset")
	if rapid.Bool().Draw(t, "passed") {
		for _, x := range []*Table{w.table, w.copied} {
			x.Passed(k, offset)
		}
		maps.DeleteFunc(n.sent, func(o int64, _ bool) bool { return o < offset })
		return
	}
	low := rapid.Int64Range(0, 10).Draw(t, "low")
	r := &entry.SentBack{Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Offset: offset, To: entry.ToRetry}
	if _, err := w.both(t, func(x *Table) (int64, error) { return 0, x.SendBack(r, low) }); (err == nil) == n.sent[offset] {
		t.Fatalf("offset %d, sent back before %t: %v", offset, n.sent[offset], err)
	}
	if offset >= low {
		n.sent[offset] = true
	}
}

// reset begins a queue anew, also as a deletion does.
func (w *world) reset(t *rapid.T) {
	k, _ := w.pick(t)
	all := rapid.SampledFrom([]string{"no", "no", "no", "group", "topic"}).Draw(t, "all")
	for _, x := range []*Table{w.table, w.copied} {
		switch all {
		case "group":
			x.DropGroup(k.Group)
		case "topic":
			x.DropTopic(k.Topic)
		default:
			x.ResetQueue(k)
		}
	}
	for _, other := range w.keys {
		if o := w.queues[other]; other == k || all == "topic" || all == "group" && other.Group == k.Group {
			w.queues[other] = newNaive(o.order)
			w.queues[other].next, w.queues[other].low = o.next, o.next
		}
	}
}

func (w *world) save(t *rapid.T) {
	w.copied = New(40)
	if err := w.copied.Restore(w.table.Save()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) same(t *rapid.T) {
	flights := 0
	for _, k := range w.keys {
		n := w.queues[k]
		var got []int64
		for _, l := range w.table.Leases(k, 1<<20) {
			got = append(got, l.Offsets...)
		}
		slices.Sort(got)
		if !slices.Equal(got, n.offsets()) {
			t.Fatalf("%s: in flight %v, expected %v", k, got, n.offsets())
		}
		if sent := w.table.SentBackIn(nil, k, 0, 1<<20); !slices.Equal(sent, slices.Sorted(maps.Keys(n.sent))) {
			t.Fatalf("%s: sent back %v, expected %v", k, sent, n.sent)
		}
		flights += len(got)
	}
	if c := w.table.Counts(); c.InFlight != flights || c != w.copied.Counts() {
		t.Fatalf("%+v, the copy has %+v, expected %d in flight", c, w.copied.Counts(), flights)
	}
	if !bytes.Equal(w.table.Save(), w.copied.Save()) {
		t.Fatal("a copy is saved otherwise")
	}
}

// TestDueIsInOrder: what is over comes once, the earliest first, and next says when to ask again.
func TestDueIsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := New(0)
		want := map[int64]int{}
		table.Due(0, 1)
		n := rapid.IntRange(1, 30).Draw(t, "leases")
		for i := range int64(n) {
			millis := rapid.Int64Range(1, 50).Draw(t, "for")
			want[100+millis]++
			if _, err := table.Lease(&entry.PopLease{Group: "g", Topic: "t", From: i, Next: i + 1, PopMillis: 100, InvisibleMillis: millis, Offsets: []int64{i}}); err != nil {
				t.Fatal(err)
			}
		}
		for _, at := range slices.Sorted(maps.Keys(want)) {
			if over, _, next := table.Due(at-1, 1000); len(over) > 0 || next != at {
				t.Fatalf("at %d %d are over, next %d, expected %d", at-1, len(over), next, at)
			}
			over, _, _ := table.Due(at, cmp.Or(want[at], 1))
			if len(over) != want[at] {
				t.Fatalf("at %d %d are over, expected %d", at, len(over), want[at])
			}
			for _, l := range over {
				r := entry.PopRevive{Group: "g", Topic: "t", Start: l.Start, PopMillis: 100, AtMillis: at, Messages: []entry.Revived{{Offset: l.Start, To: entry.ToRetry}}}
				if _, err := table.Revive(&r); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, _, next := table.Due(1<<40, 1); next != 0 || table.Counts().Leases != 0 {
			t.Fatalf("next %d, %d leases", next, table.Counts().Leases)
		}
	})
}

// leased applies a pop; CanLease has said whether it may be.
func leased(x *Table, r *entry.PopLease) (int64, error) {
	can := x.CanLease(r)
	low, err := x.Lease(r)
	if (can == nil) != (err == nil) {
		panic(fmt.Sprintf("CanLease says %v, Lease %v", can, err))
	}
	return low, err
}

// revived applies a revival; StillOver has said whether it may be, and left out only what is not in flight: here one that never was.
func revived(x *Table, r *entry.PopRevive) (int64, error) {
	asked := *r
	asked.Messages = append(slices.Clone(r.Messages), entry.Revived{Offset: 1 << 40, To: entry.ToRetry})
	over := x.StillOver(&asked)
	low, err := x.Revive(r)
	if over != (err == nil) || over && !slices.Equal(asked.Messages, r.Messages) {
		panic(fmt.Sprintf("StillOver says %t with %v of %v, Revive %v", over, asked.Messages, r.Messages, err))
	}
	return low, err
}

// mayChange asks for another time of one message: at is when it would be given, again that it is not in flight any more.
func mayChange(t *Table, now int64, k Key, a entry.PopAck, low int64) (at int64, again bool, err error) {
	e := &Settle{Ack: a, VisibleMillis: 1}
	t.Settle(k, now, low, []*Settle{e})
	if errors.Is(e.Err, ErrSettled) {
		return 0, true, nil
	}
	return e.AtMillis, false, e.Err
}
