package service

import (
	"errors"
	"slices"
	"sync"

	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/shard"
)

// Acknowledgements (org.apache.rocketmq.broker.processor.AckMessageProcessor, ChangeInvisibleTimeProcessor).
//
// What clients say of messages that a group popped of a queue becomes a record when a deed is formed that touches the queue: all that
// came until then goes into it. So a queue has one deed on its way however many messages are acknowledged one by one, and its records
// hold up to thousands of acks.
//
// Rejected: a deed for each ack. Deeds of one queue wait for each other, so that each would take an entry of the log.

// Limits of acknowledgements.
const (
	settlesMax   = 1_000_000 // that wait, of all queues
	settlesEntry = 1000      // that one deed takes, as many as an entry may have commands; the others take the next one
	batchAcksMax = 4096      // messages of one batch ack
	bitsMax      = entry.LeaseSpanMax/8 + 1
)

// AckRequest acknowledges one popped message (code 200051).
type AckRequest struct {
	Client       *Client
	Group, Topic string // Topic is the one in which the message stands: perhaps a retry topic
	QueueID      int32
	Offset       int64
	Handle       string  // extraInfo
	Read         *Handle // the same, of who has read it already; nil: Handle is to be read
	// Flush is called when done was called for this request, and for others of the same client that were recorded with it; nil: nothing
	// hangs on it.
	Flush func()
}

// BatchAck acknowledges messages of one lease (code 200151). Topic is the one that was asked for.
type BatchAck struct {
	Group     string `json:"c"`
	Topic     string `json:"t"`
	Retry     string `json:"r"`
	Start     int64  `json:"so"`
	QueueID   int32  `json:"q"`
	Revive    int32  `json:"rq"`
	PopMillis int64  `json:"pt"`
	Invisible int64  `json:"it"`
	Bits      []byte `json:"b"` // bit n: the message at Start+n
}

// ChangeRequest gives a popped message another time to be acknowledged (code 200053).
type ChangeRequest struct {
	AckRequest
	InvisibleMillis int64
}

// Changed is the new part of a message's handle.
type Changed struct {
	PopMillis, InvisibleMillis int64
	Revive                     int32
}

// settle is what a client says of one message.
type settle struct {
	delivery.Settle
	from    *Client
	flush   func() // nil: none
	ordered bool
	done    func(at int64, err error)
}

// settling is what waits to be recorded. The zero value is ready.
type settling struct {
	mu     sync.Mutex
	queues map[delivery.Key]*settleQueue
	count  int
}

type settleQueue struct {
	waiting  []*settle
	proposed bool // a deed will take what waits
}

var errTooMany = errors.New("too many acknowledgements wait")

// Ack acknowledges a message; done is called once, perhaps at once, by any goroutine, and must not block.
func (s *Service) Ack(r *AckRequest, done func(*Error)) {
	k, ack, h, refused := s.checkAck(r)
	if refused != nil {
		done(refused)
		if r.Flush != nil {
			r.Flush()
		}
		return
	}
	s.settle(k, &settle{
		Settle: delivery.Settle{Ack: ack, Client: clientID(r.Client)}, from: r.Client, flush: r.Flush, ordered: h.Ordered(),
		done: func(_ int64, err error) { done(s.refuseAck(err)) },
	})
}

func (r *AckRequest) handle() (Handle, *Error) {
	if r.Read != nil {
		return *r.Read, nil
	}
	return ParseHandle(r.Handle)
}

// checkAck reads a handle, and compares it with what else the request says.
func (s *Service) checkAck(r *AckRequest) (k delivery.Key, ack entry.PopAck, h Handle, refused *Error) {
	if refused = s.refuseToLead(); refused == nil {
		refused = s.checkAckPlace(r)
	}
	if refused == nil {
		h, refused = r.handle()
	}
	if refused != nil {
		return k, ack, h, refused
	}
	if h.QueueID != r.QueueID || h.Offset >= 0 && h.Offset != r.Offset {
		return k, ack, h, Refuse(CodeMessageIllegal, "extraInfo is of queue %d, offset %d; the request of queue %d, offset %d", h.QueueID, h.Offset, r.QueueID, r.Offset)
	}
	return delivery.Key{Group: r.Group, Topic: r.Topic, QueueID: r.QueueID}, entry.PopAck{Start: h.Start, PopMillis: h.PopMillis, Offset: r.Offset}, h, nil
}

