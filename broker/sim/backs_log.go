package sim

import (
	"fmt"
	"maps"
	"slices"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/timer"
)

// backLog is what was sent back, told naively, from the log alone: a message that is sent back is so once, and exactly one copy comes with the same
// entry: it waits for its time, and comes into the retry topic once when that is fired; or it is a dead letter, for ever. So one of queue, timer,
// retry topic and dead letters holds what was sent.
type backLog struct {
	b      *backs
	copies map[backQueue][]*backCopy // by offset
	waits  map[attempt]int           // in the timer
	dead   map[string]int
	itself map[attempt]int // copies that consumers sent themselves
	low    map[backQueue]int64
	sent   map[backQueue][]int64 // that are to be remembered, ascending
	late   map[string]int        // copies more, of what was sent back again and is not remembered
	counts int64                 // that were sent back
	due    []dueCopy             // of the entry at hand, not seen in it yet
	fires  bool                  // the entry at hand does
	rolls  bool                  // likewise
}

// backCopy is a message in the group's topic or in its retry topic.
type backCopy struct {
	attempt
	content  uint64
	spent    bool // a record says that it was sent back
	consumed bool // or retention took it
	replaced bool // by a copy that its consumer sent itself
}

// dueCopy is a copy that must come with an entry.
type dueCopy struct {
	attempt
	content uint64
	to      entry.PopTo
}

func (l *backLog) init(b *backs) {
	*l = backLog{
		b: b, copies: map[backQueue][]*backCopy{}, waits: map[attempt]int{}, dead: map[string]int{}, itself: map[attempt]int{}, low: map[backQueue]int64{},
		sent: map[backQueue][]int64{}, late: map[string]int{},
	}
}

func (l *backLog) find(q backQueue, offset int64) *backCopy {
	if all := l.copies[q]; offset >= 0 && offset < int64(len(all)) {
		return all[offset]
	}
	return nil
}

func (l *backLog) consumed(q backQueue, offset int64) {
	if c := l.find(q, offset); c != nil {
		c.consumed = true
	}
}

func (l *backLog) replaced(a backAnswer) {
	if c := l.find(a.queue, a.offset); c != nil {
		c.replaced = true
	}
}

func (l *backLog) isReplaced(a backAnswer) bool {
	c := l.find(a.queue, a.offset)
	return c != nil && c.replaced
}

func (b *backs) command(k entry.Kind, body []byte, _ entry.Record) error {
	l := &b.log
	switch k {
	case entry.KindSentBack:
		return entry.DecodeSentBacks(body, l.sendBack)
	case entry.KindTimerFire:
		l.fires = true
	case entry.KindTimerRoll:
		l.rolls = true
	case entry.KindOffsets:
		return entry.DecodeOffsets(body, func(o *entry.Offset) error { l.commit(o); return nil })
	}
	return nil
}

func (l *backLog) sendBack(r *entry.SentBack) error {
	q := backQueue{r.Topic, r.QueueID}
	c := l.find(q, r.Offset)
	switch {
	case c == nil:
		return fmt.Errorf("offset %d of %s is sent back, which is not there", r.Offset, q)
	case c.spent && r.Offset >= l.low[q]: // what the group committed past is not remembered: a request that comes so late makes another copy
		return fmt.Errorf("%s at offset %d of %s is sent back again", c.id, r.Offset, q)
	case c.times >= backTimes && r.To != entry.ToDeadLetter:
		return fmt.Errorf("%s was retried %d times, and goes to %d", c.id, c.times, r.To)
	}
	if c.spent {
		l.late[c.id]++
	}
	c.spent = true
	l.counts++
	l.due = append(l.due, dueCopy{attempt{c.id, c.times + 1}, c.content, r.To})
	if l.b.w.covered(SentBack); r.Offset >= l.low[q] {
		at, _ := slices.BinarySearch(l.sent[q], r.Offset)
		l.sent[q] = slices.Insert(l.sent[q], at, r.Offset)
	}
	return nil
}

// commit: what lies before what a group committed need not be remembered.
func (l *backLog) commit(o *entry.Offset) {
	if o.Group != backGroup {
		return
	}
	q := backQueue{o.Topic, o.QueueID}
	l.low[q] = o.Offset
	at, _ := slices.BinarySearch(l.sent[q], o.Offset)
	l.sent[q] = l.sent[q][at:]
}

