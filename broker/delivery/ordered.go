package delivery

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/contrailmq/contrail/broker/entry"
)

// batch is what an ordered queue has in flight (org.apache.rocketmq.broker.offset.ConsumerOrderInfoManager). What was acked is not in
// it; unlike Apache's, what was acked of a batch is not popped again with the rest.
type batch struct {
	slot    int32 // holds start, pop time, invisible time and client
	attempt string
	items   []ordered // by ascending offset, never none, at most LeaseMessagesMax: a pop takes them before new ones
}

type ordered struct {
	offset int64
	until  int64  // its time is over then
	times  uint16 // how often it was popped before: its consume count
	leased bool   // is in the last pop; those that are come first
}

// blocked says that a batch keeps its queue from being popped.
func (b *batch) blocked(now int64) bool {
	for i := range b.items {
		if b.items[i].leased && now < b.items[i].until {
			return true
		}
	}
	return false
}

// free is when nothing blocks any more.
func (b *batch) free() (at int64) {
	for i := range b.items {
		if b.items[i].leased {
			at = max(at, b.items[i].until)
		}
	}
	return at
}

// Head is the first message in flight of an ordered queue: those behind it wait for it.
type Head struct {
	Offset      int64
	UntilMillis int64  // it is given to its client alone until then
	Times       int    // how often it was popped before
	Client      string // that popped last
}

// Head gives what keeps a group in an ordered queue; false: nothing does.
func (t *Table) Head(k Key) (Head, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	q, _ := t.find(k.Group, k.Topic, k.QueueID)
	if q == nil || q.ordered == nil {
		return Head{}, false
	}
	it := q.ordered.items[0]
	return Head{it.offset, it.until, int(it.times), t.clients.all[t.slots[q.ordered.slot].client].name}, true
}

func (b *batch) same(attempt string) bool { return attempt != "" && attempt == b.attempt }

// leaseOrdered pops messages in flight again, in order, and then new ones.
func (t *Table) leaseOrdered(q *queue, n int32, r *entry.PopLease) error {
	if len(q.leases) > 0 {
		return errors.New("messages are in flight that were not popped in order")
	}
	items, err := t.merge(q, r)
	if err != nil {
		return err
	}
	if b := q.ordered; b != nil {
		for _, it := range b.items {
			if it.offset < r.From {
				t.counts.Gone++
			}
		}
		t.endBatch(q)
	}
	q.next = r.Next
	if len(items) == 0 {
		return nil
	}
	b := &batch{attempt: r.Attempt, items: items}
	b.slot = t.newSlot(slot{start: r.From, pop: r.PopMillis, invisible: r.InvisibleMillis, queue: n, client: t.clients.take(r.Client)})
	q.ordered = b
	t.ordered++
	t.inFlight += len(items)
	t.planLocked(b.slot)
	return nil
}

// endBatch forgets a batch.
func (t *Table) endBatch(q *queue) {
	t.inFlight -= len(q.ordered.items)
	t.ordered--
	t.dropSlot(q.ordered.slot)
	q.ordered = nil
}

// merge is what is in flight after an ordered pop.
func (t *Table) merge(q *queue, r *entry.PopLease) (items []ordered, err error) {
	offsets, until := r.Offsets, r.PopMillis+r.InvisibleMillis
	if b := q.ordered; b != nil {
		if items, offsets, err = t.again(q, b, r); err != nil {
			return nil, err
		}
	}
	for _, offset := range offsets {
		items = append(items, ordered{offset: offset, until: until, leased: true})
	}
	return items, nil
}

// again is what was in flight before, and which offsets are new.
func (t *Table) again(q *queue, b *batch, r *entry.PopLease) (items []ordered, fresh []int64, err error) {
	blocked := b.blocked(r.PopMillis)
	switch {
	case blocked && !b.same(r.Attempt):
		return nil, nil, fmt.Errorf("it is blocked until %d", b.free())
	case r.PopMillis <= t.slots[b.slot].pop:
		return nil, nil, fmt.Errorf("at %d, after a pop at %d", r.PopMillis, t.slots[b.slot].pop)
	case r.Next < q.next || blocked && r.Next > q.next:
		return nil, nil, fmt.Errorf("to offset %d, it was popped to %d", r.Next, q.next)
	}
	fresh = r.Offsets
	for _, it := range b.items {
		switch {
		case it.offset < r.From: // retention dropped it
			continue
		case len(fresh) > 0 && fresh[0] == it.offset:
			if fresh = fresh[1:]; it.leased && !b.same(r.Attempt) {
				it.times = min(it.times, math.MaxUint16-1) + 1
			}
			it.until, it.leased = r.PopMillis+r.InvisibleMillis, true
		case len(fresh) > 0 || r.Next > q.next:
			return nil, nil, fmt.Errorf("offset %d is passed over", it.offset)
		default:
			it.leased = false
		}
		items = append(items, it)
	}
	if len(fresh) > 0 && fresh[0] < q.next {
		return nil, nil, fmt.Errorf("offset %d is not in flight", fresh[0])
	}
	return items, fresh, nil
}

// inBatch finds a message of the last pop.
func (t *Table) inBatch(q *queue, a entry.PopAck) (at int, ok bool) {
	b := q.ordered
	if s := &t.slots[b.slot]; s.pop != a.PopMillis || s.start != a.Start {
		return 0, false
	}
	at, ok = slices.BinarySearchFunc(b.items, a.Offset, func(it ordered, offset int64) int { return int(min(max(it.offset-offset, -1), 1)) })
	return at, ok && b.items[at].leased
}

func (t *Table) ackOrdered(q *queue, a entry.PopAck) {
	if len(q.ordered.items) == 1 {
		t.endBatch(q)
		return
	}
	at, _ := t.inBatch(q, a)
	q.ordered.items = slices.Delete(q.ordered.items, at, at+1)
	t.inFlight--
	t.planLocked(q.ordered.slot)
}

// changeOrdered keeps the handle: only the message's time is another one.
func (t *Table) changeOrdered(q *queue, r *entry.PopChange) bool {
	at, ok := t.inBatch(q, r.PopAck)
	if !ok || r.AtMillis < r.PopMillis {
		return false
	}
	q.ordered.items[at].until = r.AtMillis + r.InvisibleMillis
	t.planLocked(q.ordered.slot)
	return true
}
