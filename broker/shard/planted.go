package shard

import (
	"github.com/contrailmq/contrail/broker/consensus"
	"github.com/contrailmq/contrail/broker/seglog"
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
	Log              seglog.Planted
}
