package sim

import (
	"fmt"
	"slices"

	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/offset"
)

// leaseLog is leases told naively, from the log alone: each message is popped once, and in flight by one handle until exactly one record acks
// or revives it; a change gives it another handle. A revival is not before its time, and brings a copy with the same entry.
type leaseLog struct {
	s      *leases
	queues map[delivery.Key]*leaseQueue
	keys   []delivery.Key // of queues, in the order in which they came
	counts delivery.Counts
	due    []dueCopy // of the entry at hand, not seen in it yet
}

// leaseQueue is a queue as the group sees it.
type leaseQueue struct {
	messages []*leaseMessage // by offset
	next     int64           // to pop
	flying   []int64         // ascending
}

type leaseMessage struct {
	attempt
	content uint64
	pos     int64
	state   leaseState
	ack     entry.PopAck // its handle, while it is in flight
	until   int64        // likewise
	handles []entry.PopAck
	reset   bool // its place was, once: what clients were told before is no more
}

type leaseState int

const (
	leaseFresh leaseState = iota
	leaseFlies
	leaseAcked
	leaseRevived
	leasePassed // it did not match
)

func (l *leaseLog) init(s *leases) { *l = leaseLog{s: s, queues: map[delivery.Key]*leaseQueue{}} }

func (l *leaseLog) queue(topic string, id int32) *leaseQueue {
	k := delivery.Key{Group: leaseGroup, Topic: topic, QueueID: id}
	if l.queues[k] == nil {
		l.queues[k] = &leaseQueue{}
		l.keys = append(l.keys, k)
	}
	return l.queues[k]
}

func (q *leaseQueue) find(offset int64) *leaseMessage {
	if offset < 0 || offset >= int64(len(q.messages)) {
		return nil
	}
	return q.messages[offset]
}

// low is the group's consumer offset.
func (q *leaseQueue) low() int64 {
	if len(q.flying) > 0 {
		return q.flying[0]
	}
	return q.next
}

// held gives a message that is in flight by a handle.
func (q *leaseQueue) held(a entry.PopAck) (*leaseMessage, error) {
	m := q.find(a.Offset)
	if m == nil || m.state != leaseFlies || m.ack != a {
		return nil, fmt.Errorf("offset %d is not in flight by the handle %+v: %+v", a.Offset, a, m)
	}
	return m, nil
}

// land ends a message's flight.
func (q *leaseQueue) land(offset int64) {
	if i, ok := slices.BinarySearch(q.flying, offset); ok {
		q.flying = slices.Delete(q.flying, i, i+1)
	}
}

func (s *leases) command(k entry.Kind, body []byte, _ entry.Record) error {
	switch k {
	case entry.KindOffsetReset:
		return entry.DecodeOffsets(body, func(o *entry.Offset) error { s.log.reset(o); return nil })
	case entry.KindPopLease:
		var r entry.PopLease
		if err := entry.DecodePopLease(body, &r); err != nil {
			return err
		}
		return s.log.lease(&r)
	case entry.KindPopAck:
		var r entry.PopAcks
		if err := entry.DecodePopAcks(body, &r); err != nil {
			return err
		}
		return s.log.ack(&r)
	case entry.KindPopChange:
		var r entry.PopChange
		if err := entry.DecodePopChange(body, &r); err != nil {
			return err
		}
		return s.log.change(&r)
	case entry.KindPopRevive:
		var r entry.PopRevive
		if err := entry.DecodePopRevive(body, &r); err != nil {
			return err
		}
		return s.log.revive(&r)
	}
	return nil
}

// reset: what is in flight is forgotten, and all from the new place on is there to be popped.
func (l *leaseLog) reset(o *entry.Offset) {
	q := l.queue(o.Topic, o.QueueID)
	l.s.w.covered(LeasesReset)
	for _, m := range q.messages {
		m.state, m.reset = leaseFresh, true
	}
	l.counts.InFlight -= len(q.flying)
	q.flying, q.next = nil, o.Offset
}

