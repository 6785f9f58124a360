package delivery

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/contrailmq/contrail/broker/entry"
)

// Lease applies a pop, and gives the group's consumer offset. An error means that the log contradicts itself.
func (t *Table) Lease(r *entry.PopLease) (low int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := checkLease(r); err != nil {
		return 0, err
	}
	q, n := t.need(r.Group, r.Topic, r.QueueID)
	if r.Order {
		err = t.leaseOrdered(q, n, r)
	} else {
		err = t.lease(q, n, r)
	}
	if err != nil {
		t.settle(q, n)
		return 0, fmt.Errorf("lease of %s: %w", q.key, err)
	}
	t.counts.Popped += int64(len(r.Offsets))
	low = t.low(q)
	t.settle(q, n)
	return low, nil
}

// checkLease looks at what does not depend on the state.
func checkLease(r *entry.PopLease) error {
	n := len(r.Offsets)
	switch {
	case n > entry.LeaseMessagesMax:
		return fmt.Errorf("lease of %d messages, the limit is %d", n, entry.LeaseMessagesMax)
	case r.From < 0 || r.Next < r.From || r.Next-r.From > entry.LeaseSpanMax:
		return fmt.Errorf("lease from offset %d to %d", r.From, r.Next)
	case n > 0 && (r.Offsets[0] < r.From || r.Offsets[n-1] >= r.Next):
		return fmt.Errorf("lease of offsets %d to %d among %d to %d", r.Offsets[0], r.Offsets[n-1], r.From, r.Next)
	}
	for i := 1; i < n; i++ {
		if r.Offsets[i] <= r.Offsets[i-1] {
			return fmt.Errorf("lease of offset %d after %d", r.Offsets[i], r.Offsets[i-1])
		}
	}
	return checkTimes(r.PopMillis, r.InvisibleMillis)
}

func checkTimes(at, invisible int64) error {
	if at <= 0 || at > math.MaxInt64/2 || invisible <= 0 || invisible > InvisibleMaxMillis {
		return fmt.Errorf("lease at %d for %d ms, the limit is %d ms", at, invisible, int64(InvisibleMaxMillis))
	}
	return nil
}

func (t *Table) lease(q *queue, n int32, r *entry.PopLease) error {
	if q.ordered != nil {
		return fmt.Errorf("an ordered batch is in flight")
	}
	if q.popped() && r.From < q.next {
		return fmt.Errorf("from offset %d, those before %d were popped", r.From, q.next)
	}
	q.next = r.Next
	if len(r.Offsets) > 0 {
		i := t.newSlot(slot{
			start: r.From, pop: r.PopMillis, invisible: r.InvisibleMillis, queue: n, client: t.clients.take(r.Client), count: uint8(len(r.Offsets)),
		})
		t.setOffsets(i, r.Offsets)
		q.leases = append(q.leases, i)
		q.inFlight += len(r.Offsets)
		t.planLocked(i)
	}
	return nil
}

// setOffsets keeps a lease's offsets only if they are not simply one after the other.
func (t *Table) setOffsets(i int32, offsets []int64) {
	s := &t.slots[i]
	if s.sparse = offsets[len(offsets)-1] != s.start+int64(len(offsets))-1; !s.sparse {
		return
	}
	deltas := make([]uint32, len(offsets))
	for m, offset := range offsets {
		deltas[m] = uint32(offset - s.start)
	}
	t.sparse[i] = deltas
}

// search finds a lease of a queue by its handle: where it is among q.leases, or would be.
func (t *Table) search(q *queue, start, pop int64) (at int, ok bool) {
	at, end := 0, len(q.leases)
	for at < end {
		mid := int(uint(at+end) >> 1)
		s := &t.slots[q.leases[mid]]
		if s.start < start || s.start == start && s.pop < pop {
			at = mid + 1
		} else {
			end = mid
		}
	}
	if at == len(q.leases) {
		return at, false
	}
	s := &t.slots[q.leases[at]]
	return at, s.start == start && s.pop == pop
}

// held finds a message in flight by its handle.
func (t *Table) held(q *queue, a entry.PopAck) (at, m int, ok bool) {
	at, ok = t.search(q, a.Start, a.PopMillis)
	if !ok {
		return 0, 0, false
	}
	i := q.leases[at]
	m = t.message(i, a.Offset)
	return at, m, m >= 0 && t.slots[i].acked>>m&1 == 0
}

// takeOut ends a message's flight, and its lease's when it was the last one.
func (t *Table) takeOut(q *queue, at, m int) {
	i := q.leases[at]
	s := &t.slots[i]
	s.acked |= 1 << m
	q.inFlight--
	t.inFlight--
	if s.acked == math.MaxUint64>>(64-s.count) {
		q.leases = slices.Delete(q.leases, at, at+1)
		t.dropSlot(i)
	}
}

// Ack applies acknowledgements, and gives the group's consumer offset. An error means that the log contradicts itself.
func (t *Table) Ack(r *entry.PopAcks) (low int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q, n := t.find(r.Group, r.Topic, r.QueueID)
	if q == nil {
		return 0, fmt.Errorf("acks of %s: nothing is in flight", Key{r.Group, r.Topic, r.QueueID})
	}
	if err := t.checkAcks(q, r.Acks); err != nil {
		return 0, err
	}
	for _, a := range r.Acks {
		t.ack(q, a)
	}
	t.counts.Acked += int64(len(r.Acks))
	low = t.low(q)
	t.settle(q, n)
	return low, nil
}