func (s *Service) checkAckPlace(r *AckRequest) *Error {
	e, ok := s.shard.Catalog().Topic(r.Topic)
	if !ok {
		return topicMissing(r.Topic)
	}
	if r.QueueID < 0 || r.QueueID >= e.ReadQueues {
		return Refuse(CodeMessageIllegal, "queueId[%d] is illegal, topic:[%s] topicConfig.readQueueNums:[%d] consumer:[%s]", r.QueueID, r.Topic, e.ReadQueues, r.Group)
	}
	from, end, _ := s.topicQueues(e).Queue(r.QueueID).Bounds()
	if r.Offset < from || r.Offset > end {
		return Refuse(CodeNoMessage, "offset is illegal, key:%s@%d, commit:%d, store:%d~%d", r.Topic, r.QueueID, r.Offset, from, end)
	}
	return nil
}

// BatchAck acknowledges messages of several leases; done is told when all are recorded. What cannot be acknowledged is passed over, as
// RocketMQ does; only when nothing could be, it is an error.
func (s *Service) BatchAck(c *Client, acks []BatchAck, done func(*Error)) {
	if err := s.refuseToLead(); err != nil {
		done(err)
		return
	}
	var all []batched
	for i := range acks {
		more, err := s.unpack(&acks[i])
		if all = append(all, more...); err == nil && len(all) > batchAcksMax {
			err = Refuse(CodeInvalidParameter, "a batch of %d acks or more, the limit is %d", len(all), batchAcksMax)
		}
		if err != nil {
			done(err)
			return
		}
	}
	if len(all) == 0 {
		done(Refuse(CodeNoMessage, "no message is named"))
		return
	}
	b := &batchDone{left: len(all), done: done}
	for i := range all {
		a := &all[i]
		s.settle(a.key, &settle{Settle: delivery.Settle{Ack: a.ack, Client: clientID(c)}, ordered: a.ordered, done: func(_ int64, err error) { b.one(s.refuseAck(err)) }})
	}
}

type batched struct {
	key     delivery.Key
	ack     entry.PopAck
	ordered bool
}

// unpack lists the messages of a batch ack.
func (s *Service) unpack(a *BatchAck) (out []batched, refused *Error) {
	topic, refused := RealTopic(a.Topic, a.Group, a.Retry)
	if refused != nil {
		return nil, refused
	}
	k := delivery.Key{Group: a.Group, Topic: topic, QueueID: a.QueueID}
	for i, bits := range a.Bits[:min(len(a.Bits), bitsMax)] {
		for bit := range 8 {
			if bits>>bit&1 == 0 {
				continue
			}
			if len(out) == batchAcksMax {
				return nil, Refuse(CodeInvalidParameter, "a batch of more than %d acks of one lease", batchAcksMax)
			}
			ack := entry.PopAck{Start: a.Start, PopMillis: a.PopMillis, Offset: a.Start + int64(8*i+bit)}
			if s.checkAckPlace(&AckRequest{Group: a.Group, Topic: topic, QueueID: a.QueueID, Offset: ack.Offset}) == nil {
				out = append(out, batched{k, ack, a.Revive == reviveOrdered})
			}
		}
	}
	return out, nil
}

// batchDone answers when all acks of a batch are.
type batchDone struct {
	mu       sync.Mutex
	left     int
	recorded bool
	err      *Error
	done     func(*Error)
}

func (b *batchDone) one(err *Error) {
	b.mu.Lock()
	if b.left--; err == nil {
		b.recorded = true
	} else if b.err == nil || err.Code != CodeNoMessage && err.Code != CodeMessageIllegal {
		b.err = err // what may be tried again says more than what never can be
	}
	left, answer := b.left, b.err
	if answer != nil && b.recorded && (answer.Code == CodeNoMessage || answer.Code == CodeMessageIllegal) {
		answer = nil
	}
	b.mu.Unlock()
	if left == 0 {
		b.done(answer)
	}
}

// ChangeInvisible gives a message another time; done as Ack's.
func (s *Service) ChangeInvisible(r *ChangeRequest, done func(Changed, *Error)) {
	k, ack, h, refused := s.checkAck(&r.AckRequest)
	visible := max(r.InvisibleMillis, 1)
	if refused == nil && visible > delivery.InvisibleMaxMillis {
		refused = Refuse(CodeInvalidParameter, "an invisible time of %d ms: at most %d are possible", visible, int64(delivery.InvisibleMaxMillis))
	}
	if refused != nil {
		done(Changed{}, refused)
		return
	}
	e := delivery.Settle{Ack: ack, Client: clientID(r.Client), VisibleMillis: visible}
	s.settle(k, &settle{Settle: e, ordered: h.Ordered(), done: func(at int64, err error) {
		if errors.Is(err, delivery.ErrSettled) {
			done(Changed{}, Refuse(CodeNoMessage, "offset %d of %s is not in flight any more by the handle of %d", ack.Offset, k, ack.PopMillis))
			return
		}
		c := Changed{at, visible, h.Revive}
		if h.Ordered() { // its handle stays
			c.PopMillis, c.InvisibleMillis = ack.PopMillis, at+visible-ack.PopMillis
		}
		done(c, s.refuseAck(err))
	}})
}

