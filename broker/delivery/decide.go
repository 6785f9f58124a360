package delivery

import (
	"errors"
	"fmt"
	"slices"

	"github.com/contrailmq/contrail/broker/entry"
)

// Answers of RocketMQ to what is refused (org.apache.rocketmq.remoting.protocol.ResponseCode).
const (
	CodeSystemBusy     = 2
	CodeMessageIllegal = 13
	CodeNoMessage      = 208
)

// Refusal is why something may not be applied.
type Refusal struct {
	Code int
	Text string
}

func (r *Refusal) Error() string { return r.Text }

func refuse(code int, format string, args ...any) *Refusal {
	return &Refusal{code, fmt.Sprintf(format, args...)}
}

// Room is what a pop may take.
type Room struct {
	From     int64 // where to read, if Known; else at the group's consumer offset
	Known    bool
	Messages int // at most; 0 when too much is in flight
}

// CanPop says what a pop of n messages may take. The error is a *Refusal.
func (t *Table) CanPop(k Key, n int) (Room, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	r := Room{Messages: min(n, entry.LeaseMessagesMax)}
	if err := t.leasesFull(); err != nil {
		return Room{}, err
	}
	q, _ := t.find(k.Group, k.Topic, k.QueueID)
	if q == nil || !q.popped() {
		return r, nil
	}
	if q.ordered != nil {
		return Room{}, refuse(CodeSystemBusy, "%s: an ordered batch is in flight", k)
	}
	r.From, r.Known = q.next, true
	r.Messages = max(min(r.Messages, t.inFlightMax-q.inFlight), 0)
	return r, nil
}

func (t *Table) leasesFull() error {
	if t.leases >= LeasesMax {
		return refuse(CodeSystemBusy, "%d leases are in flight, the limit is %d", t.leases, LeasesMax)
	}
	return nil
}

// Again is a message that an ordered pop gets that was popped before.
type Again struct {
	Offset int64
	Times  int // its consume count in this pop
}

// Ordered is what an ordered pop may take.
type Ordered struct {
	Blocked bool // nothing, until UntilMillis
	Room         // of new messages; none before all of Again are taken
	Again   []Again

	UntilMillis int64
	PopMillis   int64 // the record's: later than the last one, so that the old handle is void
}

// PlanOrdered says what an ordered pop of n messages may take. The error is a *Refusal.
func (t *Table) PlanOrdered(now int64, k Key, attempt string, n int) (Ordered, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n = min(n, entry.LeaseMessagesMax)
	o := Ordered{PopMillis: now, Room: Room{Messages: n}}
	q, _ := t.find(k.Group, k.Topic, k.QueueID)
	switch {
	case q == nil || !q.popped():
		return o, t.leasesFull()
	case q.ordered == nil:
		return Ordered{}, refuse(CodeSystemBusy, "%s: %d messages are in flight that were not popped in order", k, q.inFlight)
	}
	b := q.ordered
	blocked := b.blocked(now)
	if blocked && !b.same(attempt) {
		return Ordered{Blocked: true, UntilMillis: b.free()}, nil
	}
	o.PopMillis = max(now, t.slots[b.slot].pop+1)
	o.Room = Room{q.next, true, max(n-len(b.items), 0)}
	if blocked {
		o.Messages = 0
	}
	o.Again = b.next(n, blocked, b.same(attempt))
	return o, nil
}

// next is the first n messages; those of the last pop only, if it is the same batch again.
func (b *batch) next(n int, leasedOnly, same bool) (out []Again) {
	for i := range b.items {
		it := &b.items[i]
		if len(out) == n || leasedOnly && !it.leased {
			break
		}
		times := int(it.times)
		if it.leased && !same {
			times++
		}
		out = append(out, Again{it.offset, times})
	}
	return out
}

// CanAck says whether an ack may be applied. again: it has no effect, because the message was acked, revived or leased anew before: who
// asks is told that all is well (AckMessageProcessor). low is the group's consumer offset, 0 if it has none. The error is a *Refusal:
// the message was never popped, or not with this handle.
func (t *Table) CanAck(k Key, a entry.PopAck, low int64) (again bool, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.canAck(k, a, low)
}

