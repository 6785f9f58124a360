package service

import (
	"context"
	"errors"
	"time"

	"github.com/contrailmq/contrail/broker/beat"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/txn"
)

// Asker asks a producer of a group what became of a half message (code 39). Clients known to a front are asked by it.
type Asker interface {
	// Producer picks one that is connected: its client id, and how to ask it. !ok: nobody of the group is.
	Producer(group string) (client string, ask func(*Check), ok bool)
}

// Checker is a connection of a producer that can be asked.
type Checker interface {
	// Check asks, and does not wait: the answer is an EndTransaction.
	Check(*Check)
}

// Check is the question about one half message.
type Check struct {
	Half    txn.Half
	UniqKey string
	Message []byte // as its producer sent it: in its real topic and queue
}

const (
	checksMax       = 256 // halves that are looked at in one go
	checkPatience   = 3 * time.Second
	checkEveryMax   = time.Second
	checkEveryLeast = 20 * time.Millisecond
)

// SetAsker tells who asks producers.
func (s *Service) SetAsker(a Asker) { s.asker.Store(&a) }

// checkHalves asks about half messages that are undecided, while this member leads, until the service ends.
func (s *Service) checkHalves() {
	defer s.leads.ended.Done()
	t := &s.opts.Transactions
	every := max(min(time.Duration(min(t.TimeoutMillis, t.IntervalMillis))*time.Millisecond/4, checkEveryMax), checkEveryLeast)
	tick := beat.NewTicker(every)
	defer tick.Stop()
	led := false
	for {
		select {
		case <-tick.C:
		case <-s.leads.stop:
			return
		}
		tick.Rest(every)
		if !s.shard.Leads() {
			if led {
				s.shard.Txn().Forget()
			}
			led = false
			continue
		}
		led = true
		s.checkDue()
	}
}

// checkDue makes one round.
func (s *Service) checkDue() {
	for {
		check, give, _ := s.shard.Txn().Due(nowMicros()/1000, s.opts.Transactions, checksMax)
		for i := range give {
			s.giveUp(&give[i])
		}
		s.askAbout(check)
		if len(check)+len(give) < checksMax {
			return
		}
	}
}

// giveUp ends a transaction that nobody decided: its message goes where an operator finds it (TransactionalMessageServiceImpl,
// DefaultTransactionalMessageCheckListener.resolveDiscardMsg).
func (s *Service) giveUp(h *txn.Half) {
	s.endTxn(s.opts.Transactions.GiveUp(h), nil, func(err *Error) {
		if err != nil && !err.NotLed() {
			s.opts.Log.Warn("a transaction that nobody decided could not be given up; it is tried again", "half", h.Offset, "group", h.Group, "err", err)
		}
	})
}

// askAbout records the checks, then asks: a check that was asked is one that is counted.
func (s *Service) askAbout(halves []txn.Half) {
	var asker Asker
	if a := s.asker.Load(); a != nil {
		asker = *a
	}
	for i := range halves {
		h := &halves[i]
		c := entry.TxnCheck{Offset: h.Offset, Position: h.Position, Times: h.Checks + 1, Group: h.Group}
		var ask func(*Check)
		if asker != nil {
			c.Client, ask, _ = asker.Producer(h.Group)
		}
		question, err := s.question(h)
		if err != nil {
			s.opts.Log.Warn("a half message cannot be read; its producer is asked later", "half", h.Offset, "group", h.Group, "err", err)
			continue
		}
		b := &shard.Batch{Deed: s.shard.CheckDeed(c), Done: func(b *shard.Batch) {
			if b.Err == nil && ask != nil {
				ask(question)
			}
		}}
		s.shard.Submit(b)
	}
}

// question is a half message as its producer knows it.
func (s *Service) question(h *txn.Half) (*Check, error) {
	v, err := s.shard.HalfMessage(h)
	if err != nil {
		return nil, err
	}
	run := v.Properties()
	id, refused := number(message.PropRealQueueID, message.Property(run, message.PropRealQueueID))
	if refused != nil {
		return nil, refused
	}
	d := message.DraftOf(v)
	d.Topic, d.QueueID = message.Property(run, message.PropRealTopic), int32(id)
	m := message.Append(nil, &d)
	message.Place(m, int32(id), v.QueueOffset(), v.Position(), v.StoreTime())
	return &Check{*h, string(message.Property(run, message.PropUniqKey)), m}, nil
}

// DecideTransaction ends a transaction on an operator's word.
func (s *Service) DecideTransaction(ctx context.Context, offset, position int64, commit bool) *Error {
	w := &txn.Wish{Offset: offset, Position: position, Decision: entry.TxnRollback, How: entry.TxnByAdmin}
	if commit {
		w.Decision = entry.TxnCommit
	}
	ended := make(chan *Error, 1)
	s.endTxn(w, nil, func(err *Error) { ended <- err })
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return s.refuse(errors.Join(shard.ErrUncertain, ctx.Err()))
	}
}
