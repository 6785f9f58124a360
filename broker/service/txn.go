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

// errDecided ends a deed that another one made before.
var errDecided = errors.New("it was decided the same before")

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
	if again || err != nil {
		done(s.refuseTxn(err))
		return
	}
	b := &shard.Batch{Done: func(b *shard.Batch) { done(s.refuseTxn(b.Err)) }}
	var who *shard.Producer
	if end := (entry.TxnEnd{Offset: w.Offset, Position: w.Position, Decision: w.Decision, How: w.How}); c != nil {
		who = s.producer(c, []byte(h.Group))
		end.Client = who.ClientID
		b.Deed = s.endDeed(w, end, timeout)
	} else {
		b.Deed = s.endDeed(w, end, timeout)
	}
	if w.Decision != entry.TxnRollback {
		if refused := s.decided(b, &h, w.Decision, who); refused != nil {
			done(refused)
			return
		}
	}
	s.shard.Submit(b)
}

func (s *Service) endDeed(w *txn.Wish, end entry.TxnEnd, timeout int64) *shard.Deed {
	d := &shard.Deed{Keys: []uint64{halfKey(w.Offset)}}
	d.Holds = func(now int64) error {
		_, again, err := s.shard.Txn().CanEnd(now/1000, timeout, w)
		if err == nil && again {
			err = errDecided
		}
		end.AtMillis = now / 1000
		d.Commands = []shard.Command{{Kind: entry.KindTxnEnd, Body: entry.AppendTxnEnd(nil, &end)}}
		return err
	}
	return d
}

type halfOffset int64

func halfKey(offset int64) uint64 { return shard.KeyOf(halfOffset(offset)) }

// decided appends what becomes of a half message: the message itself in its real topic, or one in the topic of those that nobody decided.
func (s *Service) decided(b *shard.Batch, h *txn.Half, d entry.TxnDecision, who *shard.Producer) *Error {
	v, err := s.stored(h.Position, int(h.Size))
	if err != nil {
		return s.unreadable(err)
	}
	draft := message.DraftOf(v)
	draft.SysFlag, draft.PreparedOffset = v.SysFlag()&^message.FlagTxMask, h.Offset
	it := shard.Item{Producer: who, ReceivedMicros: nowMicros()}
	if d == entry.TxnParked {
		draft.Topic, draft.QueueID, it.Queue = []byte(txn.ParkTopic), 0, s.shard.Index().Lookup(txn.ParkTopic).Queue(0)
	} else if refused := s.committed(&draft, &it); refused != nil {
		return refused
	}
	b.Put(it, &draft)
	return nil
}

// committed makes a half message's draft the message that its producer sent; one with a delay waits from now on.
func (s *Service) committed(d *message.Draft, it *shard.Item) *Error {
	topic := message.Property(d.Properties, message.PropRealTopic)
	id, refused := number(message.PropRealQueueID, message.Property(d.Properties, message.PropRealQueueID))
	t := s.shard.Index().Lookup(string(topic))
	if t == nil || refused != nil {
		return topicMissing(string(topic))
	}
	d.Topic, d.QueueID, it.Queue = topic, int32(id), t.Queue(int32(id))
	d.SysFlag |= message.FlagTxCommit
	d.Properties = without(d.Properties, message.PropTranMsg, message.PropRealTopic, message.PropRealQueueID)
	ask, refused := s.readProperties(d.Properties, 0)
	if refused != nil || !ask.timed() || ask.cancel != nil {
		return refused
	}
	w, refused := s.planOf(&ask, nowMicros()/1000)
	if refused != nil || w.due == 0 {
		return refused
	}
	if ask.level != nil && w.topic == timer.ScheduleTopic {
		d.Properties = without(d.Properties, message.PropTimerDelaySec, message.PropTimerDelayMillis, message.PropTimerDeliverMillis)
	}
	_, refused = s.park(d, it, w, nil)
	return refused
}

// refuseTxn answers an end that is not made.
func (s *Service) refuseTxn(err error) *Error {
	var r *txn.Refusal
	switch {
	case errors.Is(err, errDecided):
		return nil
	case errors.As(err, &r):
		return Refuse(r.Code, "%s", r.Text)
	}
	return s.refuse(err)
}
