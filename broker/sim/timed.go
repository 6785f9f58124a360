package sim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/timer"
)

// In half of the runs some producers schedule messages: for a moment or some seconds ahead, many for one millisecond, some for a time that is
// past by some member's clock; and some of them are cancelled, most when they are about due. timed_log.go holds the log against what was asked,
// timed_cancel.go the answers against the log. Not in runs whose entries somebody compares with something that knows plain messages only.

const (
	schedulers = 2
	timedName  = "t" // scheduled messages' names begin with it, no others do
	burstMax   = 30
	levels     = 3
)

// timed is all about scheduled messages; nil: this run has none.
type timed struct {
	w *world
	dice
	schedulers []*scheduler
	log        timedLog
	asked      map[string]*scheduled
	acked      []*scheduled
	answers    []cancelAnswer
	bodyMax    int
	far        int // percent that is due late
}

// scheduled is one message that is to be delivered later.
type scheduled struct {
	id    string
	due   int64 // ms, as asked for
	tries int   // that may be stored
	sent  int   // tries in all
	acked int64 // position where it was parked first; 0: that was not answered
	out   int64 // ms, when it is due as answered
}

type scheduler struct {
	t      *timed
	name   string
	next   int
	flying []*scheduling
	again  []*scheduled // of which it is not known whether they are stored
}

// scheduling is a batch on its way.
type scheduling struct {
	c    *scheduler
	m    *member
	list []*scheduled
}

func (w *world) addTimed() {
	always := w.conf.Focus == FocusTimers || w.conf.Focus == FocusParked
	if w.conf.Entries != nil || !always && (w.conf.Focus != 0 || w.conf.Seed%2 == 0) {
		return
	}
	t := &timed{w: w, dice: dice{rand.New(rand.NewPCG(w.conf.Seed, 0x71e))}, asked: map[string]*scheduled{}, bodyMax: 150, far: 5}
	if w.conf.Seed%8 == 1 { // so much that it is not worth while to roll it
		t.bodyMax, t.far = 2500, 50
	}
	t.log.init(t)
	w.timed = t
	for i := range schedulers {
		c := &scheduler{t: t, name: fmt.Sprint(timedName, i)}
		t.schedulers = append(t.schedulers, c)
		c.loop()
	}
}

func (c *scheduler) loop() {
	longest := 350 * milli
	if c.t.w.conf.Focus != 0 {
		longest = 120 * milli
	}
	c.t.w.after(c.t.between(20*milli, int64(longest)), func() {
		if !c.t.w.stopped {
			c.step()
			c.loop()
		}
	})
}

func (c *scheduler) step() {
	m := c.t.w.anyLeader()
	if m == nil || len(c.flying) >= inFlight {
		return
	}
	if m.has(timer.WheelTopic, 1) && m.has(timer.ScheduleTopic, levels) {
		c.submit(m)
	}
	m.turn()
}

func (c *scheduler) submit(m *member) {
	s := &scheduling{c: c, m: m, list: c.pick(m)}
	b := &shard.Batch{Done: s.done}
	for _, a := range s.list {
		a.tries++
		a.sent++
		name, level := timer.WheelTopic, int32(0)
		if c.t.chance(20) {
			name, level = timer.ScheduleTopic, c.t.Int32N(levels)
		}
		from := len(b.Buf)
		b.Buf = message.Append(b.Buf, c.t.draft(a, name, level))
		to := len(b.Buf)
		parking := m.shard.Index().Lookup(name).Queue(level)
		b.Items = append(b.Items, shard.Item{From: from, To: to, Queue: parking, Due: a.due, DueAt: to - from - timer.DueDigits - 1})
	}
	c.flying = append(c.flying, s)
	m.shard.Submit(b)
}