func (t *Table) canAck(k Key, a entry.PopAck, low int64) (again bool, err error) {
	q, _ := t.find(k.Group, k.Topic, k.QueueID)
	next := low
	if q != nil && q.popped() {
		next = q.next
	}
	switch {
	case a.Start < 0 || a.Offset < a.Start || a.PopMillis <= 0 || a.Offset >= next:
		return false, refuse(CodeNoMessage, "offset is illegal, key:%s@%s@%d, commit:%d, popped up to:%d", k.Topic, k.Group, k.QueueID, a.Offset, next)
	case q == nil || !q.popped():
		return true, nil
	case t.inFlightBy(q, a):
		return false, nil
	case t.forged(q, a):
		return false, refuse(CodeMessageIllegal, "%s: offset %d was not popped at %d from offset %d", k, a.Offset, a.PopMillis, a.Start)
	}
	return true, nil
}

// forged says that a handle can never have been given for a message in flight: one that is void is older than the one that holds now. Of what
// is not in flight nothing can be said: leaders' clocks differ, and the handle of an older pop may be of a later time.
func (t *Table) forged(q *queue, a entry.PopAck) bool {
	if b := q.ordered; b != nil {
		s := &t.slots[b.slot]
		it := b.find(a.Offset)
		return it != nil && (a.PopMillis > s.pop || a.PopMillis == s.pop && (a.Start != s.start || !it.leased))
	}
	if at, ok := t.search(q, a.Start, a.PopMillis); ok {
		return t.message(q.leases[at], a.Offset) < 0
	}
	for _, i := range q.leases {
		s := &t.slots[i]
		if s.start > a.Offset {
			break
		}
		if m := t.message(i, a.Offset); m >= 0 && s.acked>>m&1 == 0 {
			return a.PopMillis >= s.pop
		}
	}
	return false
}

// find gives a message of a batch, nil if it is not in it.
func (b *batch) find(offset int64) *ordered {
	for i := range b.items {
		if b.items[i].offset == offset {
			return &b.items[i]
		}
	}
	return nil
}

// CanLease says whether a pop may be applied. The error says what changed since it was planned.
func (t *Table) CanLease(r *entry.PopLease) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if err := checkLease(r); err != nil {
		return err
	}
	if err := t.leasesFull(); err != nil {
		return err
	}
	q, _ := t.find(r.Group, r.Topic, r.QueueID)
	switch {
	case q == nil:
		return nil
	case r.Order && len(q.leases) > 0:
		return errors.New("messages are in flight that were not popped in order")
	case r.Order:
		_, err := t.merge(q, r)
		return err
	case q.ordered != nil:
		return errors.New("an ordered batch is in flight")
	case q.popped() && r.From < q.next:
		return fmt.Errorf("from offset %d, those before %d were popped", r.From, q.next)
	}
	return nil
}

// StillOver takes those messages out of a revival that are not in flight any more, and says whether any are left. It is asked when nothing
// on its way touches the queue.
func (t *Table) StillOver(r *entry.PopRevive) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	q, _ := t.find(r.Group, r.Topic, r.QueueID)
	if q == nil || q.ordered != nil {
		r.Messages = r.Messages[:0]
		return false
	}
	r.Messages = slices.DeleteFunc(r.Messages, func(v entry.Revived) bool {
		_, _, ok := t.held(q, entry.PopAck{Start: r.Start, PopMillis: r.PopMillis, Offset: v.Offset})
		return !ok
	})
	return len(r.Messages) > 0 && t.canReviveLocked(q, r) == nil
}

// CanRevive says whether a revival may be applied: the lease is over, and its messages are in flight.
func (t *Table) CanRevive(r *entry.PopRevive) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	q, _ := t.find(r.Group, r.Topic, r.QueueID)
	return t.canReviveLocked(q, r)
}
