package service

import (
	"errors"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/txn"
)

// half has a message wait for its producer's decision.
func (p *Parcel) half(d *message.Draft, it *shard.Item) *Error {
	if err := p.s.shard.Txn().Room(1); err != nil {
		return Refuse(CodeSystemBusy, "[TOO MANY TRANSACTIONS] %v, try again", err)
	}
	p.more = p.s.hide(d, it, txn.HalfTopic, 0, p.more)
	return propertiesFit(d)
}

// Decisions of EndTxn.Decision (org.apache.rocketmq.common.sysflag.MessageSysFlag).
const (
	TxnUnknown  = 0
	TxnCommit   = message.FlagTxCommit
	TxnRollback = message.FlagTxRollback
)

// EndTxn is what a producer decided of a half message (code 37).
type EndTxn struct {
	Client    *Client
	Group     string
	Offset    int64 // of the half message in its queue
	Position  int64
	Decision  int32
	FromCheck bool
}

// EndTransaction commits or rolls back (org.apache.rocketmq.broker.processor.EndTransactionProcessor): the first decision wins, the same
// again is no error. done is called once, perhaps at once, by any goroutine, and must not block.
func (s *Service) EndTransaction(e *EndTxn, done func(*Error)) {
	if e.Decision == TxnUnknown { // it is asked again
		done(nil)
		return
	}
	w := txn.Wish{Offset: e.Offset, Position: e.Position, Group: e.Group, Decision: entry.TxnCommit, How: entry.TxnByProducer}
	switch e.Decision {
	case TxnCommit:
	case TxnRollback:
		w.Decision = entry.TxnRollback
	default:
		done(Refuse(CodeInvalidParameter, "commitOrRollback %d; possible are %d, %d and %d", e.Decision, TxnUnknown, TxnCommit, TxnRollback))
		return
	}
	if e.FromCheck {
		w.How = entry.TxnByCheck
	}
	s.endTxn(&w, e.Client, done)
}

// endTxn reads the half message, and makes a deed of the decision.
func (s *Service) endTxn(w *txn.Wish, c *Client, done func(*Error)) {
	timeout := s.opts.Transactions.TimeoutMillis
	h, again, err := s.shard.Txn().CanEnd(nowMicros()/1000, timeout, w)
	if again {
		done(nil)
		return
	}
	b := &shard.Batch{Done: func(b *shard.Batch) { done(s.refuseTxn(b.Err)) }}
	if err != nil {
		b.Deed = s.shard.RefuseEnd(w, timeout)
		s.shard.Submit(b)
		return
	}
	var who *shard.Producer
	client := ""
	if c != nil {
		who = s.producer(c, []byte(h.Group))
		client = who.ClientID
	}
	b.Deed = s.shard.EndDeed(w, client, timeout)
	if w.Decision != entry.TxnRollback {
		if refused := s.decided(b, &h, w.Decision, who); refused != nil {
			done(refused)
			return
		}
	}
	s.shard.Submit(b)
}

// decided appends what becomes of a half message: the message itself in its real topic, or one in the topic of those that nobody decided.
func (s *Service) decided(b *shard.Batch, h *txn.Half, d entry.TxnDecision, who *shard.Producer) *Error {
	v, err := s.shard.HalfMessage(h)
	if err != nil {
		return s.unreadable(err)
	}
	draft, err := txn.Ended(v, d)
	if err != nil {
		return Refuse(CodeSystemError, "%v", err)
	}
	it := shard.Item{Producer: who, ReceivedMicros: nowMicros()}
	t := s.shard.Index().Lookup(string(draft.Topic))
	if t == nil {
		return topicMissing(string(draft.Topic))
	}
	if it.Queue = t.Queue(draft.QueueID); d == entry.TxnCommit {
		if refused := s.delayed(&draft, &it); refused != nil {
			return refused
		}
	}
	b.Put(it, &draft)
	return nil
}

// delayed has a committed message wait for its time, which counts from now, if it has one.
func (s *Service) delayed(d *message.Draft, it *shard.Item) *Error {
	ask, refused := s.readProperties(d.Properties, 0)
	if refused != nil || !ask.timed() || ask.cancel != nil {
		return refused
	}
	w, refused := s.planOf(&ask, nowMicros()/1000)
	if refused != nil || w.due == 0 {
		return refused
	}
	if ask.level != nil && w.topic == timer.ScheduleTopic {
		d.Properties = message.Without(d.Properties, message.PropTimerDelaySec, message.PropTimerDelayMillis, message.PropTimerDeliverMillis)
	}
	_, refused = s.park(d, it, w, nil)
	return refused
}

// refuseTxn answers an end that is not made.
func (s *Service) refuseTxn(err error) *Error {
	var r *txn.Refusal
	switch {
	case errors.Is(err, txn.ErrDecided):
		return nil
	case errors.As(err, &r):
		return Refuse(r.Code, "%s", r.Text)
	}
	return s.refuse(err)
}
