package delivery

import (
	"errors"
	"fmt"
	"slices"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
)

// Limits of what was sent back.
const (
	SentBackQueueMax = 1 << 16 // offsets of one group in one queue
	SentBackMax      = 1 << 20 // in all
)

// ErrSentBack is what was sent back before: success without any effect.
var ErrSentBack = errors.New("it was sent back before")

// BackOf is the record of a message that a consumer of a group sends back; maxTimes and level are Route's.
func BackOf(v message.View, group string, maxTimes, level int32) entry.SentBack {
	return entry.SentBack{
		Group: group, Topic: string(v.Topic()), QueueID: v.QueueID(), Offset: v.QueueOffset(), To: Route(v.ReconsumeTimes(), maxTimes, level),
	}
}

// CanSendBack says whether a message may be sent back: ErrSentBack, or nil.
func (t *Table) CanSendBack(r *entry.SentBack) error {
	if t.IsSentBack(Key{r.Group, r.Topic, r.QueueID}, r.Offset) {
		return ErrSentBack
	}
	return nil
}

// ForgetSentBack is a mistake that the simulator plants; nothing else calls it.
func (t *Table) ForgetSentBack() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n, q := range t.queues {
		if q != nil {
			q.sent = nil
			t.settle(q, int32(n))
		}
	}
	t.sent.Store(0)
}

// ForgetLeases is another one.
func (t *Table) ForgetLeases() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n, q := range t.queues {
		if q != nil && len(q.sent) == 0 {
			t.forgetLocked(int32(n))
		}
	}
}

// SendBack applies that a message was sent back. low is the group's consumer offset as applied, 0 if it has none: what lies before it is
// not remembered, nor is what comes when the set is full. Then a message may be delivered twice, never lost. An error means that the log
// contradicts itself.
func (t *Table) SendBack(r *entry.SentBack, low int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.Offset < 0 || r.To != entry.ToRetry && r.To != entry.ToDeadLetter {
		return fmt.Errorf("offset %d was sent back to %d", r.Offset, r.To)
	}
	if q, _ := t.find(r.Group, r.Topic, r.QueueID); q != nil && q.sentBack(r.Offset) {
		return fmt.Errorf("%s: offset %d was sent back already", q.key, r.Offset)
	}
	t.counts.SentBacks++
	if r.Offset < low || t.sent.Load() >= SentBackMax {
		return nil
	}
	q, _ := t.need(r.Group, r.Topic, r.QueueID)
	if len(q.sent) >= SentBackQueueMax {
		return nil
	}
	at, _ := slices.BinarySearch(q.sent, r.Offset)
	q.sent = slices.Insert(q.sent, at, r.Offset)
	t.sent.Add(1)
	return nil
}

func (q *queue) sentBack(offset int64) bool {
	_, ok := slices.BinarySearch(q.sent, offset)
	return ok
}

// IsSentBack says that the group's retry topic or dead-letter queue holds a copy of a message: another one is not made, and the message is not
// delivered again from its own queue.
func (t *Table) IsSentBack(k Key, offset int64) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	q, _ := t.find(k.Group, k.Topic, k.QueueID)
	return q != nil && q.sentBack(offset)
}

// AnySentBack says whether anything is remembered that was sent back. It takes no lock.
func (t *Table) AnySentBack() bool { return t.sent.Load() > 0 }

// SentBackIn appends the offsets from from to to that were sent back.
func (t *Table) SentBackIn(dst []int64, k Key, from, to int64) []int64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	q, _ := t.find(k.Group, k.Topic, k.QueueID)
	if q == nil {
		return dst
	}
	at, _ := slices.BinarySearch(q.sent, from)
	for ; at < len(q.sent) && q.sent[at] < to; at++ {
		dst = append(dst, q.sent[at])
	}
	return dst
}

// Passed applies that a group committed an offset: what was sent back before it is forgotten.
func (t *Table) Passed(k Key, offset int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q, n := t.find(k.Group, k.Topic, k.QueueID)
	if q == nil || len(q.sent) == 0 {
		return
	}
	at, _ := slices.BinarySearch(q.sent, offset)
	t.sent.Add(-int64(at))
	if q.sent = append(q.sent[:0], q.sent[at:]...); len(q.sent) == 0 {
		q.sent = nil
	}
	t.settle(q, n)
}
