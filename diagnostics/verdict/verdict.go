package verdict

import (
	"slices"
	"strings"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/tracing/trail"
)

// State is where a message is for one group.
type State string

// States, in the order in which a person should see them.
const (
	Dead          State = "dead"        // among the group's dead letters
	Delivered     State = "delivered"   // handed out, not acknowledged
	Waiting       State = "waiting"     // in the queue, Ahead messages before it
	Offline       State = "offline"     // waiting, and nobody of the group is online
	Retrying      State = "retrying"    // its next attempt waits for its time
	Expired       State = "expired"     // retention removed it before the group got it
	Unknown       State = "unknown"     // the evidence does not say
	Skipped       State = "skipped"     // an offset reset went over it
	Scheduled     State = "scheduled"   // it waits until it is due
	Cancelled     State = "cancelled"   // it was scheduled, and was cancelled
	Undecided     State = "undecided"   // a half message: its transaction is open
	RolledBack    State = "rolled-back" // its transaction was
	Discarded     State = "discarded"   // nobody decided its transaction
	FilteredOut   State = "filtered"    // the group's subscription does not match
	Consumed      State = "consumed"    // acknowledged
	NotSubscribed State = "not-subscribed"
)

var order = []State{Dead, Delivered, Offline, Waiting, Retrying, Expired, Unknown, Skipped, Discarded, Undecided, Scheduled, RolledBack, Cancelled, FilteredOut, Consumed, NotSubscribed}

// Evidence is one fact. Values are the parts of Text.
type Evidence struct {
	Code     string            `json:"code"`
	Text     string            `json:"text"`
	Values   map[string]string `json:"values"`
	AtMicros int64             `json:"atMicros"` // 0: a state of now, not an event
}

// Verdict is one group's answer.
type Verdict struct {
	Group       string     `json:"group"`
	State       State      `json:"state"`
	Ahead       int64      `json:"ahead"` // messages before it in its queue, when waiting
	Client      string     `json:"client"`
	Attempts    int        `json:"attempts"`    // deliveries recorded
	SinceMicros int64      `json:"sinceMicros"` // when the state began; 0 unknown
	TookMicros  int64      `json:"tookMicros"`  // stored until acknowledged; 0 unless consumed
	DueMicros   int64      `json:"dueMicros"`   // when it is delivered next, scheduled or retrying; 0 unknown
	Retry       int        `json:"retry"`       // of its newest retry; 0: there was none
	MaxRetries  int        `json:"maxRetries"`  // of the group; 0: not known
	Where       Place      `json:"where"`       // the copy that decides
	Evidence    []Evidence `json:"evidence"`
}

// Place is where a copy stands, or where it is going to.
type Place struct {
	Broker      string `json:"broker"`
	Topic       string `json:"topic"`
	QueueID     int32  `json:"queueId"`
	QueueOffset int64  `json:"queueOffset"` // -1: it is not there yet
	Position    int64  `json:"position"`    // of the copy in the log
}

// Of gives the verdict of every group on a message. All copies in its life are one message; m is it when the life has none. System groups are left out. nowMillis is the broker's clock.
func Of(m trail.Message, life trail.Life, groups []inspect.Group, nowMillis int64) []Verdict {
	var all []Verdict
	for i := range groups {
		if !groups[i].System {
			c := gather(&m, &life, &groups[i], nowMillis)
			all = append(all, c.decide())
		}
	}
	slices.SortStableFunc(all, func(a, b Verdict) int {
		if d := slices.Index(order, a.State) - slices.Index(order, b.State); d != 0 {
			return d
		}
		return strings.Compare(a.Group, b.Group)
	})
	return all
}

// facts is what is known of one group and one message.
type facts struct {
	m          trail.Message // the copy that decides
	copies     copies
	life       *trail.Life
	g          *inspect.Group
	now        int64
	queue      *inspect.GroupQueue
	sub        *inspect.Subscription
	deliveries []trail.Delivery // that handed the copy out
	earlier    []trail.Delivery // that handed out copies before it
	filtered   *trail.Delivery  // that went over it
	settled    *trail.Settlement
	undone     []*trail.Settlement // that say it was not consumed: sent back, expired, given another time
	failed     *trail.Step         // a client's own word that processing failed
	holes      int
}

