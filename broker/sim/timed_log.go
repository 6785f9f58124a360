package sim

import (
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/timer"
)

// timedLog is the timer told naively, from the log alone: each message that was parked is pending until exactly one command fires or cancels it.
// Who fires must pass over nothing, and be right about the time.
type timedLog struct {
	t       *timed
	cursor  timer.Cursor
	rolled  int64
	counts  timer.Counts
	pending []*parkedCopy // by place
	copies  map[string][]*parkedCopy
	firing  []*parkedCopy // by the entry at hand, and not seen in it yet
	rolling []*parkedCopy // likewise
	last    map[int32]timer.Cursor
	fires   bool // the entry at hand does
	absent  bool // the real topic was not there at some moment since the last fire
}

// parkedCopy is a message that was parked; one that was sent twice may be parked twice.
type parkedCopy struct {
	id      string
	due     int64 // ms
	first   int64 // position where it was parked first
	pos     int64 // now
	content uint64
	queue   int32 // real
	state   timedState
}

type timedState int

const (
	pending timedState = iota
	fired
	gone // cancelled
)

func (c *parkedCopy) place() timer.Cursor { return timer.Cursor{Due: c.due, Pos: c.pos} }

func (l *timedLog) init(t *timed) {
	*l = timedLog{t: t, copies: map[string][]*parkedCopy{}, last: map[int32]timer.Cursor{}, absent: true}
}

func (l *timedLog) copiesOf(id string) int { return len(l.copies[id]) }

// states counts the copies of a message by state.
func (l *timedLog) states(id string) (n [gone + 1]int) {
	for _, c := range l.copies[id] {
		n[c.state]++
	}
	return n
}

// find is where a place is among those pending, or would be.
func (l *timedLog) find(p timer.Cursor) (int, bool) {
	return slices.BinarySearchFunc(l.pending, p, func(c *parkedCopy, p timer.Cursor) int { return c.place().Compare(p) })
}

// command takes a command from the log.
func (l *timedLog) command(k entry.Kind, body []byte, r entry.Record) error {
	switch k {
	case entry.KindTimerFire:
		f, err := entry.DecodeTimerFire(body)
		if err != nil {
			return err
		}
		return l.fire(f, r)
	case entry.KindTimerCancel:
		c, _, err := entry.DecodeTimerCancel(body)
		if err != nil {
			return err
		}
		return l.cancel(c)
	case entry.KindTimerRoll:
		m, err := entry.DecodeTimerRoll(body)
		if err != nil {
			return err
		}
		return l.roll(m)
	case entry.KindTopicDelete:
		l.absent = true
	}
	return nil
}

// fire: all that is pending between the two cursors, and nothing else, comes with this entry.
func (l *timedLog) fire(f entry.TimerFire, r entry.Record) error {
	if f.From != l.cursor || !f.From.Before(f.To) {
		return fmt.Errorf("entry %d fires from %v to %v, the last fire ended at %v", r.Index, f.From, f.To, l.cursor)
	}
	n, found := l.find(f.To)
	if found {
		n++
	}
	if f.Count != int64(n) {
		return fmt.Errorf("entry %d fires %d messages up to %v, %d are pending", r.Index, f.Count, f.To, n)
	}
	if err := l.inTime(f.To.Due, r); err != nil {
		return err
	}
	l.fires = true
	l.firing = append(l.firing, l.pending[:n]...)
	l.pending = slices.Delete(l.pending, 0, n)
	for _, c := range l.firing {
		c.state = fired
		l.t.w.covered(Fired)
	}
	l.cursor = f.To
	l.counts.Fired += f.Count
	clear(l.last)
	return nil
}

// inTime: the leader that formed a fire had a clock that had reached the due time.
func (l *timedLog) inTime(due int64, r entry.Record) error {
	w := l.t.w
	leader, known := w.leaders[r.Term]
	if latest := w.members[leader].latest.UnixMilli(); known && latest < due {
		return fmt.Errorf("entry %d fires what is due at %d, the latest that the clock of its leader, %s, ever said is %d", r.Index, due, w.members[leader], latest)
	}
	return nil
}

func (l *timedLog) cancel(place timer.Cursor) error {
	i, found := l.find(place)
	if !found {
		return fmt.Errorf("what is %v is cancelled, and is not pending", place)
	}
	l.pending[i].state = gone
	l.pending = slices.Delete(l.pending, i, i+1)
	l.counts.Cancelled++
	return nil
}

