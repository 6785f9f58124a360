package derive

import (
	"github.com/contrailmq/contrail/broker/entry"
)

// Outcomes of settlements.
const (
	OutcomeAcknowledged = "acknowledged"
	OutcomeReset        = "reset"   // offsets that an offset reset went over
	OutcomeRewound      = "rewound" // the group goes back: an empty range at the offset where it goes on
)

// committed derives a commit: what lies between the commit before and this one is acknowledged.
func (d *Deriver) committed(o *entry.Offset) error { return d.moved(o, OutcomeAcknowledged) }

// reset derives an offset reset: what lies between is skipped, nobody consumed it.
func (d *Deriver) reset(o *entry.Offset) error { return d.moved(o, OutcomeReset) }

func (d *Deriver) moved(o *entry.Offset, outcome string) error {
	p := d.place(o.Topic, o.Group, o.QueueID)
	if o.Offset == p.committed {
		return nil
	}
	from := p.committed
	switch {
	case from > o.Offset:
		outcome, from = OutcomeRewound, o.Offset
	case from < 0 && outcome == OutcomeAcknowledged && p.first >= 0 && p.first <= o.Offset:
		from = p.first // the first commit: the group began where the first delivery began
	}
	again := from
	if from >= 0 {
		again = min(max(p.acked, from), o.Offset)
	}
	s := &d.settled
	s.Broker, s.Topic, s.QueueID, s.From, s.To, s.Group = d.o.Broker, o.Topic, o.QueueID, from, o.Offset, o.Group
	s.Outcome, s.Client, s.Node, s.AtMicros, s.Position = outcome, o.Client, d.leader, o.AtMicros, d.record.Pos
	s.AgainTo = again
	p.committed = o.Offset
	p.acked = max(p.acked, o.Offset)
	d.out.Settlement(s)
	return nil
}
