package service

import (
	"errors"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/shard"
)

// Pop (org.apache.rocketmq.broker.processor.PopMessageProcessor). A request takes messages of the queues of a topic, one queue after the
// other, until it has enough: it locks a queue, plans what to take on what is applied, reads the messages, and proposes the leases of
// all queues as one deed. When the deed is applied, the messages go out. What changed meanwhile refuses the deed, and the request plans
// anew. A queue that another request has locked is passed over; who found nothing is held, and looks again when there may be something.

// Answers of pop that no other operation has.
const (
	CodeNoMessage      = 208
	CodePollingTimeout = 210
)

// Limits of a pop.
const (
	popMax      = 32      // messages
	popTries    = 4       // plans of one request in a row that something else came before
	popPollMax  = 120_000 // ms
	popTopicMax = 255     // bytes of a retry topic's name
	popNoRetry  = 0.8     // of pops that look into the retry topic last; the others look there first
	popLateMax  = 500     // ms by which a pop may be late and is tried all the same
)

// PopRequest asks for messages of a topic, whichever queue they are in (code 200050).
type PopRequest struct {
	Client          *Client
	Group, Topic    string
	QueueID         int32 // < 0: any
	MaxMessages     int32
	InvisibleMillis int64
	PollMillis      int64 // how long it may be held after BornMillis
	BornMillis      int64 // the client's clock; 0: now
	FromEnd         bool  // a group that never consumed begins at the last message, not at the first
	ExpressionType  string
	Expression      string // "": all
	Order           bool
	Attempt         string // an ordered client's name of the request: the same one gets the same messages
	ReceivedMicros  int64
	Handles         bool // PopResult.Handle will be asked
}

// PopResult answers a pop. Body is the concatenated stored messages; call Release when it was written.
type PopResult struct {
	Code            int
	Remark          string
	PopMillis       int64
	InvisibleMillis int64
	ReviveQueue     int32
	Rest            int64 // messages that are left in the queues that were looked at
	StartOffsets    string
	MessageOffsets  string
	OrderCounts     string
	Messages        int
	Body            []byte
	WaitedMicros    int64
	Refused         *Error // why nothing was tried; nil: the request was served
	buffer          *[]byte
	broker          string
	starts          []popStart // of the topic's own queues, with PopRequest.Handles
}

// Release gives the body's memory back. The result must not be used after it.
func (r *PopResult) Release() {
	if b := r.buffer; b != nil {
		r.buffer, r.Body = nil, nil
		putBody(b)
	}
}

// pop is one request on its way.
type pop struct {
	req      *PopRequest
	done     func(*PopResult)
	filter   *filter
	identity Identity
	wait     popWait
	tries    int

	// of the plan
	takes    []*take
	body     *[]byte
	messages int
	millis   int64 // pop time
	revive   int32 // number of a revive queue
	rest     int64
	refused  error // why something could not be taken
}

// take is what a pop has of one queue, which it has locked.
type take struct {
	queue    *queue.Queue
	lease    entry.PopLease
	again    []delivery.Again
	retry    bool
	position shard.PopPosition
	filtered int
	skipped  []int64
	bytes    int
}

func (t *take) key() delivery.Key {
	return delivery.Key{Group: t.lease.Group, Topic: t.lease.Topic, QueueID: t.lease.QueueID}
}

// Pop answers through done, at once or after long polling; done is called exactly once, perhaps by another goroutine. A request of a
// connection that was closed is not answered.
func (s *Service) Pop(req *PopRequest, done func(*PopResult)) {
	p, err := s.checkPop(req)
	if err != nil {
		r := &PopResult{Code: err.Code, Remark: err.Text}
		if err.Code != CodePollingTimeout {
			r.Refused = err
		}
		done(r)
		return
	}
	p.done = done
	p.wait.begin(s, req.Client, popScope{req.Group, req.Topic}, req.QueueID, pollUntil(req.BornMillis, req.PollMillis))
	p.wait.again = func() { s.tryPop(p) }
	p.wait.over = func(code int) { s.answerPop(p, &PopResult{Code: code}) }
	s.tryPop(p)
}

