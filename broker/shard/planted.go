package shard

import (
	"encoding/binary"

	"github.com/contrailmq/contrail/broker/consensus"
	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/timer"
)

// Planted are mistakes that the simulator must find; nothing else sets them.
type Planted struct {
	consensus.Planted
	LeadWithoutNoOp  bool // offsets are given as soon as raft elects, before the log was applied
	ReadPastCommit   bool // readers get entries that are written, not committed
	KeepNextOffsets  bool // a new leader goes on with the offsets that it would have given when it led before
	ServeAfterDefeat bool // a member that was voted out still says that it leads
	AnswerUncertain  bool // what was on its way when leadership went is answered as stored
	KeepNoted        bool // offset commits that never got into the log are kept after leadership went
	DropTail         bool // the newest entry is dropped at a restart
	DropUnsaved      bool // retention drops what no checkpoint covers
	VoteUnrepaired   bool // a member that lost its log votes before it has again what it promised
	FoundUnasked     bool // a founder takes part without asking the others
	ForgetLocks      bool // a new leader begins with no queue locks
	FireFormed       bool // what is due is fired without regard to what is formed and not applied
	FireAgain        bool // a fire is formed although the cursor is not where it was found
	FireEarly        bool // what is due by the newest entry's time is fired, whatever the leader's clock says
	KeepDue          bool // due times of what is parked are not raised
	TrustParked      bool // parked messages are stored again as they are read, damaged or not
	RefuseStale      bool // a deed that does not hold is refused by who may have been replaced
	PlanByPlace      bool // a queue is held to be as a pop was planned when the group's place in it is
	ResetBeside      bool // a reset of an offset shares its entry, and others are formed behind it before it is applied
	DropGone         bool // a deed is done without its messages when their topic is gone
	TrustStored      bool // other messages, likewise
	DropRolled       bool // a message that is rolled is void and not parked again
	Log              seglog.Planted

	// Mistakes with deeds whose first command is of a kind, and with what was said by commands of a kind.
	AnswerFormed entry.Kind // they are answered before they are applied
	Unasked      entry.Kind // they come into the log although they do not hold
	Bare         entry.Kind // their messages are stored without the commands
	Alone        entry.Kind // their commands are stored without the messages
	Forget       entry.Kind // what was said is forgotten at a restart
}

// begins says that a deed's first command is of a kind.
func (d *Deed) begins(k entry.Kind) bool {
	return k != 0 && d != nil && len(d.Commands) > 0 && d.Commands[0].Kind == k
}

// answerFormed answers deeds of an entry that is on its way.
func (p *Planted) answerFormed(batches []*Batch) {
	for _, b := range batches {
		if b.Deed.begins(p.AnswerFormed) {
			b.Done(b)
			b.Done = func(*Batch) {}
		}
	}
}

// strip takes from a deed that holds what a mistake leaves out.
func (p *Planted) strip(b *Batch) {
	if b.Deed.begins(p.Bare) {
		b.Deed.Commands = nil
	}
	if b.Deed.begins(p.Alone) {
		b.Items = nil
	}
}

// forget forgets what commands of a kind said.
func (s *Shard) forget(k entry.Kind) {
	switch k {
	case entry.KindTimerCancel:
		s.timers.ForgetCancelled()
	case entry.KindTxnEnd:
		s.txn.ForgetDecided()
	case entry.KindSentBack:
		s.deliveries.ForgetSentBack()
	case entry.KindPopLease:
		s.deliveries.ForgetLeases()
	}
}

// acksUnasked are records of acks, whatever they are of.
func acksUnasked(k delivery.Key, now int64, all []*delivery.Settle) (out []entry.PopAcks) {
	for _, e := range all {
		if e.Err = nil; e.VisibleMillis == 0 {
			out = append(out, entry.PopAcks{Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Client: e.Client, AtMillis: now, Acks: []entry.PopAck{e.Ack}})
		}
	}
	return out
}

// loadUnchecked takes the message at a position, and what stands behind it, for its entry.
func (r *StoredReader) loadUnchecked(pos int64) error {
	var head [4]byte
	if err := r.s.ReadAt(head[:], pos); err != nil {
		return err
	}
	r.data, r.dataPos = make([]byte, binary.BigEndian.Uint32(head[:])&0xfffff), pos
	return r.s.ReadAt(r.data, pos)
}

// span is from where to where a fire goes that is formed in whatever state.
func (p *Planted) span(job *fireJob, cursor timer.Cursor) (from, to timer.Cursor) {
	if !p.FireAgain || job.from == cursor {
		return job.from, job.to
	}
	if to = job.to; !cursor.Before(to) {
		to = timer.Cursor{Due: cursor.Due, Pos: cursor.Pos + 1}
	}
	return cursor, to
}
