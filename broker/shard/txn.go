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
