package shard

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/timer"
)

// What is due is fired by the leader: the loop finds the entries, the firer reads their messages and stores them again in their real topics,
// as a deed that moves the cursor. One fire is on its way at a time, so that nothing is fired twice; a storm drains in full entries, and the
// messages of each are read while the one before it is stored.
const (
	fireMax = 4096 // messages that are looked for at once
	fireFar = time.Minute
)

// fireJob is what one fire stores again.
type fireJob struct {
	from, to  timer.Cursor
	entries   []timer.Entry
	cancelled int64  // how many were when the entries were found
	rolled    int64  // up to which position
	term      uint64 // of the leader that found them
}

// firing belongs to the loop, but for what is atomic.
type firing struct {
	timer   *time.Timer // rings when the next message is due
	rings   int64       // ms; 0: it does not
	jobs    chan []*fireJob
	later   []*fireJob // the Stepper's
	entries []timer.Entry
	busy    atomic.Bool // one is on its way
	paused  atomic.Bool // the last one failed; until the next tick
}

func newFiring() *firing {
	t := time.NewTimer(fireFar)
	t.Stop()
	return &firing{timer: t, jobs: make(chan []*fireJob, 1)}
}

// fire looks whether something is due. It is called at the end of each turn.
func (s *Shard) fire() error {
	if s.leaderTerm == 0 || s.firing.busy.Load() || s.firing.paused.Load() {
		return nil
	}
	now := s.opts.Now().UnixMilli()
	if s.opts.Planted.FireEarly {
		now = max(now, s.lastMicros/1000)
	}
	jobs, err := s.due(now)
	if err != nil { // a block of a sidecar may be damaged: the next turn looks again
		s.inbox.kick()
		return s.mendTimers(err)
	}
	if len(jobs) == 0 {
		return nil
	}
	s.firing.busy.Store(true)
	if s.opts.stepped {
		s.firing.later = jobs
		return nil
	}
	s.firing.jobs <- jobs // it has room for one list, and there is one
	return nil
}

// due are the next fires, each of which begins where the one before it ends; none: nothing is due now, ms.
func (s *Shard) due(now int64) ([]*fireJob, error) {
	next, ok, err := s.timers.Next()
	if err != nil || !ok {
		return nil, err
	}
	if next > now {
		s.ring(next, now)
		return nil, nil
	}
	whole := fireJob{from: s.timers.Cursor(), cancelled: s.timers.Counts().Cancelled, rolled: s.timers.Rolled(), term: s.leaderTerm}
	s.firing.entries, whole.to, err = s.timers.Due(s.firing.entries[:0], s.mayFire(now), fireMax)
	if err != nil || len(s.firing.entries) == 0 { // what is due waits behind an entry on its way
		return nil, err
	}
	whole.entries = slices.Clone(s.firing.entries)
	return whole.parts(s.fireBytes()), nil
}

// fireBytes is how many bytes of messages one fire has, about. A simulator's messages are small, and few are due at once.
func (s *Shard) fireBytes() int {
	if s.opts.stepped {
		return 4 << 10
	}
	return EntryBytes
}

// parts cuts a fire where its messages fill an entry of the log.
func (j *fireJob) parts(most int) (list []*fireJob) {
	bytes, begun, from := 0, 0, j.from
	for i, e := range j.entries {
		if bytes += int(e.Size); bytes <= most || i == begun {
			continue
		}
		part := *j
		part.entries, part.from, part.to = j.entries[begun:i], from, j.entries[i-1].Place()
		list = append(list, &part)
		bytes, begun, from = int(e.Size), i, part.to
	}
	last := *j
	last.entries, last.from = j.entries[begun:], from
	return append(list, &last)
}

// ring has the loop wake up when a message is due.
func (s *Shard) ring(due, now int64) {
	if s.opts.stepped || s.firing.rings == due {
		return
	}
	s.firing.rings = due
	s.firing.timer.Reset(time.Duration(min(due-now, fireFar.Milliseconds())) * time.Millisecond)
}

// firer stores again what is due.
func (s *Shard) firer() {
	defer s.others.Done()
	var buffers [2][]byte
	for jobs := range s.firing.jobs {
		s.fireEnded(s.fireAll(jobs, &buffers))
	}
}

// fireAll stores one fire after the other. While one is stored the next one's messages are read, into the other of two buffers.
func (s *Shard) fireAll(jobs []*fireJob, buffers *[2][]byte) error {
	stored := make(chan error, 1)
	stored <- nil // before the first
	for i, job := range jobs {
		b, err := s.fireBatch(job, buffers[i%2][:0])
		if before := <-stored; before != nil || err != nil {
			return cmp.Or(before, err)
		}
		if buffers[i%2] = b.Buf; cap(b.Buf) > 2*EntryBytes { // of one large message
			buffers[i%2] = nil
		}
		b.Done = func(b *Batch) { stored <- b.Err }
		s.Submit(b)
	}
	return <-stored
}

