package delivery

import "github.com/contrailmq/contrail/broker/agenda"

// AgainMillis is when Due names a lease again of which nothing was revived meanwhile.
const AgainMillis = 5_000

// leftOversMax is how many left-overs the plan may have besides as many as there are leases.
const leftOversMax = 1024

// plan is when each lease is over. An item whose time is not its slot's wake is a left-over.
type plan struct{ heap agenda.Heap }

// Lease is messages in flight.
type Lease struct {
	Key
	Start, PopMillis int64 // the handle
	InvisibleMillis  int64
	Client           string
	Offsets          []int64 // in flight
}

// Due gives what is over, at most limit of both: leases, whose messages are to be revived, and ordered queues that nothing
// blocks any more: who waits for them may pop. next is when something is over after that (0: never); it is not after now
// when limit cut the answer short. A lease is given again after AgainMillis unless it ended; a queue is given once.
func (t *Table) Due(now int64, limit int) (over []Lease, free []Key, next int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.plan == nil {
		t.plan = &plan{}
		t.replanLocked()
	}
	for {
		top, ok := t.plan.heap.Top()
		switch {
		case !ok:
			return over, free, 0
		case t.slots[top.ID].wake != top.At:
			t.plan.heap.Pop()
			continue
		case top.At > now || len(over)+len(free) >= limit:
			return over, free, top.At
		}
		t.plan.heap.Pop()
		s := &t.slots[top.ID]
		if s.count == 0 {
			s.wake = 0
			free = append(free, t.queues[s.queue].key)
			continue
		}
		over = append(over, t.leaseOf(top.ID))
		t.wakeLocked(top.ID, now+AgainMillis)
	}
}

func (t *Table) leaseOf(i int32) Lease {
	s := &t.slots[i]
	l := Lease{t.queues[s.queue].key, s.start, s.pop, s.invisible, t.clients.all[s.client].name, nil}
	for m := range int(s.count) {
		if s.acked>>m&1 == 0 {
			l.Offsets = append(l.Offsets, t.offset(i, m))
		}
	}
	if s.count == 0 {
		for _, it := range t.queues[s.queue].ordered.items {
			l.Offsets = append(l.Offsets, it.offset)
		}
	}
	return l
}

// Leases gives at most limit leases of a group in a queue by their first offset; of an ordered queue the batch.
func (t *Table) Leases(k Key, limit int) []Lease {
	t.mu.RLock()
	defer t.mu.RUnlock()
	q, _ := t.find(k.Group, k.Topic, k.QueueID)
	if q == nil {
		return nil
	}
	slots := q.leases
	if q.ordered != nil {
		slots = []int32{q.ordered.slot}
	}
	var out []Lease
	for _, i := range slots[:min(len(slots), limit)] {
		out = append(out, t.leaseOf(i))
	}
	return out
}

// Forget drops what only a leader needs.
func (t *Table) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.plan = nil
}

// over is when a slot's lease is over, or its ordered queue free. Never 0: that is the wake of nothing.
func (t *Table) over(i int32) int64 {
	s := &t.slots[i]
	if s.count > 0 {
		return s.until()
	}
	return max(t.queues[s.queue].ordered.free(), 1)
}

// planLocked notes when a slot is due.
func (t *Table) planLocked(i int32) {
	if t.plan != nil {
		t.wakeLocked(i, t.over(i))
	}
}

func (t *Table) wakeLocked(i int32, at int64) {
	if t.slots[i].wake == at {
		return
	}
	t.slots[i].wake = at
	t.plan.heap.Push(agenda.Item{At: at, ID: i})
	if t.plan.heap.Len() > 2*t.leases+leftOversMax {
		t.sweepLocked()
	}
}

// sweepLocked drops left-overs.
func (t *Table) sweepLocked() {
	var items []agenda.Item
	for i := range t.slots {
		if wake := t.slots[i].wake; wake != 0 {
			items = append(items, agenda.Item{At: wake, ID: int32(i)})
		}
	}
	t.plan.heap = agenda.Make(items)
}

func (t *Table) replanLocked() {
	items := make([]agenda.Item, 0, t.leases)
	add := func(i int32) {
		at := t.over(i)
		t.slots[i].wake = at
		items = append(items, agenda.Item{At: at, ID: i})
	}
	for _, q := range t.queues {
		if q == nil {
			continue
		}
		for _, i := range q.leases {
			add(i)
		}
		if q.ordered != nil {
			add(q.ordered.slot)
		}
	}
	t.plan.heap = agenda.Make(items)
}
