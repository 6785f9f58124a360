package sim

import (
	"fmt"
	"slices"

	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
)

// orderedLog is ordered pops told naively, from the log alone: of each queue the messages that were popped and not acknowledged are given again,
// first and in order, and to nobody else as long as one of the last pop has time left; what is acknowledged never comes again.
type orderedLog struct {
	o      *orders
	queues [queues]orderedQueue
	inAll  int // messages in flight
}

type orderedQueue struct {
	end     int64 // of the queue
	next    int64 // to pop
	pending []*orderedMessage
	handle  entry.PopAck // of the last pop, without an offset
	attempt string
	given   map[entry.PopAck]*orderedMessage
}

// orderedMessage was popped and is not acknowledged, or was.
type orderedMessage struct {
	offset int64
	until  int64
	last   bool // it is of the last pop
	acked  bool
	gone   bool // retention took it
}

func (l *orderedLog) init(o *orders) {
	l.o = o
	for i := range l.queues {
		l.queues[i].given = map[entry.PopAck]*orderedMessage{}
	}
}

// blocked says that a message of the last pop has time left.
func (q *orderedQueue) blocked(now int64) bool {
	return slices.ContainsFunc(q.pending, func(m *orderedMessage) bool { return m.last && now < m.until })
}

func (q *orderedQueue) low() int64 {
	if len(q.pending) > 0 {
		return q.pending[0].offset
	}
	return q.next
}

func (o *orders) command(k entry.Kind, body []byte, _ entry.Record) error {
	switch k {
	case entry.KindPopLease:
		var r entry.PopLease
		if err := entry.DecodePopLease(body, &r); err != nil || !r.Order {
			return err
		}
		return o.log.lease(&r)
	case entry.KindPopAck:
		var r entry.PopAcks
		if err := entry.DecodePopAcks(body, &r); err != nil || r.Group != orderedGroup {
			return err
		}
		for _, a := range r.Acks {
			m, err := o.log.held(r.QueueID, a)
			if err != nil {
				return err
			}
			m.acked = true
			o.w.covered(OrderedAcked)
			o.log.drop(&o.log.queues[r.QueueID], func(p *orderedMessage) bool { return p == m })
		}
	case entry.KindPopChange:
		var r entry.PopChange
		if err := entry.DecodePopChange(body, &r); err != nil || r.Group != orderedGroup {
			return err
		}
		m, err := o.log.held(r.QueueID, r.PopAck)
		if err != nil {
			return err
		}
		m.until = r.AtMillis + r.InvisibleMillis
	}
	return nil
}

func (l *orderedLog) drop(q *orderedQueue, which func(*orderedMessage) bool) {
	n := len(q.pending)
	q.pending = slices.DeleteFunc(q.pending, which)
	l.inAll -= n - len(q.pending)
}

// held gives a message of the last pop by its handle.
func (l *orderedLog) held(id int32, a entry.PopAck) (*orderedMessage, error) {
	q := &l.queues[id]
	for _, m := range q.pending {
		if m.offset == a.Offset && m.last && q.handle == (entry.PopAck{Start: a.Start, PopMillis: a.PopMillis}) {
			return m, nil
		}
	}
	return nil, fmt.Errorf("offset %d of ordered queue %d is not in flight by the handle %+v", a.Offset, id, a)
}