// checkPop is PopMessageProcessor's order of checks.
func (s *Service) checkPop(req *PopRequest) (*pop, *Error) {
	now := nowMicros() / 1000
	if req.BornMillis == 0 {
		req.BornMillis = now
	}
	if now-req.BornMillis-req.PollMillis > popLateMax {
		return nil, Refuse(CodePollingTimeout, "the broker[%s] pop message is timeout too much", s.opts.Broker)
	}
	if err := s.refuseToLead(); err != nil {
		return nil, err
	}
	if req.MaxMessages > popMax {
		return nil, Refuse(CodeInvalidParameter, "the broker[%s] pop message's num is greater than %d: it is %d", s.opts.Broker, popMax, req.MaxMessages)
	}
	if req.InvisibleMillis <= 0 || req.InvisibleMillis > delivery.InvisibleMaxMillis {
		return nil, Refuse(CodeInvalidParameter, "the broker[%s] pop message's invisible time of %d ms: from 1 to %d are possible", s.opts.Broker, req.InvisibleMillis, int64(delivery.InvisibleMaxMillis))
	}
	req.MaxMessages = max(req.MaxMessages, 1)
	if err := s.checkPopPlace(req.Group, req.Topic, req.QueueID); err != nil {
		return nil, err
	}
	f, err := s.filterOf(req.ExpressionType, req.Expression)
	if req.Expression == "" {
		f, err = s.filterOf(ExpressionTag, "*")
	}
	if err != nil {
		return nil, err
	}
	p := &pop{req: req, filter: f, revive: s.pops.revive(req.Order)}
	if req.Client != nil {
		p.identity = req.Client.Identity()
	}
	return p, nil
}

// pollUntil is until when a request may be held, ms, that was born then by its client's clock.
func pollUntil(born, poll int64) int64 {
	return min(born, nowMicros()/1000) + min(max(poll, 0), popPollMax)
}

// checkPopPlace says whether a group may pop from a topic; queue < 0 is any.
func (s *Service) checkPopPlace(group, topic string, queue int32) *Error {
	e, ok := s.shard.Catalog().Topic(topic)
	switch {
	case !ok:
		return topicMissing(topic)
	case e.Perm&catalog.PermRead == 0:
		return Refuse(CodeNoPermission, "the topic[%s] peeking message is forbidden", topic)
	case queue >= e.ReadQueues:
		return Refuse(CodeInvalidParameter, "queueId[%d] is illegal, topic:[%s] topicConfig.readQueueNums:[%d] consumer:[%s]", queue, topic, e.ReadQueues, group)
	}
	if n := len(PopRetryTopic(topic, group)); n > popTopicMax {
		return Refuse(CodeInvalidParameter, "the name of the retry topic of group [%s] and topic [%s] has %d bytes, the limit is %d", group, topic, n, popTopicMax)
	}
	g, known := s.Group(group)
	if !known {
		made, err := s.makeGroup(group)
		if err != nil {
			return err
		}
		if made == nil {
			return Refuse(CodeSystemBusy, "subscription group [%s] is being made, try again", group)
		}
		g = *made
	}
	if !g.ConsumeEnable {
		return Refuse(CodeNoPermission, "subscription group no permission, %s", group)
	}
	return nil
}

// tryPop plans, and proposes what it planned.
func (s *Service) tryPop(p *pop) {
	if p.wait.gone() {
		p.wait.pass()
		p.wait.end()
		return
	}
	p.wait.look()
	s.planPop(p)
	if len(p.takes) == 0 {
		s.foundNothing(p)
		return
	}
	s.proposePop(p)
}

// foundNothing holds a request, or answers it.
func (s *Service) foundNothing(p *pop) {
	s.dropPlan(p)
	var r *delivery.Refusal
	full := s.shard.Deliveries().Counts().Leases >= delivery.LeasesMax
	if errors.As(p.refused, &r) && (full || r.Code == CodeSystemError) { // else a queue is popped in another way, and will be free
		s.answerPop(p, &PopResult{Code: r.Code, Remark: r.Text, Refused: Refuse(r.Code, "%s", r.Text)})
		return
	}
	if p.refused != nil && !errors.As(p.refused, &r) {
		e := Refuse(CodeSystemError, "the broker could not read the messages, see its log")
		s.answerPop(p, &PopResult{Code: e.Code, Remark: e.Text, Refused: e})
		return
	}
	if code := p.wait.hold(); code != 0 {
		s.answerPop(p, &PopResult{Code: code})
	}
}

// dropPlan gives back what a plan holds.
func (s *Service) dropPlan(p *pop) {
	for _, t := range p.takes {
		p.wait.unlock(t.lease.Topic, t.lease.QueueID)
	}
	p.takes, p.messages, p.rest = nil, 0, 0
	if p.body != nil {
		putBody(p.body)
		p.body = nil
	}
}