func gather(m *trail.Message, life *trail.Life, g *inspect.Group, now int64) facts {
	f := facts{copies: copiesFor(m, life, g.Name), life: life, g: g, now: now, holes: len(life.NotRecorded)}
	f.m = f.copies.current()
	for i := range g.Queues {
		q := &g.Queues[i]
		if q.Topic == f.m.Topic && q.QueueID == f.m.QueueID && (q.Broker == f.m.Broker || q.Broker == "" || f.m.Broker == "") {
			f.queue = q
		}
	}
	for i := range g.Subscriptions {
		if g.Subscriptions[i].Topic == f.m.Topic {
			f.sub = &g.Subscriptions[i]
		}
	}
	for i := range life.Deliveries {
		f.delivery(&life.Deliveries[i])
	}
	for i := range life.Settlements {
		f.settlement(&life.Settlements[i])
	}
	for i := range life.Steps {
		if s := &life.Steps[i]; s.Group == g.Name && s.Status == "Error" {
			f.failed = s
		}
	}
	return f
}

// Outcomes of settlements that settle.
const (
	acknowledged = "acknowledged"
	reset        = "reset"
)

func (f *facts) settlement(s *trail.Settlement) {
	switch {
	case s.Group != f.g.Name:
	case s.Outcome != acknowledged && s.Outcome != reset:
		if f.copies.hold(s) {
			f.undone = append(f.undone, s)
		}
	case holds(&f.m, s.Broker, s.Topic, s.QueueID, s.From, s.To):
		f.settled = s
	}
}

// holds says whether a range of a queue has a copy in it. Rows of older versions do not say their broker group.
func holds(m *trail.Message, broker, topic string, queue int32, from, to int64) bool {
	return topic == m.Topic && queue == m.QueueID && from <= m.QueueOffset && m.QueueOffset < to && (broker == m.Broker || broker == "" || m.Broker == "")
}

func (f *facts) delivery(d *trail.Delivery) {
	if d.Group != f.g.Name {
		return
	}
	if !holds(&f.m, d.Broker, d.Topic, d.QueueID, d.From, d.To) {
		for _, k := range f.copies.all {
			if holds(k, d.Broker, d.Topic, d.QueueID, d.From, d.To) && !passesOver(d, k) {
				f.earlier = append(f.earlier, *d)
				return
			}
		}
		return
	}
	if passesOver(d, &f.m) {
		f.filtered = d
		return
	}
	f.deliveries = append(f.deliveries, *d)
}

// passesOver says whether a delivery that holds a copy left it out.
func passesOver(d *trail.Delivery, m *trail.Message) bool {
	o := m.QueueOffset
	if slices.Contains(d.Skipped, o) {
		return true
	}
	if int(d.Filtered) > len(d.Skipped) && (len(d.Skipped) == 0 || o > d.Skipped[len(d.Skipped)-1]) {
		return !Matches(d.Subscription, m.Tag) // the list of skipped offsets is bounded; the expression decides
	}
	return false
}

// Matches says whether a tag expression (`a || b`, `*`) takes a tag.
func Matches(expression, tag string) bool {
	if e := strings.TrimSpace(expression); e == "" || e == "*" {
		return true
	}
	for t := range strings.SplitSeq(expression, "||") {
		if strings.TrimSpace(t) == tag && tag != "" {
			return true
		}
	}
	return false
}

func (f *facts) decide() Verdict {
	v := Verdict{Group: f.g.Name, Attempts: len(f.earlier) + len(f.deliveries)}
	v.Where = Place{f.m.Broker, f.m.Topic, f.m.QueueID, f.m.QueueOffset, f.m.Position}
	f.tellDeliveries(&v)
	f.tellUndone(&v)
	f.tellCopies(&v)
	if f.died(&v) || f.undecided(&v) || f.waits(&v) {
		return v
	}
	switch {
	case f.settled != nil && f.settled.Outcome == reset:
		v.State, v.SinceMicros = Skipped, f.settled.AtMicros
		v.add(f.settledEvidence(reset))
	case f.filtered != nil && len(f.deliveries) == 0:
		v.State, v.SinceMicros = FilteredOut, f.filtered.SentMicros
		v.add(f.filteredEvidence())
	case f.settled != nil && f.notTaken():
		v.State, v.SinceMicros = FilteredOut, f.settled.AtMicros
		v.add(f.expressionEvidence())
		v.add(f.settledEvidence(acknowledged))
	case f.settled != nil:
		v.State, v.SinceMicros, v.Client = Consumed, f.settled.AtMicros, f.settled.Client
		v.TookMicros = max(0, f.settled.AtMicros-f.readyMicros())
		v.add(f.settledEvidence(acknowledged))
	default:
		f.unsettled(&v)
	}
	return v
}