// roll: all that is pending before its end, and nothing else, is parked again by this entry.
func (l *timedLog) roll(m entry.TimerRoll) error {
	if m.From != l.rolled || m.From >= m.To {
		return fmt.Errorf("a roll from position %d to %d, the last one ended at %d", m.From, m.To, l.rolled)
	}
	l.pending = slices.DeleteFunc(l.pending, func(c *parkedCopy) bool {
		if c.pos < m.To {
			l.rolling = append(l.rolling, c)
		}
		return c.pos < m.To
	})
	if m.Count != int64(len(l.rolling)) {
		return fmt.Errorf("a roll of %d messages up to position %d, %d are pending", m.Count, m.To, len(l.rolling))
	}
	l.rolled = m.To
	l.counts.Rolled += m.Count
	return nil
}

// park takes a message of the parking topic: one that is rolled, or a new one.
func (l *timedLog) park(id string, v message.View) error {
	c, err := copyOf(id, v)
	if err != nil {
		return err
	}
	if !l.cursor.Before(c.place()) {
		return fmt.Errorf("%s is parked, %v, where all was fired: up to %v", id, c.place(), l.cursor)
	}
	l.counts.Scheduled++
	for i, o := range l.rolling {
		if o.id == id && o.due == c.due && o.content == c.content && o.queue == c.queue {
			l.t.w.covered(Rolled)
			o.pos = c.pos
			l.rolling = slices.Delete(l.rolling, i, i+1)
			l.insert(o)
			return nil
		}
	}
	a := l.t.asked[id]
	if a == nil || c.due < a.due {
		return fmt.Errorf("%s is parked and due at %d, nobody asked for that", id, c.due)
	}
	l.copies[id] = append(l.copies[id], c)
	if n := len(l.copies[id]); n > a.tries {
		return fmt.Errorf("%s is parked %d times and was sent %d times", id, n, a.tries)
	}
	l.insert(c)
	return nil
}

func (l *timedLog) insert(c *parkedCopy) {
	i, _ := l.find(c.place())
	l.pending = slices.Insert(l.pending, i, c)
}

func copyOf(id string, v message.View) (*parkedCopy, error) {
	run := v.Properties()
	due, ok := timer.ParseDue(message.Property(run, message.PropTimerOutMillis))
	queue := message.Property(run, message.PropRealQueueID)
	if !ok || len(queue) != 1 || string(message.Property(run, message.PropRealTopic)) != topic {
		return nil, fmt.Errorf("the properties of %s are %q", id, run)
	}
	var h maphash.Hash
	h.SetSeed(hashSeed)
	_, _ = h.Write(v.Body())
	maphash.WriteComparable(&h, [2]int64{v.BornTime(), int64(v.Flag())})
	return &parkedCopy{id: id, due: due, first: v.Position(), pos: v.Position(), content: h.Sum64(), queue: int32(queue[0] - '0')}, nil
}

// comes takes a scheduled message in its real topic: it is one of those that the entry at hand fires, and not early.
func (l *timedLog) comes(id string, v message.View) error {
	got, err := copyOf(id, v)
	if err != nil {
		return err
	}
	for i, c := range l.firing {
		if c.id != id || c.due != got.due || c.content != got.content || c.queue != v.QueueID() {
			continue
		}
		if v.StoreTime() < c.due {
			return fmt.Errorf("%s is due at %d and comes at %d", id, c.due, v.StoreTime())
		}
		if last := l.last[c.queue]; c.place().Before(last) {
			return fmt.Errorf("%s, %v, comes behind what is %v", id, c.place(), last)
		}
		l.last[c.queue] = c.place()
		l.firing = slices.Delete(l.firing, i, i+1)
		return nil
	}
	return fmt.Errorf("%s comes, due at %d, and is not among what is fired: %v", id, got.due, l.states(id))
}

// end is called when an entry was taken. What is fired comes, unless its topic was deleted when it was looked for.
func (l *timedLog) end(r entry.Record, topicThere bool) error {
	if len(l.rolling) > 0 {
		return fmt.Errorf("entry %d rolls %d messages that it does not park again, the first is %s", r.Index, len(l.rolling), l.rolling[0].id)
	}
	if len(l.firing) > 0 && !l.absent {
		return fmt.Errorf("entry %d fires %d messages that do not come, the first is %s", r.Index, len(l.firing), l.firing[0].id)
	}
	if l.fires {
		l.fires, l.absent = false, !topicThere
	}
	l.firing = l.firing[:0]
	return nil
}