func clientID(c *Client) string {
	if c == nil {
		return ""
	}
	return c.Identity().ClientID
}

// refuseAck answers what was not recorded: what had no effect is success.
func (s *Service) refuseAck(err error) *Error {
	var r *delivery.Refusal
	switch {
	case err == nil, errors.Is(err, delivery.ErrSettled):
		return nil
	case errors.Is(err, errTooMany):
		return Refuse(CodeSystemBusy, "[TOO MANY ACKS WAIT] %d acknowledgements wait, the limit is %d, try again", settlesMax, settlesMax)
	case errors.As(err, &r):
		return Refuse(r.Code, "%s", r.Text)
	}
	return s.refuse(err)
}

// lowOf is the group's consumer offset as applied.
func (s *Service) lowOf(k delivery.Key) int64 {
	c, _ := s.shard.Offsets().Applied(offset.Key(k))
	return max(c.Offset, 0)
}

// settle has what a client says recorded. What was done before is answered at once; a refusal comes when it is certain that this member leads.
func (s *Service) settle(k delivery.Key, e *settle) {
	if again, err := s.shard.Deliveries().CanAck(k, e.Ack, s.lowOf(k)); err == nil && again {
		e.answer(delivery.ErrSettled)
		return
	}
	g := &s.settling
	g.mu.Lock()
	if g.count >= settlesMax {
		g.mu.Unlock()
		e.answer(errTooMany)
		return
	}
	q := g.queues[k]
	if q == nil {
		if g.queues == nil {
			g.queues = map[delivery.Key]*settleQueue{}
		}
		q = &settleQueue{}
		g.queues[k] = q
	}
	g.count++
	q.waiting = append(q.waiting, e)
	propose := !q.proposed
	q.proposed = true
	g.mu.Unlock()
	if propose {
		s.proposeSettles(k)
	}
}

// proposeSettles makes a deed of what will wait when it is formed.
func (s *Service) proposeSettles(k delivery.Key) {
	var taken []*settle
	d := s.shard.SettleDeed(k, func() []*delivery.Settle {
		taken = s.settling.take(k)
		all, reset := make([]*delivery.Settle, len(taken)), s.resetUnderWay(k)
		for i, e := range taken {
			if all[i] = &e.Settle; reset { // it takes away what is in flight
				e.Err = delivery.ErrSettled
			}
		}
		return all
	})
	s.shard.Submit(&shard.Batch{Deed: d, Done: func(b *shard.Batch) {
		if taken == nil && b.Err != nil { // it was not looked at: what waits is answered as it is
			taken = s.settling.take(k)
		}
		s.settled(k, taken, b.Err)
	}})
}

// take takes what waits, up to a deed's limit.
func (g *settling) take(k delivery.Key) []*settle {
	g.mu.Lock()
	defer g.mu.Unlock()
	q := g.queues[k]
	n := min(len(q.waiting), settlesEntry)
	taken := slices.Clone(q.waiting[:n])
	left := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[left:])
	q.waiting = q.waiting[:left]
	g.count -= n
	return taken
}

// settled answers what a deed took, and has the next deed take what came meanwhile. The answers come first: who asks again asks a
// state that has all of it.
func (s *Service) settled(k delivery.Key, taken []*settle, err error) {
	free := false
	var flushes map[*Client]func()
	if errors.Is(err, shard.ErrNoEffect) {
		err = nil
	}
	for _, e := range taken {
		if err != nil {
			e.Err = err
		}
		free = free || e.ordered && e.Err == nil
		e.done(e.AtMillis, e.Err)
		if e.flush != nil {
			if flushes == nil {
				flushes = map[*Client]func(){}
			}
			flushes[e.from] = e.flush
		}
	}
	for _, flush := range flushes { // one write for all that a connection is told
		flush()
	}
	g := &s.settling
	g.mu.Lock()
	q := g.queues[k]
	q.proposed = len(q.waiting) > 0
	again := q.proposed
	if !again {
		delete(g.queues, k)
	}
	g.mu.Unlock()
	if again {
		s.proposeSettles(k)
	}
	if free {
		s.pops.tell(k.Group, originOf(k.Topic, k.Group))
	}
}

// answer ends what is not recorded.
func (e *settle) answer(err error) {
	if e.done(0, err); e.flush != nil {
		e.flush()
	}
}
