package service

import (
	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/delivery"
)

// NotifyRequest asks whether a group has something to pop of a topic (code 200054).
type NotifyRequest struct {
	Client       *Client
	Group, Topic string
	QueueID      int32 // < 0: any
	PollMillis   int64
	BornMillis   int64
	Order        bool
	Attempt      string
}

// notification is one request on its way.
type notification struct {
	req  *NotifyRequest
	wait popWait
	done func(has, full bool, err *Error)
}

// Notify answers when a group has something to pop, or its time is up (org.apache.rocketmq.broker.processor.NotificationProcessor). full:
// it could not be held. done as Pop's.
func (s *Service) Notify(req *NotifyRequest, done func(has, full bool, err *Error)) {
	if req.BornMillis == 0 {
		req.BornMillis = nowMicros() / 1000
	}
	err := s.refuseToLead()
	if err == nil {
		err = s.checkPopPlace(req.Group, req.Topic, req.QueueID)
	}
	if err != nil {
		done(false, false, err)
		return
	}
	n := &notification{req: req, done: done}
	n.wait.begin(s, req.Client, popScope{req.Group, req.Topic}, req.QueueID, pollUntil(req.BornMillis, req.PollMillis))
	n.wait.again = func() { s.tryNotify(n) }
	n.wait.over = func(code int) { n.answer(false, code == CodePollingFull) }
	s.tryNotify(n)
}

func (n *notification) answer(has, full bool) {
	if has { // it does not take what there is
		n.wait.pass()
	}
	n.wait.end()
	n.done(has, full, nil)
}

func (s *Service) tryNotify(n *notification) {
	if n.wait.gone() {
		n.wait.end()
		return
	}
	n.wait.look()
	if s.hasMessages(n.req, n.req.Topic, n.req.QueueID) || s.hasMessages(n.req, PopRetryTopic(n.req.Topic, n.req.Group), anyQueue) {
		n.answer(true, false)
		return
	}
	if code := n.wait.hold(); code != 0 {
		n.answer(false, code == CodePollingFull)
	}
}

func (s *Service) hasMessages(r *NotifyRequest, topic string, id int32) bool {
	e, ok := s.shard.Catalog().Topic(topic)
	if !ok || e.Perm&catalog.PermRead == 0 {
		return false
	}
	from, to := int32(0), e.ReadQueues
	if id >= 0 {
		from, to = id, id+1
	}
	for queues := s.topicQueues(e); from < to; from++ {
		if s.hasMessage(r, delivery.Key{Group: r.Group, Topic: topic, QueueID: from}, queues.Queue(from).Bounds) {
			return true
		}
	}
	return false
}

func (s *Service) hasMessage(r *NotifyRequest, k delivery.Key, bounds func() (first, end, last int64)) bool {
	if r.Order {
		o, err := s.shard.Deliveries().PlanOrdered(nowMicros()/1000, k, r.Attempt, 1)
		if err != nil || o.Blocked {
			return false
		}
		if len(o.Again) > 0 {
			return true
		}
	}
	first, end, _ := bounds()
	return max(s.shard.PopPosition(k).Offset, first) < end
}

// PollingPops is how many pops of a group wait for a topic's queue (code 200055).
func (s *Service) PollingPops(group, topic string, queue int32) (int, *Error) {
	if err := s.checkPopPlace(group, topic, queue); err != nil {
		return 0, err
	}
	p := &s.pops
	p.mu.Lock()
	defer p.mu.Unlock()
	in := p.scopes[popScope{group, topic}]
	if in == nil || in.waiting[max(queue, anyQueue)] == nil {
		return 0, nil
	}
	return in.waiting[max(queue, anyQueue)].Len(), nil
}