func (l *leaseLog) lease(r *entry.PopLease) error {
	q := l.queue(r.Topic, r.QueueID)
	if r.From < q.next || r.Next > int64(len(q.messages)) {
		return fmt.Errorf("%s/%d is popped from %d to %d, it was up to %d and ends at %d", r.Topic, r.QueueID, r.From, r.Next, q.next, len(q.messages))
	}
	for offset := r.From; offset < r.Next; offset++ {
		q.messages[offset].state = leasePassed
	}
	for _, offset := range r.Offsets {
		m := q.messages[offset]
		m.state, m.until = leaseFlies, r.PopMillis+r.InvisibleMillis
		m.give(entry.PopAck{Start: r.From, PopMillis: r.PopMillis, Offset: offset})
		q.flying = append(q.flying, offset)
		l.s.w.covered(Leased)
	}
	q.next = r.Next
	l.counts.Popped += int64(len(r.Offsets))
	l.counts.InFlight += len(r.Offsets)
	return nil
}

func (m *leaseMessage) give(a entry.PopAck) {
	m.ack = a
	m.handles = append(m.handles, a)
}

func (l *leaseLog) ack(r *entry.PopAcks) error {
	q := l.queue(r.Topic, r.QueueID)
	for _, a := range r.Acks {
		m, err := q.held(a)
		if err != nil {
			return fmt.Errorf("ack in %s/%d: %w", r.Topic, r.QueueID, err)
		}
		if l.s.w.covered(LeaseAcked); r.AtMillis >= m.until {
			l.s.w.covered(LateAcked)
		}
		m.state = leaseAcked
		q.land(a.Offset)
		l.counts.Acked++
		l.counts.InFlight--
	}
	return nil
}

func (l *leaseLog) change(r *entry.PopChange) error {
	m, err := l.queue(r.Topic, r.QueueID).held(r.PopAck)
	if err != nil || r.AtMillis <= m.ack.PopMillis {
		return fmt.Errorf("change in %s/%d at %d: %+v: %w", r.Topic, r.QueueID, r.AtMillis, m, err)
	}
	l.s.w.covered(LeaseChanged)
	m.give(entry.PopAck{Start: r.Offset, PopMillis: r.AtMillis, Offset: r.Offset})
	m.until = r.AtMillis + r.InvisibleMillis
	l.counts.Changed++
	return nil
}

// revive: who had the message has had its time, and did not acknowledge it.
func (l *leaseLog) revive(r *entry.PopRevive) error {
	q := l.queue(r.Topic, r.QueueID)
	for _, v := range r.Messages {
		m, err := q.held(entry.PopAck{Start: r.Start, PopMillis: r.PopMillis, Offset: v.Offset})
		if err != nil || r.AtMillis < m.until {
			return fmt.Errorf("revival in %s/%d at %d: %+v: %w", r.Topic, r.QueueID, r.AtMillis, m, err)
		}
		if dead := m.times >= leaseTimes; v.To != entry.ToNothing && dead != (v.To == entry.ToDeadLetter) {
			return fmt.Errorf("%s was revived %d times, and goes to %d", m.id, m.times, v.To)
		}
		l.s.w.covered(Revived)
		m.state = leaseRevived
		q.land(v.Offset)
		l.counts.InFlight--
		switch v.To {
		case entry.ToRetry:
			l.counts.Retried++
		case entry.ToDeadLetter:
			l.counts.DeadLettered++
		default:
			l.counts.Gone++
			continue
		}
		l.due = append(l.due, dueCopy{attempt{m.id, m.times + 1}, m.content, v.To})
	}
	return nil
}

func (s *leases) message(id string, v message.View) (known bool, err error) {
	if id == "" || id[:1] != leaseName {
		return false, nil
	}
	l, a, name, to := &s.log, attempt{id, v.ReconsumeTimes()}, string(v.Topic()), entry.ToRetry
	switch name {
	case leaseTopic, leaseRetry:
		q := l.queue(name, v.QueueID())
		q.messages = append(q.messages, &leaseMessage{attempt: a, content: contentOf(v), pos: v.Position()})
		if name == leaseTopic {
			return false, nil // it is one that somebody sent
		}
	case leaseDead:
		to = entry.ToDeadLetter
	default:
		return true, fmt.Errorf("%s comes into topic %s", id, name)
	}
	i := slices.Index(l.due, dueCopy{a, contentOf(v), to})
	if i < 0 {
		return true, fmt.Errorf("%s comes into topic %s, and nothing was revived to be it", id, name)
	}
	l.due = slices.Delete(l.due, i, i+1)
	return true, nil
}

