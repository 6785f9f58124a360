package shard

import (
	"fmt"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/txn"
)

// Txn is the transactions as applied.
func (s *Shard) Txn() *txn.Table { return s.txn }

// applyTxn takes decisions and checks.
func (s *Shard) applyTxn(k entry.Kind, body []byte) error {
	if k == entry.KindTxnEnd {
		return entry.DecodeTxnEnds(body, s.txn.End)
	}
	return entry.DecodeTxnChecks(body, s.txn.Check)
}

// openTxn takes a message of the half topic.
func (s *Shard) openTxn(v message.View) error {
	h := txn.HalfOf(v)
	return s.txn.Put(&h)
}

// EndDeed ends a transaction as somebody wishes; timeout is that of checks, ms. What becomes of the half message (txn.Ended) belongs into
// its batch. It is refused with a *txn.Refusal, txn.ErrDecided or txn.ErrClock.
func (s *Shard) EndDeed(w *txn.Wish, client string, timeout int64) *Deed {
	end := entry.TxnEnd{Offset: w.Offset, Position: w.Position, Decision: w.Decision, How: w.How, Client: client}
	d := &Deed{Keys: []uint64{halfKey(w.Offset)}}
	d.Holds = func(now int64) error {
		end.AtMillis = now / 1000
		d.Commands = []Command{{entry.KindTxnEnd, entry.AppendTxnEnd(nil, &end)}}
		return s.txn.MayEnd(end.AtMillis, timeout, w)
	}
	return d
}

// RefuseEnd answers a wish that does not hold, as far as this member knows, when it is certain that it knows.
func (s *Shard) RefuseEnd(w *txn.Wish, timeout int64) *Deed {
	return &Deed{Keys: []uint64{halfKey(w.Offset)}, Holds: func(now int64) error {
		if err := s.txn.MayEnd(now/1000, timeout, w); err != nil {
			return err
		}
		return ErrBusy // it came meanwhile: who asks again is served
	}}
}

// CheckDeed records that a producer is asked. It may be asked when the deed is done.
func (s *Shard) CheckDeed(c entry.TxnCheck) *Deed {
	d := &Deed{Keys: []uint64{halfKey(c.Offset)}}
	d.Holds = func(now int64) error {
		c.AtMillis = now / 1000
		d.Commands = []Command{{entry.KindTxnCheck, entry.AppendTxnCheck(nil, &c)}}
		return s.txn.CanCheck(&c)
	}
	return d
}

type halfOffset int64

func halfKey(offset int64) uint64 { return KeyOf(halfOffset(offset)) }

// undecided says that a segment may not go because a half message in it or before is open: its producer may still commit it. That is told
// once.
func (s *Shard) undecided(seg seglog.SegmentInfo) bool {
	h, open := s.txn.Oldest()
	if !open || h.Position >= seg.EndPos {
		return false
	}
	if s.undecidedSeq != seg.Seq {
		s.undecidedSeq = seg.Seq
		s.event("retention-held", fmt.Sprintf("segment %d and those after it are kept: half message %d of %s is not decided yet", seg.Seq, h.Offset, h.Group))
	}
	return true
}
