package service

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/queue"
)

// resetUnderWay says that a reset of a place is being stored: it takes away all that is in flight there.
func (s *Service) resetUnderWay(k delivery.Key) bool {
	if s.resets.count.Load() == 0 {
		return false
	}
	s.resets.mu.Lock()
	defer s.resets.mu.Unlock()
	return s.resets.storing[offset.Key(k)] > 0
}

// takeMark takes the mark of a reset away: the group is told by what it gets.
func (s *Service) takeMark(k delivery.Key) {
	if s.anyReset() {
		s.resetOf(&pull{req: &PullRequest{Group: k.Group, Topic: k.Topic, QueueID: k.QueueID}})
	}
}

// planPop takes messages of one queue after the other: of the retry topic first or last, of the topic from a random queue on. An ordered pop has nothing in a
// retry topic but dead letters that were resent; those come in no order.
func (s *Service) planPop(p *pop) {
	p.millis, p.refused = nowMicros()/1000, nil
	retryFirst := !p.req.Order && rand.Float64() >= popNoRetry
	if retryFirst {
		s.planTopic(p, PopRetryTopic(p.req.Topic, p.req.Group), -1, true)
	}
	s.planTopic(p, p.req.Topic, p.req.QueueID, false)
	if !retryFirst {
		s.planTopic(p, PopRetryTopic(p.req.Topic, p.req.Group), -1, true)
	}
	for _, t := range p.takes {
		t.lease.PopMillis = p.millis
	}
	s.finishRetries(p)
}

func (s *Service) planTopic(p *pop, topic string, id int32, retry bool) {
	e, ok := s.shard.Catalog().Topic(topic)
	if !ok || e.Perm&catalog.PermRead == 0 || e.ReadQueues <= 0 {
		return
	}
	queues := s.topicQueues(e)
	if id >= 0 {
		s.planQueue(p, queues.Queue(id), retry)
		return
	}
	first := rand.Int32N(e.ReadQueues)
	for i := range e.ReadQueues {
		if p.full() {
			return
		}
		s.planQueue(p, queues.Queue((first+i)%e.ReadQueues), retry)
	}
}

// planQueue takes what a pop may have of one queue, and keeps the queue's lock if it is something.
func (s *Service) planQueue(p *pop, q *queue.Queue, retry bool) {
	if p.full() {
		return
	}
	k := delivery.Key{Group: p.req.Group, Topic: q.Topic, QueueID: q.ID}
	if !p.wait.lock(k.Topic, k.QueueID) {
		return
	}
	if s.resetUnderWay(k) { // who is held looks again when it is stored
		p.wait.unlock(k.Topic, k.QueueID)
		return
	}
	s.takeMark(k)
	t := &take{queue: q, retry: retry, position: s.shard.PopPosition(k)}
	if !t.position.Known && !s.shard.Offsets().Room(offset.Key(k)) {
		p.refused = &delivery.Refusal{Code: CodeSystemError, Text: fmt.Sprintf("group [%s] cannot begin to pop of %s queue %d: there are %d offsets, which is the limit", k.Group, k.Topic, k.QueueID, offset.Max)}
		p.wait.unlock(k.Topic, k.QueueID)
		return
	}
	t.lease = entry.PopLease{
		Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Client: p.identity.ClientID, Order: p.req.Order && !retry, InvisibleMillis: p.req.InvisibleMillis,
	}
	var err error
	if t.lease.Order {
		t.lease.Attempt = p.req.Attempt
		err = s.planOrdered(p, t)
	} else {
		err = s.planNormal(p, t)
	}
	if err != nil {
		p.refused = err
	}
	if err != nil || len(t.lease.Offsets) == 0 && t.filtered == 0 {
		if err == nil && !t.position.Known { // from here on it counts what comes: it is behind by that
			s.shard.NoteOffset(&entry.Offset{Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Offset: s.popFrom(p, t), Client: p.identity.ClientID, AtMicros: nowMicros()})
		}
		p.wait.unlock(k.Topic, k.QueueID)
		return
	}
	p.takes = append(p.takes, t)
	p.messages += len(t.lease.Offsets)
	_, end, _ := q.Bounds()
	p.rest += max(end-t.lease.Next, 0)
}

func (s *Service) planNormal(p *pop, t *take) error {
	room, err := s.shard.Deliveries().CanPop(t.key(), int(p.req.MaxMessages)-p.messages)
	if err != nil || room.Messages == 0 {
		return err
	}
	return s.takeRun(p, t, s.popFrom(p, t), room.Messages)
}

// popFrom is the offset from which a pop reads, within the queue's bounds. A group that never consumed begins at the beginning of a young
// queue, else where the request says; that place is kept, also when there is nothing to take.
func (s *Service) popFrom(p *pop, t *take) int64 {
	from, end, _ := t.queue.Bounds()
	if t.position.Known {
		return min(max(t.position.Offset, from), end)
	}
	if !p.req.FromEnd || t.retry || from == 0 {
		return from
	}
	return max(end-1, from)
}