func (s *leases) finish(entry.Record) error {
	if l := &s.log; len(l.due) > 0 {
		return fmt.Errorf("%s is revived, and its copy does not come", l.due[0].id)
	}
	return nil
}

// anyOver says that a message in flight has had its time by a clock.
func (l *leaseLog) anyOver(now int64) bool {
	for _, k := range l.keys {
		q := l.queues[k]
		for _, offset := range q.flying {
			if q.messages[offset].until <= now {
				return true
			}
		}
	}
	return false
}

// held are the messages in flight.
func (s *leases) held() (out []int64) {
	for _, k := range s.log.keys {
		q := s.log.queues[k]
		for _, offset := range q.flying {
			out = append(out, q.messages[offset].pos)
		}
	}
	return out
}

// judge: what a client was told is true from then on: its handle was given, for ever; what is acknowledged stays so; and a handle that is void
// never holds again.
func (l *leaseLog) judge(says *leaseAnswer) {
	w, m := l.s.w, l.queue(says.key.Topic, says.key.QueueID).find(says.ack.Offset)
	switch {
	case m == nil || !slices.Contains(m.handles, says.ack):
		w.violate("%s is told that it has %s at offset %d by the handle %+v, which was never given: %+v", says.client, says.key, says.ack.Offset, says.ack, m)
	case m.reset:
	case says.says == saysAcked && m.state != leaseAcked:
		w.violate("%s is told that offset %d of %s is acknowledged: %+v", says.client, says.ack.Offset, says.key, m)
	case says.says == saysSettled && m.state == leaseFlies && m.ack == says.ack:
		w.violate("%s is told that offset %d of %s is not in flight any more: %+v", says.client, says.ack.Offset, says.key, m)
	case says.says == saysRefused:
		w.violate("%s is refused what it says of offset %d of %s (%v): %+v", says.client, says.ack.Offset, says.key, says.err, m)
	}
}

func offsetOf(k delivery.Key) offset.Key { return offset.Key(k) }

func (s *leases) compare(m *member, all bool) {
	w, l := s.w, &s.log
	have, want := m.shard.Deliveries().Counts(), l.counts
	want.Leases, want.Ordered, want.SentBack, want.SentBacks = have.Leases, have.Ordered, have.SentBack, have.SentBacks
	if have != want {
		w.violate("%s counts deliveries %+v, the log %+v", m, have, want)
	}
	for _, k := range l.keys {
		q := l.queues[k]
		c, _ := m.shard.Offsets().Applied(offsetOf(k))
		if c.Offset != q.low() {
			w.violate("%s has the group's offset %d in %s, by the log it is %d", m, c.Offset, k, q.low())
		}
		if all {
			s.compareLeases(m, k, q)
		}
	}
}

// compareLeases holds each message in flight against the log.
func (s *leases) compareLeases(m *member, k delivery.Key, q *leaseQueue) {
	n := 0
	for _, lease := range m.shard.Deliveries().Leases(k, 1<<20) {
		for _, offset := range lease.Offsets {
			n++
			if msg := q.find(offset); msg == nil || msg.state != leaseFlies || msg.ack != (entry.PopAck{Start: lease.Start, PopMillis: lease.PopMillis, Offset: offset}) || msg.until != lease.PopMillis+lease.InvisibleMillis {
				s.w.violate("%s has %s at offset %d in flight by %+v, the log %+v", m, k, offset, lease, msg)
			}
		}
	}
	if n != len(q.flying) {
		s.w.violate("%s has %d messages of %s in flight, the log %d", m, n, k, len(q.flying))
	}
}

// final: what clients were told holds in the end, and members have in flight what the log says.
func (s *leases) final() {
	for _, m := range s.w.members {
		if m.up && m.failed() == nil && !m.wiped && !m.leaving {
			s.compare(m, true)
		}
	}
	for i := range s.answers {
		s.log.judge(&s.answers[i])
	}
}
