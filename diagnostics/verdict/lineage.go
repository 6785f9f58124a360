package verdict

import "github.com/contrailmq/contrail/tracing/trail"

// Roles of a stored copy.
const (
	RoleSent      = "sent"
	RoleScheduled = "scheduled" // it waits, or waited, until it was due
	RoleFired     = "fired"     // stored in its topic when it was due
	RoleHalf      = "half"      // it waits, or waited, for its producer's decision
	RoleCommitted = "committed" // stored in its topic when its transaction was committed
	RoleDiscarded = "discarded" // moved away, because nobody decided its transaction
	RoleRetry     = "retry"
	RoleDead      = "dead"
	RoleResent    = "resent" // a dead letter that was given to its group again
)

// States of a copy that waits, or waited.
const (
	CopyUndecided  = "undecided"
	CopyCommitted  = "committed"
	CopyRolledBack = "rolled-back"
	CopyDiscarded  = "discarded"

	CopyWaits     = "waits"
	CopyOverdue   = "overdue" // it is due, and its firing is not in the trail (yet)
	CopyFired     = "fired"
	CopyCancelled = "cancelled"
	CopyRolled    = "rolled" // it waits in a newer copy
)

// Copy is one stored copy of a message, and which one it was made of.
type Copy struct {
	Position    int64  `json:"position"`
	From        int64  `json:"from"` // position of the copy that it was made of; 0: it was sent, or that copy is not recorded
	Broker      string `json:"broker"`
	Role        string `json:"role"`
	Group       string `json:"group"`   // of a retry or a dead letter
	Attempt     int    `json:"attempt"` // which delivery to the group this copy is for: 1 is the first
	Topic       string `json:"topic"`   // where it stands
	QueueID     int32  `json:"queueId"`
	QueueOffset int64  `json:"queueOffset"`
	To          string `json:"to"` // topic that it waits for; "" when it does not
	AtMicros    int64  `json:"atMicros"`
	DueMicros   int64  `json:"dueMicros"`
	LateMicros  int64  `json:"lateMicros"` // of a fired one
	State       string `json:"state"`
	By          string `json:"by"` // who had it resent
}

// Lineage tells the copies of a life, oldest first, as one story.
func Lineage(life *trail.Life, nowMillis int64) []Copy {
	copies := []Copy{}
	for i := range life.Messages {
		m := &life.Messages[i]
		c := Copy{
			Position: m.Position, Broker: m.Broker, Role: roleOf(m), Group: m.Owner(), Attempt: int(m.ReconsumeTimes) + 1, Topic: m.Topic, QueueID: m.QueueID,
			QueueOffset: m.QueueOffset, AtMicros: m.AppendedMicros, DueMicros: m.DueMicros, LateMicros: m.LateMicros(), From: madeOf(life.Messages[:i], m), By: m.ResentBy,
		}
		switch {
		case m.Parked():
			c.To, c.State = m.RealTopic, waitState(life, i, nowMillis)
		case m.Timing == trail.TimingHalf:
			c.To, c.State = m.RealTopic, halfState(life)
		}
		copies = append(copies, c)
	}
	return copies
}

func roleOf(m *trail.Message) string {
	switch {
	case m.Dead():
		return RoleDead
	case m.ResentFrom != "":
		return RoleResent
	case m.Owner() != "":
		return RoleRetry
	case m.Parked():
		return RoleScheduled
	case m.Timing == trail.TimingFired:
		return RoleFired
	case m.Timing == trail.TimingHalf:
		return RoleHalf
	case m.Timing == trail.TimingDiscarded:
		return RoleDiscarded
	case m.Committed():
		return RoleCommitted
	}
	return RoleSent
}

// madeOf is the position of the copy that m was made of, among those before it; 0: none.
func madeOf(before []trail.Message, m *trail.Message) int64 {
	made := int64(0)
	for i := range before {
		b := &before[i]
		switch {
		case m.Timing == trail.TimingFired || m.Timing == trail.TimingRolled:
			if b.Parked() && sameWait(b, m) {
				made = b.Position
			}
		case m.ResentFrom != "":
			if b.OffsetID == m.ResentFrom {
				made = b.Position
			}
		case m.Owner() != "":
			if b.ReconsumeTimes < m.ReconsumeTimes && (b.Owner() == m.Owner() || b.Owner() == "") {
				made = b.Position
			}
		case m.Committed() || m.Timing == trail.TimingDiscarded:
			if b.Timing == trail.TimingHalf {
				made = b.Position
			}
		}
	}
	return made
}

// sameWait says that a waiting copy and one that came of it are for the same delivery.
func sameWait(a, b *trail.Message) bool {
	return a.Destination() == b.Destination() && a.ReconsumeTimes == b.ReconsumeTimes && a.Broker == b.Broker
}

// waitState is what became of the waiting copy i.
func waitState(life *trail.Life, i int, nowMillis int64) string {
	m := &life.Messages[i]
	for j := i + 1; j < len(life.Messages); j++ {
		if l := &life.Messages[j]; sameWait(m, l) && l.Timing == trail.TimingFired {
			return CopyFired
		} else if sameWait(m, l) && l.Timing == trail.TimingRolled {
			return CopyRolled
		}
	}
	if cancelOf(life, m) != nil {
		return CopyCancelled
	}
	if m.DueMicros <= nowMillis*1000 {
		return CopyOverdue
	}
	return CopyWaits
}

var halfStates = map[string]string{trail.StepCommit: CopyCommitted, trail.StepRollback: CopyRolledBack, trail.StepDiscard: CopyDiscarded}

// halfState is what became of the half message.
func halfState(life *trail.Life) string {
	if end := endOf(life); end != nil {
		return halfStates[end.Name]
	}
	return CopyUndecided
}

// cancelOf is the cancel of a waiting copy; nil: none.
func cancelOf(life *trail.Life, m *trail.Message) *trail.Step {
	for i := range life.Steps {
		if s := &life.Steps[i]; s.Name == trail.StepCancel && isOf(s, m) {
			return s
		}
	}
	return nil
}