func (s *Service) proposePop(p *pop) {
	planned := make([]shard.PlannedLease, len(p.takes))
	for i, t := range p.takes {
		planned[i] = shard.PlannedLease{Lease: &t.lease, Position: t.position}
	}
	d := s.shard.LeaseDeed(planned)
	holds := d.Holds
	d.Holds = func(now int64) error {
		for _, t := range p.takes {
			if s.resetUnderWay(t.key()) {
				return shard.ErrPlanOver
			}
		}
		return holds(now)
	}
	s.shard.Submit(&shard.Batch{Deed: d, Done: func(b *shard.Batch) { s.pops.run(func() { s.popped(p, b.Err) }) }})
}

// popped goes on when the leases are applied, or refused.
func (s *Service) popped(p *pop, err error) {
	switch {
	case err == nil:
		s.leased(p)
	case errors.Is(err, shard.ErrPlanOver) && p.tries < popTries:
		p.tries++
		s.dropPlan(p)
		s.tryPop(p)
	case errors.Is(err, shard.ErrPlanOver):
		p.tries = 0
		p.refused = nil
		p.wait.changed()
		s.foundNothing(p)
	case errors.Is(err, shard.ErrNotLeader): // its client asks again, and is answered by who leads
		s.dropPlan(p)
		s.answerPop(p, &PopResult{Code: CodePollingTimeout, Remark: s.refuse(err).Text})
	default:
		s.dropPlan(p)
		e := s.refuse(err)
		s.answerPop(p, &PopResult{Code: e.Code, Remark: e.Text, Refused: e})
	}
}

// leased answers with the messages; a pop to which only what does not match was leased goes on waiting.
func (s *Service) leased(p *pop) {
	r := &PopResult{broker: s.opts.Broker, PopMillis: p.millis, InvisibleMillis: p.req.InvisibleMillis, ReviveQueue: p.revive, Messages: p.messages, Rest: p.rest}
	if p.wait.since > 0 {
		r.WaitedMicros = nowMicros() - p.wait.since
	}
	var infos popInfos
	for _, t := range p.takes {
		if len(t.lease.Offsets) > 0 {
			infos.add(&t.lease, t.retry, t.again)
			if p.req.Handles && !t.retry {
				r.starts = append(r.starts, popStart{t.lease.QueueID, t.lease.From})
			}
		}
		s.popDelivered(p, t, r.WaitedMicros)
	}
	if p.messages == 0 {
		p.tries = 0
		s.dropPlan(p)
		s.tryPop(p)
		return
	}
	r.StartOffsets, r.MessageOffsets, r.OrderCounts = string(infos.starts), string(infos.offsets), string(infos.counts)
	r.buffer, r.Body, p.body = p.body, *p.body, nil
	more := p.full() || p.rest > 0
	if s.dropPlan(p); more {
		p.wait.pass()
	}
	s.answerPop(p, r)
}

// popDelivered notes what one queue handed out, and what was passed over in it.
func (s *Service) popDelivered(p *pop, t *take, waited int64) {
	n := len(t.lease.Offsets)
	s.messageOut.Add(int64(n))
	s.bytesOut.Add(int64(t.bytes))
	if n > 0 {
		s.out.add(t.lease.Topic, p.req.Group, n, t.bytes)
	}
	if s.opts.Delivered == nil {
		return
	}
	s.opts.Delivered(&Delivery{
		Client: p.req.Client, Identity: p.identity, Group: p.req.Group, Topic: t.lease.Topic, Subscription: p.req.Expression, QueueID: t.lease.QueueID,
		From: t.lease.From, To: t.lease.Next, Messages: n, Filtered: t.filtered, Skipped: t.skipped, Bytes: t.bytes,
		RequestedMicros: p.req.ReceivedMicros, SentMicros: nowMicros(), WaitedMicros: waited,
	})
}

func (s *Service) answerPop(p *pop, r *PopResult) {
	if r.Remark == "" && r.Code == CodeSuccess {
		r.Remark = "FOUND"
	} else if r.Remark == "" {
		r.Remark = "NO_MESSAGE_IN_QUEUE"
	}
	if r.PopMillis == 0 {
		r.PopMillis, r.InvisibleMillis, r.ReviveQueue = nowMicros()/1000, p.req.InvisibleMillis, p.revive
	}
	p.wait.end()
	p.done(r)
}