func (l *orderedLog) lease(r *entry.PopLease) error {
	q := &l.queues[r.QueueID]
	if q.blocked(r.PopMillis) && (r.Attempt == "" || r.Attempt != q.attempt || r.Next != q.next) {
		return fmt.Errorf("ordered queue %d is popped by %s at %d, and attempt %s has time left", r.QueueID, r.Attempt, r.PopMillis, q.attempt)
	}
	if r.Next < q.next || r.Next > q.end || len(q.pending) > 0 && r.PopMillis <= q.handle.PopMillis {
		return fmt.Errorf("ordered queue %d is popped to %d at %d, it was to %d at %d, and ends at %d", r.QueueID, r.Next, r.PopMillis, q.next, q.handle.PopMillis, q.end)
	}
	l.drop(q, func(m *orderedMessage) bool { m.gone = m.offset < r.From; return m.gone })
	for _, m := range q.pending {
		m.last = false
	}
	for i, offset := range r.Offsets {
		if i == len(q.pending) { // all that was popped before is given again
			from := max(q.next, r.From)
			if offset < from || i > 0 && offset != r.Offsets[i-1]+1 && r.Offsets[i-1] >= q.next {
				return fmt.Errorf("ordered queue %d is popped at offset %d, next is %d", r.QueueID, offset, q.next)
			}
			q.pending = append(q.pending, &orderedMessage{offset: offset})
			l.inAll++
			l.o.w.covered(OrderedPopped)
		} else if l.o.w.covered(OrderedAgain); q.pending[i].offset != offset {
			return fmt.Errorf("ordered queue %d is popped at offset %d, %d was popped and is not acknowledged", r.QueueID, offset, q.pending[i].offset)
		}
		m := q.pending[i]
		m.last, m.until = true, r.PopMillis+r.InvisibleMillis
		q.given[entry.PopAck{Start: r.From, PopMillis: r.PopMillis, Offset: offset}] = m
	}
	if len(r.Offsets) < len(q.pending) && r.Next > q.next {
		return fmt.Errorf("ordered queue %d is popped to %d, and %d messages before are not given again", r.QueueID, r.Next, len(q.pending)-len(r.Offsets))
	}
	q.next, q.handle, q.attempt = r.Next, entry.PopAck{Start: r.From, PopMillis: r.PopMillis}, r.Attempt
	return nil
}

func (o *orders) message(id string, v message.View) (known bool, err error) {
	if string(v.Topic()) == orderedTopic {
		o.log.queues[v.QueueID()].end = v.QueueOffset() + 1
	}
	return false, nil // it is one that somebody sent
}

func (o *orders) finish(entry.Record) error { return nil }

// judge: what a client was told is true from then on.
func (l *orderedLog) judge(says *leaseAnswer) {
	w, q := l.o.w, &l.queues[says.key.QueueID]
	m := q.given[says.ack]
	_, err := l.held(says.key.QueueID, says.ack)
	switch {
	case m == nil:
		w.violate("%s is told that it has offset %d of ordered queue %d by the handle %+v, which was never given", says.client, says.ack.Offset, says.key.QueueID, says.ack)
	case says.says == saysAcked && !m.acked:
		w.violate("%s is told that offset %d of ordered queue %d is acknowledged: %+v", says.client, says.ack.Offset, says.key.QueueID, m)
	case says.says == saysSettled && err == nil:
		w.violate("%s is told that offset %d of ordered queue %d is not in flight any more: %+v", says.client, says.ack.Offset, says.key.QueueID, m)
	case says.says == saysRefused:
		w.violate("%s is refused what it says of offset %d of ordered queue %d (%v): %+v", says.client, says.ack.Offset, says.key.QueueID, says.err, m)
	}
}

func (o *orders) compare(m *member, all bool) {
	if have := m.shard.Deliveries().Counts().InFlight; have != o.log.inAll {
		o.w.violate("%s has %d messages of ordered queues in flight, the log %d", m, have, o.log.inAll)
	}
	for id := range o.log.queues {
		q, k := &o.log.queues[id], delivery.Key{Group: orderedGroup, Topic: orderedTopic, QueueID: int32(id)}
		if c, _ := m.shard.Offsets().Applied(offsetOf(k)); c.Offset != q.low() {
			o.w.violate("%s has the group's offset %d in ordered queue %d, by the log it is %d", m, c.Offset, id, q.low())
		}
		if !all {
			continue
		}
		var have, want []int64
		for _, lease := range m.shard.Deliveries().Leases(k, 2) {
			have = append(have, lease.Offsets...)
		}
		for _, p := range q.pending {
			want = append(want, p.offset)
		}
		if !slices.Equal(have, want) {
			o.w.violate("%s has in flight of ordered queue %d %v, the log %v", m, id, have, want)
		}
	}
}

func (o *orders) final() {
	for _, m := range o.w.members {
		if m.up && m.failed() == nil && !m.wiped && !m.leaving {
			o.compare(m, true)
		}
	}
	for i := range o.answers {
		o.log.judge(&o.answers[i])
	}
}
