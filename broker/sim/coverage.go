package sim

import (
	"fmt"
	"strings"
)

// cover is something that a run can do. Totals are printed and have minima in tests, so that a change that makes runs trivial
// is noticed.
type cover int

const (
	Entries cover = iota
	Acked
	Refused
	Uncertain
	Resent
	Crashes
	PowerLosses
	CrashesInside // at some operation on the disk
	Terms         // that had a leader
	Snapshots
	SnapshotsRefused // what arrived was damaged
	Flips
	Repairs // of a member that lost its log
	Repaired
	Truncations
	Retention
	FullDisks
	DiskErrors
	Joined   // asked to learn
	Promoted // asked to vote
	Removed
	Wiped
	Turned    // messages of a wiped member turned away
	Deleted   // topics
	Changed   // topics' queue counts
	Gone      // messages that a deleted topic did not take
	Reads     // of offsets behind a barrier
	Writes    // of offsets
	Noted     // offsets that consumers committed
	Judged    // histories of offsets that porcupine judged
	Handed    // leaderships asked to be handed over
	Locked    // queues that a client was told to hold
	Scheduled // messages
	Raised    // due times
	Fired     // messages
	Rolled    // messages
	Unrolled  // segments that hold too much
	Cancelled // messages, as answered
	TooLate   // cancels

	Halves     // stored, as answered
	HalfChecks // that a producer was asked
	Committed  // transactions
	RolledBack
	GivenUp
	EndsDone // as answered
	EndsRefused

	SentBack      // messages
	SentBackDone  // as answered
	SentBackAgain // likewise: before
	SentPassed    // messages that were passed over because they were sent back
	SentItself    // copies by consumers
	DeadLetters

	Leased // messages
	LeaseAcked
	LateAcked  // after their time, and before they were revived
	AckedAgain // what was settled before, as answered
	LeaseChanged
	Revived
	PlansOver   // pops that others came before
	LeasesReset // places
	NothingOver // revivals of which nothing was left

	OrderedPopped // messages
	OrderedAgain  // likewise, that were popped before
	OrderedAcked

	covers // how many there are
)

var coverNames = [covers]string{
	"entries", "acked", "refused", "uncertain", "resent", "crashes", "power-losses", "crashes-inside", "terms", "snapshots", "snapshots-refused",
	"flips", "repairs", "repaired", "truncations", "retention", "full-disks", "disk-errors", "joined", "promoted", "removed", "wiped", "turned-away",
	"topics-deleted", "topics-changed", "gone", "reads", "writes", "noted", "judged", "handed-over", "locked",
	"scheduled", "raised", "fired", "rolled", "unrolled", "cancelled", "too-late",
	"halves", "half-checks", "committed", "rolled-back", "given-up", "ends-done", "ends-refused",
	"sent-back", "sent-back-done", "sent-back-again", "sent-back-passed", "sent-itself", "dead-letters",
	"leased", "lease-acked", "late-acked", "acked-again", "lease-changed", "revived", "plans-over", "leases-reset", "nothing-over",
	"ordered-popped", "ordered-again", "ordered-acked",
}

// Coverage counts what runs did.
type Coverage [covers]int

// Add sums up.
func (c *Coverage) Add(o Coverage) {
	for i := range c {
		c[i] += o[i]
	}
}

func (c Coverage) String() string {
	var b strings.Builder
	for i, n := range c {
		fmt.Fprintf(&b, " %s %d", coverNames[i], n)
	}
	return strings.TrimSpace(b.String())
}

func (w *world) covered(what cover) { w.result.Coverage[what]++ }