// readyMicros is when the message could be consumed first: what was scheduled, when it was fired.
func (f *facts) readyMicros() int64 { return f.copies.base.AppendedMicros }

// unsettled decides without an acknowledgement in the trail, from the group's committed offset.
func (f *facts) unsettled(v *Verdict) {
	last := len(f.deliveries) - 1
	switch {
	case f.queue != nil && f.queue.Committed > f.m.QueueOffset:
		f.passed(v)
	case last >= 0 && f.g.Model == "BROADCASTING":
		v.State, v.Client, v.SinceMicros = Unknown, f.deliveries[last].Client, f.deliveries[last].SentMicros
		v.add(fact("broadcast", 0, "broadcast members keep their offsets themselves: the broker sees the delivery, not the acknowledgement"))
	case last >= 0:
		v.State, v.Client, v.SinceMicros = Delivered, f.deliveries[last].Client, f.deliveries[last].SentMicros
		f.tellOffset(v)
	case f.sub == nil && f.queue == nil && f.copies.retry == nil:
		v.State = NotSubscribed
		v.add(fact("no-subscription", 0, "no member of {group} has told a subscription to {topic}, and it has no offset there", "group", f.g.Name, "topic", f.m.Topic))
	case f.queue != nil && f.m.QueueOffset < f.queue.Min:
		v.State = Expired
		v.add(fact("expired", 0, "the queue begins at offset {min}: retention removed offset {offset}", "min", itoa(f.queue.Min), "offset", itoa(f.m.QueueOffset)))
	default:
		f.waiting(v)
	}
}

// notTaken: nothing was delivered, and the subscription does not take the message's tag. An acknowledged range alone does not
// say that a message in it was delivered: consumers acknowledge past what was filtered out.
func (f *facts) notTaken() bool {
	return len(f.deliveries) == 0 && f.sub != nil && f.sub.Type != "SQL92" && !Matches(f.sub.Expression, f.m.Tag)
}

// passed: the committed offset is behind the message although the trail has no settlement of it.
func (f *facts) passed(v *Verdict) {
	f.tellOffset(v)
	switch {
	case f.notTaken():
		v.State = FilteredOut
		v.add(f.expressionEvidence())
	case len(f.deliveries) == 0 && f.holes == 0:
		v.State = Unknown
		v.add(fact("passed-undelivered", 0, "the committed offset is past this message, but no delivery of it is recorded: an offset was set over it, or the trail is not shipped up to it yet"))
	default:
		v.State, v.SinceMicros = Consumed, f.queue.LastCommit*1000
	}
}

func (f *facts) waiting(v *Verdict) {
	v.State, v.SinceMicros = Waiting, f.m.AppendedMicros
	if !f.g.Online {
		v.State = Offline
		if f.g.LastSeen > 0 {
			v.SinceMicros = max(f.g.LastSeen*1000, f.m.AppendedMicros)
			v.add(fact("last-seen", f.g.LastSeen*1000, "no member is online since"))
		} else {
			v.add(fact("never-seen", 0, "no member of {group} is online, and none was seen since the broker started", "group", f.g.Name))
		}
	}
	if f.queue == nil {
		v.add(fact("no-offset", 0, "{group} subscribes to {topic} but has no offset in queue {queue} yet", "group", f.g.Name, "topic", f.m.Topic, "queue", itoa(int64(f.m.QueueID))))
		return
	}
	v.Ahead = max(0, f.m.QueueOffset-max(f.queue.Committed, f.queue.Min))
	f.tellOffset(v)
	if f.queue.LastPull > 0 {
		v.add(fact("last-pull", f.queue.LastPull*1000, "{client} last asked for offset {offset}", "client", f.queue.Client, "offset", itoa(f.queue.LastPullOff)))
	}
}