// fireStep is what fireAll does, a fire at a time.
func (s *Shard) fireStep(jobs []*fireJob) {
	b, err := s.fireBatch(jobs[0], nil)
	if err != nil {
		s.fireEnded(err)
		return
	}
	b.Done = func(b *Batch) {
		if rest := jobs[1:]; b.Err == nil && len(rest) > 0 {
			s.firing.later = rest
			return
		}
		s.fireEnded(b.Err)
	}
	s.Submit(b)
}

// fireEnded lets the loop look for the next fires; after one that failed, with the next tick.
func (s *Shard) fireEnded(err error) {
	if err != nil && !errors.Is(err, errFireOver) && !errors.Is(err, ErrNotLeader) {
		s.firing.paused.Store(true)
		s.opts.Log.Warn("messages that are due wait: they could not be stored", "dir", s.opts.Dir, "err", err)
	}
	s.firing.busy.Store(false)
	s.inbox.kick()
}

// errFireOver is a fire that was found in a state which is not that of now.
var errFireOver = errors.New("the timers changed")

// fireBatch makes the deed: the messages as they are stored again, in buf, which it may grow, and the command.
func (s *Shard) fireBatch(job *fireJob, buf []byte) (*Batch, error) {
	n := len(job.entries)
	b := &Batch{Buf: buf, Items: make([]Item, 0, n), Deed: &Deed{Keys: append(make([]uint64, 0, n+1), fireKey), Partly: true}}
	places := make([]timer.Cursor, 0, n)
	parked := parkedReader{s: s}
	lost := map[string]int{}
	for i := range job.entries {
		e := &job.entries[i]
		b.Deed.Keys = append(b.Deed.Keys, placeKey(e.Place()))
		v, err := parked.message(job.entries[i:])
		if errors.Is(err, errLost) { // the others shall not wait for it
			s.tellDamaged(e)
			continue
		}
		if err != nil {
			return nil, err
		}
		if it, ok := s.unpark(b, v); ok {
			b.Items, places = append(b.Items, it), append(places, e.Place())
		} else {
			lost[string(message.Property(v.Properties(), message.PropRealTopic))]++
		}
	}
	s.tellLost(lost)
	b.Deed.Holds = func(now int64) error { return s.fireHolds(b, job, places, now/1000) }
	return b, nil
}

func (s *Shard) tellDamaged(e *timer.Entry) {
	s.event("timer-lost", fmt.Sprintf("the message that is parked at position %d is damaged, and there is no other copy: it is never delivered", e.Pos))
}

// tellLost tells how many messages of which topics are due and come nowhere.
func (s *Shard) tellLost(topics map[string]int) {
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		s.event("timer-lost", fmt.Sprintf("%d scheduled messages are due, and their topic [%s] was deleted", topics[topic], topic))
	}
}

// unpark appends a parked message as it is delivered. It keeps all its properties, as RocketMQ's do. false: its topic was deleted.
func (s *Shard) unpark(b *Batch, v message.View) (Item, bool) {
	run := v.Properties()
	topic := message.Property(run, message.PropRealTopic)
	id, _ := strconv.ParseInt(string(message.Property(run, message.PropRealQueueID)), 10, 32)
	t := s.index.Lookup(string(topic))
	if t == nil {
		return Item{}, false
	}
	d := message.DraftOf(v)
	it := Item{Queue: t.Queue(max(int32(id), 0))}
	d.Topic, d.QueueID = topic, it.Queue.ID
	return b.append(it, &d), true
}

// fireHolds is asked by the loop when nothing on its way touches the timers: what was cancelled since is left out. now is the store time, ms.
func (s *Shard) fireHolds(b *Batch, job *fireJob, places []timer.Cursor, now int64) error {
	// What was rolled is pending elsewhere, and another leader may have parked something that is due before what this one looked for.
	cursor := s.timers.Cursor()
	over := cursor != job.from || s.timers.Rolled() != job.rolled || s.leaderTerm != job.term
	if over && !s.opts.Planted.FireAgain {
		return errFireOver
	}
	if now < job.to.Due { // the clock was set back since
		return errFireOver
	}
	pending := int64(len(job.entries))
	if s.timers.Counts().Cancelled != job.cancelled {
		for _, e := range job.entries {
			if errors.Is(s.timers.MayCancel(e.Place()), timer.ErrCancelled) {
				pending--
			}
		}
		kept := b.Items[:0]
		for i, it := range b.Items {
			if !errors.Is(s.timers.MayCancel(places[i]), timer.ErrCancelled) {
				kept = append(kept, it)
			}
		}
		b.Items = kept
	}
	from, to := s.opts.Planted.span(job, cursor)
	b.Deed.Commands = []Command{{entry.KindTimerFire, entry.AppendTimerFire(nil, from, to, pending)}}
	return nil
}

// fireKey is that of whatever moves the cursor.
var fireKey = KeyOf("fire")

func placeKey(c timer.Cursor) uint64 { return KeyOf(c) }