// draft is a message as the service parks it.
func (t *timed) draft(a *scheduled, parking string, level int32) *message.Draft {
	props := message.AppendProperty(nil, message.PropUniqKey, a.id)
	props = message.AppendProperty(props, message.PropRealTopic, topic)
	props = message.AppendProperty(props, message.PropRealQueueID, strconv.Itoa(t.IntN(queues)))
	props = message.AppendProperty(props, message.PropTimerOutMillis, string(timer.AppendDue(nil, a.due)))
	return &message.Draft{
		Topic: []byte(parking), QueueID: level, Body: []byte(a.id + " " + strings.Repeat("x", t.IntN(t.bodyMax))), Properties: props,
		BornTime: t.Int64N(1 << 40), BornHost: host, StoreHost: host,
	}
}

// pick is what is scheduled next: something new, or again what may not have been stored.
func (c *scheduler) pick(m *member) []*scheduled {
	t := c.t
	if len(c.again) > 0 && t.chance(50) {
		a := c.again[0]
		c.again = c.again[1:]
		return []*scheduled{a}
	}
	now := t.clock(m)
	due := func() int64 { return max(now+t.ahead(), 1) }
	n := int(t.between(1, 4))
	if t.chance(6) { // many at once
		at := due()
		n, due = int(t.between(5, burstMax)), func() int64 { return at }
	}
	list := make([]*scheduled, n)
	for i := range list {
		c.next++
		list[i] = &scheduled{id: fmt.Sprintf("%s-%d", c.name, c.next), due: due()}
		t.asked[list[i].id] = list[i]
	}
	return list
}

// clock is somebody's: the leader's, the world's or any member's.
func (t *timed) clock(leader *member) int64 {
	switch t.IntN(4) {
	case 0:
		return epoch.UnixMilli() + t.w.now/milli
	case 1:
		return t.w.members[t.IntN(len(t.w.members))].now().UnixMilli()
	}
	return leader.now().UnixMilli()
}

// ahead is how far ahead a message is scheduled, ms.
func (t *timed) ahead() int64 {
	if t.chance(t.far) { // it may outlive retention, and the run
		return t.between(6000, 60_000)
	}
	switch n := t.IntN(100); {
	case n < 37:
		return t.between(1, 60)
	case n < 78:
		return t.between(60, 2000)
	case n < 89:
		return t.between(2000, 6000)
	}
	return -t.between(0, 2000)
}

func (s *scheduling) done(b *shard.Batch) {
	c, t := s.c, s.c.t
	if !c.lands(s) {
		return // the member died meanwhile: nobody heard the answer
	}
	switch {
	case b.Err == nil:
		for i, a := range s.list {
			t.parked(a, &b.Items[i])
		}
	case definite(b.Err):
		for _, a := range s.list {
			if a.tries--; a.tries < t.log.copiesOf(a.id) {
				t.w.violate("scheduled message %s was refused (%v) and is stored", a.id, b.Err)
			}
		}
		c.again = append(c.again, s.list...)
	default:
		c.uncertain(s)
	}
}

// lands takes a batch from those on their way.
func (c *scheduler) lands(s *scheduling) bool {
	for i, f := range c.flying {
		if f == s {
			c.flying = append(c.flying[:i], c.flying[i+1:]...)
			return true
		}
	}
	return false
}

func (c *scheduler) uncertain(s *scheduling) {
	for _, a := range s.list {
		if c.t.chance(50) {
			c.again = append(c.again, a)
		} else {
			c.t.mayCancel(a, a.due)
		}
	}
}

// parked is the answer that a message is scheduled.
func (t *timed) parked(a *scheduled, it *shard.Item) {
	t.w.covered(Scheduled)
	if it.Due != a.due {
		t.w.covered(Raised)
	}
	a.acked, a.out = it.Position, it.Due
	t.acked = append(t.acked, a)
	t.mayCancel(a, a.out)
}

// lostTimed makes everything uncertain that a member had not answered when it died.
func (w *world) lostTimed(m *member) {
	if w.timed == nil {
		return
	}
	for _, c := range w.timed.schedulers {
		flying := append([]*scheduling(nil), c.flying...)
		for _, s := range flying {
			if s.m == m && c.lands(s) {
				c.uncertain(s)
			}
		}
	}
}

func (t *timed) quiet() bool {
	for _, c := range t.schedulers {
		if len(c.flying) > 0 {
			return false
		}
	}
	return true
}