func (b *backs) message(id string, v message.View) (known bool, err error) {
	if id == "" || id[:1] != backName {
		return false, nil
	}
	l, a := &b.log, attempt{id, v.ReconsumeTimes()}
	switch name := string(v.Topic()); {
	case name == backTopic:
		l.keep(a, v)
		return false, nil // it is one that somebody sent
	case timer.Parks(name):
		return true, l.park(a, v)
	case name == backRetry:
		return true, l.retried(a, v)
	case name == backDead:
		return true, l.buried(a, v)
	}
	return true, fmt.Errorf("%s comes into topic %s", id, v.Topic())
}

func (l *backLog) keep(a attempt, v message.View) {
	q := backQueue{string(v.Topic()), v.QueueID()}
	l.copies[q] = append(l.copies[q], &backCopy{attempt: a, content: contentOf(v)})
}

// takes says that a copy is one that the entry at hand must bring.
func (l *backLog) takes(a attempt, v message.View, to entry.PopTo) bool {
	i := slices.Index(l.due, dueCopy{a, contentOf(v), to})
	if i >= 0 {
		l.due = slices.Delete(l.due, i, i+1)
	}
	return i >= 0
}

// sentItself says that a copy may be one that a consumer sent itself.
func (l *backLog) sentItself(a attempt) bool {
	if l.itself[a] >= l.b.direct[a] {
		return false
	}
	l.itself[a]++
	return true
}

func (l *backLog) park(a attempt, v message.View) error {
	switch {
	case l.takes(a, v, entry.ToRetry):
	case l.rolls && l.waits[a] > 0:
		return nil // it is parked again
	case !l.sentItself(a):
		return fmt.Errorf("retry %d of %s waits, nobody sent it back", a.times, a.id)
	}
	l.waits[a]++
	return nil
}

func (l *backLog) retried(a attempt, v message.View) error {
	if !l.fires || l.waits[a] == 0 {
		return fmt.Errorf("retry %d of %s comes, %d of them wait; fired: %t", a.times, a.id, l.waits[a], l.fires)
	}
	l.waits[a]--
	l.keep(a, v)
	return nil
}

func (l *backLog) buried(a attempt, v message.View) error {
	if !l.takes(a, v, entry.ToDeadLetter) && !l.sentItself(a) {
		return fmt.Errorf("%s is a dead letter after %d retries, nobody sent it back", a.id, a.times)
	}
	l.b.w.covered(DeadLetters)
	l.dead[a.id]++
	return nil
}

func (b *backs) finish(entry.Record) error {
	l := &b.log
	if l.fires, l.rolls = false, false; len(l.due) > 0 {
		return fmt.Errorf("%s is sent back, and its copy does not come", l.due[0].id)
	}
	return nil
}

// judge: what is said to be sent back is.
func (l *backLog) judge(says backAnswer) {
	if c := l.find(says.queue, says.offset); c == nil || !c.spent {
		l.b.w.violate("offset %d of %s is answered as sent back, and is not: %+v", says.offset, says.queue, c)
	}
}

func (b *backs) compare(m *member, _ bool) {
	w, l := b.w, &b.log
	if have := m.shard.Deliveries().Counts().SentBacks; have != l.counts {
		w.violate("%s counts %d messages that were sent back, the log %d", m, have, l.counts)
	}
	for _, c := range b.consumers {
		if have := m.shard.Deliveries().SentBackIn(nil, c.key(), 0, 1<<40); !slices.Equal(have, l.sent[c.queue]) {
			w.violate("%s remembers of %s that %v were sent back, the log %v", m, c.queue, have, l.sent[c.queue])
		}
	}
}

// final: what was sent is held by one place, and whoever consumes has passed over nothing.
func (b *backs) final() {
	l := &b.log
	for _, says := range b.answers {
		l.judge(says)
	}
	held := map[string]int{}
	for _, c := range b.consumers {
		for offset, copied := range l.copies[c.queue] {
			if !copied.spent {
				held[copied.id]++
			}
			if c.queue.topic == backTopic {
				held[copied.id]--
			}
			if !copied.spent && !copied.consumed && !copied.replaced && int64(offset) < c.cursor {
				b.w.violate("retry %d of %s, at offset %d of %s, was neither consumed nor sent back, and is committed past", copied.times, copied.id, offset, c.queue)
			}
		}
	}
	for a, n := range l.waits {
		held[a.id] += n
	}
	for a, n := range l.itself {
		held[a.id] -= n
	}
	for id, n := range l.late {
		held[id] -= n
	}
	for _, id := range slices.Sorted(maps.Keys(held)) {
		if n := held[id] + l.dead[id]; n != 0 {
			b.w.violate("%s is held %d times more than it was sent", id, n)
		}
	}
}