// takeRun reads at most n matching messages from an offset on, behind what the pop has.
func (s *Service) takeRun(p *pop, t *take, from int64, n int) error {
	t.lease.From, t.lease.Next = from, from
	if _, end, _ := t.queue.Bounds(); from >= end || n <= 0 {
		return nil
	}
	f := p.filter
	if t.retry { // they matched when they were popped first
		f = &filter{}
	}
	req := &PullRequest{Group: t.lease.Group, Topic: t.lease.Topic, QueueID: t.lease.QueueID, MaxMessages: int32(n), MaxBytes: int32(pullBytes - p.size())}
	u, r := &pull{req: req, filter: f, queue: t.queue, next: from}, &PullResult{}
	s.sentBackOf(u)
	if err := s.collect(u, r); err != nil {
		r.Release()
		if now, _, _ := t.queue.Bounds(); u.next < now { // retention took it while it was read: the next try begins behind it
			return nil
		}
		s.opts.Log.Error("pop failed", "topic", req.Topic, "queue", req.QueueID, "offset", u.next, "err", err)
		return err
	}
	t.lease.Next, t.filtered, t.skipped = u.next, u.filtered, u.skipped
	if r.Messages > 0 {
		p.append(t, r)
	}
	r.Release()
	return nil
}

// full says that the answer has room for nothing more.
func (p *pop) full() bool { return p.messages >= int(p.req.MaxMessages) || p.size() >= pullBytes }

func (p *pop) size() int {
	if p.body == nil {
		return 0
	}
	return len(*p.body)
}

// append adds messages of a queue to the answer; the first ones stay where they were read.
func (p *pop) append(t *take, r *PullResult) {
	at := p.size()
	if p.body == nil {
		p.body, r.buffer = r.buffer, nil
	} else {
		*p.body = append(*p.body, r.Body...)
	}
	for b := (*p.body)[at:]; len(b) > 0; {
		v, err := message.Parse(b)
		if err != nil { // it was parsed when it was read
			return
		}
		t.lease.Offsets, t.bytes, b = append(t.lease.Offsets, v.QueueOffset()), t.bytes+len(v), b[len(v):]
	}
}

// planOrdered takes what is to be popped again, and then new messages.
func (s *Service) planOrdered(p *pop, t *take) error {
	o, err := s.shard.Deliveries().PlanOrdered(p.millis, t.key(), p.req.Attempt, int(p.req.MaxMessages)-p.messages)
	if err != nil || o.Blocked {
		return err
	}
	p.millis = max(p.millis, o.PopMillis)
	first, _, _ := t.queue.Bounds()
	from := s.popFrom(p, t)
	t.lease.From = from
	for i, a := range o.Again {
		if a.Offset < first {
			continue // retention dropped it
		}
		if len(t.again) == 0 {
			t.lease.From = a.Offset
		}
		got, err := s.takeOne(p, t, a.Offset)
		if err != nil {
			return err
		}
		if got {
			t.again = append(t.again, a)
		}
		if !got || p.size() >= pullBytes && i < len(o.Again)-1 { // the others keep their place
			o.Messages = 0
			break
		}
	}
	if t.lease.Next = from; o.Messages > 0 && p.size() < pullBytes {
		start := t.lease.From
		err = s.takeRun(p, t, from, o.Messages)
		t.lease.From = start
	}
	return err
}

// takeOne reads the message at an offset.
func (s *Service) takeOne(p *pop, t *take, at int64) (got bool, err error) {
	rows, err := t.queue.Rows(nil, at, 1)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	r := &PullResult{buffer: bodies.Get().(*[]byte)}
	defer r.Release()
	if err := s.readRun(rows, int(rows[0].Size), r.buffer); err != nil {
		return false, err
	}
	r.Body = *r.buffer
	p.append(t, r)
	return true, nil
}

// finishRetries gives messages of the retry topic their own topic's name, and the handle that clients cannot make of the answer's fields.
func (s *Service) finishRetries(p *pop) {
	if !slices.ContainsFunc(p.takes, func(t *take) bool { return t.retry && t.bytes > 0 }) {
		return
	}
	old := p.body
	p.body = bodies.Get().(*[]byte)
	rest := *old
	for _, t := range p.takes {
		mine := rest[:t.bytes]
		if rest = rest[t.bytes:]; !t.retry {
			*p.body = append(*p.body, mine...)
			continue
		}
		at := len(*p.body)
		for len(mine) > 0 {
			v, err := message.Parse(mine)
			if err != nil { // it was parsed when it was read
				break
			}
			*p.body, mine = s.appendRetried(*p.body, p, t, v), mine[len(v):]
		}
		t.bytes = len(*p.body) - at
	}
	putBody(old)
}

// appendRetried appends a message of the retry topic as its consumers know it. Its place stays the one in the retry topic.
func (s *Service) appendRetried(dst []byte, p *pop, t *take, v message.View) []byte {
	revive := p.revive
	if revive == reviveOrdered { // the pop is, this message is not
		revive = 0
	}
	h := Handle{
		Start: t.lease.From, PopMillis: p.millis, InvisibleMillis: p.req.InvisibleMillis, Revive: revive, Type: popRetry, Broker: s.opts.Broker, QueueID: v.QueueID(),
		Offset: v.QueueOffset(),
	}
	at := len(dst)
	d := message.DraftOf(v)
	d.Topic, d.Properties = []byte(p.req.Topic), message.Without(v.Properties(), message.PropPopCheckpoint)
	d.More = message.AppendProperty(nil, message.PropPopCheckpoint, h.String())
	dst = message.Append(dst, &d)
	message.Place(dst[at:], v.QueueID(), v.QueueOffset(), v.Position(), v.StoreTime())
	return dst
}
