package verdict

import (
	"slices"

	"github.com/contrailmq/contrail/tracing/trail"
)

// copies are those of one message that matter to one group: where it was sent, and the group's own retries and dead letter.
type copies struct {
	base  *trail.Message // the copy in the topic, or the one that waits for it
	retry *trail.Message // the newest retry; nil: none
	dead  *trail.Message // nil: none, or it was given to the group again
	again *trail.Message // the newest one that was given again; nil: none
	all   []*trail.Message
}

func copiesFor(m *trail.Message, life *trail.Life, group string) copies {
	var c copies
	for i := range life.Messages {
		k := &life.Messages[i]
		switch owner := k.Owner(); {
		case owner == "":
			c.takeBase(k)
		case owner != group:
			continue
		case k.Dead():
			c.dead = k
		case k.ResentFrom != "":
			c.again, c.retry, c.dead = k, k, nil
		case c.retry == nil || k.ReconsumeTimes >= c.retry.ReconsumeTimes:
			c.retry = k // what is fired comes behind what waited for it
		}
		c.all = append(c.all, k)
	}
	if c.base == nil {
		c.base = m
	}
	if len(c.all) == 0 {
		c.all = append(c.all, m)
	}
	return c
}

// takeBase keeps the first copy that was sent or, when it waited or was a half message, what came of it.
func (c *copies) takeBase(k *trail.Message) {
	if c.base == nil || c.base.Hidden() && sameWait(c.base, k) {
		c.base = k
	}
}

// hold says whether any of the copies is in a settlement's range.
func (c *copies) hold(s *trail.Settlement) bool {
	return slices.ContainsFunc(c.all, func(k *trail.Message) bool { return holds(k, s.Broker, s.Topic, s.QueueID, s.From, s.To) })
}

// current is the copy that decides, in the form in which it is where it is going to.
func (c *copies) current() trail.Message {
	k := c.base
	if c.retry != nil {
		k = c.retry
	}
	if c.dead != nil {
		k = c.dead
	}
	m := *k
	if m.Hidden() {
		m.Topic, m.QueueID, m.QueueOffset = m.RealTopic, m.RealQueueID, -1
	}
	return m
}

// waits decides what waits until it is due; false: it does not, or nobody of the group will get it.
func (f *facts) waits(v *Verdict) bool {
	m := &f.m
	if !m.Parked() || f.foreign() {
		return false
	}
	v.DueMicros, v.SinceMicros = m.DueMicros, m.AppendedMicros
	v.add(fact("parked", m.DueMicros, "it waits for {topic}, queue {queue}, until then", "topic", m.RealTopic, "queue", itoa(int64(m.RealQueueID))))
	if s := cancelOf(f.life, m); s != nil {
		v.State, v.SinceMicros = Cancelled, s.AtMicros
		tellCancel(v, s)
		return true
	}
	if m.DueMicros <= f.now*1000 {
		v.add(fact("overdue", 0, "it is due, and its delivery to the topic is not in the trail yet"))
	}
	if v.State = Scheduled; f.copies.retry != nil {
		v.State = Retrying
	}
	return true
}

func tellCancel(v *Verdict, s *trail.Step) {
	if v.Client = s.Client; v.Client != "" {
		v.add(fact("cancelled-by", s.AtMicros, "{client} cancelled it", "client", v.Client))
		return
	}
	v.add(fact("cancelled", s.AtMicros, "it was cancelled; by whom is not recorded"))
}

// foreign says that a group has nothing to do with where the message was sent.
func (f *facts) foreign() bool {
	return f.sub == nil && f.queue == nil && f.copies.retry == nil && f.copies.dead == nil && len(f.deliveries) == 0
}

// tellCopies tells how the message came to where it is.
func (f *facts) tellCopies(v *Verdict) {
	f.tellCommit(v)
	if a := f.copies.again; a != nil {
		by := a.ResentBy
		if by == "" {
			by = "somebody"
		}
		v.add(fact("resent", a.AppendedMicros, "{by} gave the dead letter to {group} again", "by", by, "group", f.g.Name))
	}
	if r := f.copies.retry; r != nil && r.ReconsumeTimes > 0 {
		v.Retry = int(r.ReconsumeTimes)
		text := "retry {retry} of {max}, stored in {topic}"
		if v.MaxRetries = int(max(0, f.g.RetryMaxTimes)); f.copies.dead != nil {
			v.MaxRetries = 0 // who sent it back may have asked for fewer
		}
		if v.MaxRetries == 0 {
			text = "retry {retry}, stored in {topic}"
		}
		v.add(fact("retry", r.AppendedMicros, text, "retry", itoa(int64(r.ReconsumeTimes)), "max", itoa(int64(v.MaxRetries)), "topic", r.Destination()))
	}
	if m := &f.m; m.Timing == trail.TimingFired {
		v.add(fact("fired", m.AppendedMicros, "stored in {topic}, queue {queue}, offset {offset}, {late} ms after it was due", "topic", m.Topic,
			"queue", itoa(int64(m.QueueID)), "offset", itoa(m.QueueOffset), "late", itoa(m.LateMicros()/1000)))
	}
}

// died decides a dead letter.
func (f *facts) died(v *Verdict) bool {
	d := f.copies.dead
	if d == nil {
		return false
	}
	v.State, v.SinceMicros = Dead, d.AppendedMicros
	v.Attempts = max(v.Attempts, int(d.ReconsumeTimes))
	v.add(fact("dead", d.AppendedMicros, "dead letter of {group} after {attempts} attempts: {topic}, queue {queue}, offset {offset}", "group", f.g.Name,
		"attempts", itoa(int64(d.ReconsumeTimes)), "topic", d.Topic, "queue", itoa(int64(d.QueueID)), "offset", itoa(d.QueueOffset)))
	return true
}
