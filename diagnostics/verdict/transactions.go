package verdict

import (
	"strconv"

	"github.com/contrailmq/contrail/tracing/trail"
)

// undecided decides a half message of which nothing came; false: it is none, or nobody of the group will get it.
func (f *facts) undecided(v *Verdict) bool {
	m := &f.m
	if m.Timing != trail.TimingHalf && m.Timing != trail.TimingDiscarded || f.foreign() {
		return false
	}
	v.State, v.SinceMicros = Undecided, m.AppendedMicros
	v.add(fact("half", m.AppendedMicros, "a half message for {topic}, queue {queue}: no group gets it before its producer commits it", "topic", m.RealTopic, "queue", itoa(int64(m.RealQueueID))))
	f.tellChecks(v)
	end := endOf(f.life)
	switch {
	case end == nil:
	case end.Name == trail.StepRollback:
		v.State = RolledBack
	case end.Name == trail.StepDiscard:
		v.State = Discarded
	case end.Name == trail.StepCommit:
		v.add(fact("commit-not-told", 0, "its copy in the topic is not in the trail yet"))
	}
	if end != nil {
		v.SinceMicros, v.Client = end.AtMicros, end.Client
		v.add(endEvidence(end))
	}
	return true
}

func (f *facts) tellChecks(v *Verdict) {
	h := halfOf(f.life)
	asked, unheard := 0, 0
	var last *trail.Step
	for i := range f.life.Steps {
		if s := &f.life.Steps[i]; h != nil && s.Name == trail.StepCheck && isOf(s, h) {
			if asked, last = asked+1, s; s.Client == "" {
				unheard++
			}
		}
	}
	if last != nil {
		v.add(fact("checked", last.AtMicros, "its producer group was asked {count} times what became of it; {nobody} times nobody of the group was connected", "count", strconv.Itoa(asked), "nobody", strconv.Itoa(unheard)))
	}
}

// tellCommit tells by whom what is in the topic was committed.
func (f *facts) tellCommit(v *Verdict) {
	if end := endOf(f.life); end != nil && !f.m.Hidden() {
		v.add(endEvidence(end))
	}
}

func endEvidence(s *trail.Step) Evidence {
	text := map[string]string{
		trail.StepCommit: "committed by {by}", trail.StepRollback: "rolled back by {by}", trail.StepDiscard: "given up after the {by}: it is in " + trail.DiscardTopic,
	}[s.Name]
	by := s.Detail
	switch {
	case s.Name == trail.StepDiscard:
	case s.Client != "":
		by = s.Client
	case by == "":
		by = "somebody"
	}
	return fact("txn-"+s.Name, s.AtMicros, text, "by", by, "how", s.Detail)
}

// halfOf is the half message among the copies; nil: there is none.
func halfOf(life *trail.Life) *trail.Message {
	for i := range life.Messages {
		if m := &life.Messages[i]; m.Timing == trail.TimingHalf {
			return m
		}
	}
	return nil
}

func isOf(s *trail.Step, m *trail.Message) bool { return s.Place == m.Position && s.Broker == m.Broker }

// endOf is the end of the transaction; nil: it is open, or there is none.
func endOf(life *trail.Life) *trail.Step {
	h := halfOf(life)
	for i := range life.Steps {
		s := &life.Steps[i]
		if h != nil && isOf(s, h) && (s.Name == trail.StepCommit || s.Name == trail.StepRollback || s.Name == trail.StepDiscard) {
			return s
		}
	}
	return nil
}
