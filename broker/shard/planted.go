package shard

import (
	"github.com/contrailmq/contrail/broker/consensus"
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
	AnswerCancel     bool // a cancel is answered before it is applied
	ForgetCancelled  bool // what was cancelled is forgotten at a restart
	KeepDue          bool // due times of what is parked are not raised
	TrustParked      bool // parked messages are stored again as they are read, damaged or not
	DropRolled       bool // a message that is rolled is void and not parked again
	Log              seglog.Planted
}

// answerCancels answers the cancels of an entry that is on its way.
func (p *Planted) answerCancels(batches []*Batch) {
	for _, b := range batches {
		if p.AnswerCancel && b.Deed != nil && len(b.Deed.Commands) > 0 && b.Deed.Commands[0].Kind == entry.KindTimerCancel {
			b.Done(b)
			b.Done = func(*Batch) {}
		}
	}
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