// checkAcks: they ascend by handle and offset, so that none is there twice.
func (t *Table) checkAcks(q *queue, acks []entry.PopAck) error {
	for i, a := range acks {
		if i > 0 && CompareAcks(acks[i-1], a) >= 0 {
			return fmt.Errorf("acks of %s: offset %d does not come after %d", q.key, a.Offset, acks[i-1].Offset)
		}
		if !t.inFlightBy(q, a) {
			return fmt.Errorf("ack of %s: offset %d is not in flight in the lease %d of %d", q.key, a.Offset, a.Start, a.PopMillis)
		}
	}
	return nil
}

// CompareAcks is the order of acks in a record.
func CompareAcks(a, b entry.PopAck) int {
	return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.PopMillis, b.PopMillis), cmp.Compare(a.Offset, b.Offset))
}

// inFlightBy says that a handle's message is in flight.
func (t *Table) inFlightBy(q *queue, a entry.PopAck) (ok bool) {
	if q.ordered != nil {
		_, ok = t.inBatch(q, a)
		return ok
	}
	_, _, ok = t.held(q, a)
	return ok
}

func (t *Table) ack(q *queue, a entry.PopAck) {
	if q.ordered != nil {
		t.ackOrdered(q, a)
		return
	}
	at, m, _ := t.held(q, a)
	t.takeOut(q, at, m)
}

// Change applies another time for one message, and gives the group's consumer offset. An error means that the log contradicts itself.
func (t *Table) Change(r *entry.PopChange) (low int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := checkTimes(r.AtMillis, r.InvisibleMillis); err != nil {
		return 0, err
	}
	q, n := t.find(r.Group, r.Topic, r.QueueID)
	if q == nil {
		return 0, fmt.Errorf("change of %s: nothing is in flight", Key{r.Group, r.Topic, r.QueueID})
	}
	ok := false
	if q.ordered != nil {
		ok = t.changeOrdered(q, r)
	} else {
		ok = t.change(q, n, r)
	}
	if !ok {
		return 0, fmt.Errorf("change of %s at %d: offset %d is not in flight in the lease %d of %d", q.key, r.AtMillis, r.Offset, r.Start, r.PopMillis)
	}
	t.counts.Changed++
	return t.low(q), nil
}

// change moves a message to a lease of its own: the old handle is void.
func (t *Table) change(q *queue, n int32, r *entry.PopChange) bool {
	at, m, ok := t.held(q, r.PopAck)
	if !ok || r.AtMillis <= r.PopMillis {
		return false
	}
	t.takeOut(q, at, m)
	i := t.newSlot(slot{start: r.Offset, pop: r.AtMillis, invisible: r.InvisibleMillis, queue: n, client: t.clients.take(r.Client), count: 1})
	at, _ = t.search(q, r.Offset, r.AtMillis)
	q.leases = slices.Insert(q.leases, at, i)
	q.inFlight++
	t.planLocked(i)
	return true
}

// Revive applies that messages of an expired lease are somewhere else now, and gives the group's consumer offset. An error means that
// the log contradicts itself.
func (t *Table) Revive(r *entry.PopRevive) (low int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q, n := t.find(r.Group, r.Topic, r.QueueID)
	if err := t.canReviveLocked(q, r); err != nil {
		return 0, err
	}
	for _, v := range r.Messages {
		at, m, _ := t.held(q, entry.PopAck{Start: r.Start, PopMillis: r.PopMillis, Offset: v.Offset})
		t.takeOut(q, at, m)
		switch v.To {
		case entry.ToRetry:
			t.counts.Retried++
		case entry.ToDeadLetter:
			t.counts.DeadLettered++
		default:
			t.counts.Gone++
		}
	}
	low = t.low(q)
	t.settle(q, n)
	return low, nil
}

func (t *Table) canReviveLocked(q *queue, r *entry.PopRevive) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("revival of %s: %s", Key{r.Group, r.Topic, r.QueueID}, fmt.Sprintf(format, args...))
	}
	if q == nil || q.ordered != nil {
		return fail("no lease is in flight")
	}
	at, ok := t.search(q, r.Start, r.PopMillis)
	if !ok {
		return fail("there is no lease %d of %d", r.Start, r.PopMillis)
	}
	i := q.leases[at]
	if until := t.slots[i].until(); r.AtMillis < until {
		return fail("at %d, the lease %d of %d ends at %d", r.AtMillis, r.Start, r.PopMillis, until)
	}
	last := int64(-1)
	for _, v := range r.Messages {
		m := t.message(i, v.Offset)
		if m < 0 || t.slots[i].acked>>m&1 == 1 || v.Offset <= last || v.To < entry.ToRetry || v.To > entry.ToNothing {
			return fail("offset %d is not in flight in the lease %d of %d, or cannot go to %d", v.Offset, r.Start, r.PopMillis, v.To)
		}
		last = v.Offset
	}
	if len(r.Messages) == 0 {
		return fail("nothing is named")
	}
	return nil
}
