package shard

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/timer"
)

// When retention wants a segment in which messages are parked, the leader rolls them: it parks them again at the log's end, with the same due
// times, in the order of their positions. One roll is on its way at a time, and none beside a fire; the roller reads the messages.
const (
	rollMax       = 1 << 18 // entries that are looked for at once, 32 bytes each
	rollDigitsMax = 10      // of how often a message was rolled
)

// propRolls is how often a message was rolled, RocketMQ's name.
const propRolls = "TIMER_ROLL_TIMES"

// rollJob is one roll: of what is pending in the segments up to seq, from a position on.
type rollJob struct {
	seq  uint64
	from int64
	term uint64 // of the leader that wants it
}

// rolling belongs to the loop, but for what is atomic and what is the roller's.
type rolling struct {
	jobs   chan *rollJob
	later  *rollJob      // the Stepper's
	busy   atomic.Bool   // one is on its way
	paused atomic.Bool   // the last one failed or could not be; until the next tick
	freed  atomic.Bool   // nothing is pending any more in what retention wants
	vain   atomic.Bool   // it would free nothing; until retention looks again
	told   atomic.Uint64 // segment of which that was said last

	found []timer.Entry // the roller's: the next ones, by position, as found in term foundIn up to segment foundTo
	foundIn,
	foundTo uint64
}

// Why a roll comes to nothing; it is tried again.
var (
	errRollOver = errors.New("the timers changed")
	errRollSoon = errors.New("some of the messages are due first")
	errRolled   = errors.New("nothing is pending there")
	errTooMuch  = errors.New("too much is pending")
)

// roll begins a roll if retention wants a segment that holds pending messages. It is called at the end of each turn.
func (s *Shard) roll() {
	r := s.rolling
	if r.freed.Swap(false) {
		seq := s.heldSeq.Swap(0)
		s.opts.Log.Info("messages that are not due yet were parked again, so that retention may take their segment", "dir", s.opts.Dir, "segment", seq)
		s.lastRetain = s.lastRetain.Add(-retentionEvery) // with the next tick
	}
	seq := s.heldSeq.Load()
	if seq >= s.log.ActiveSeq() { // of a log that was replaced since: what is rolled would be rolled again
		s.heldSeq.Store(0)
		return
	}
	if seq == 0 || s.leaderTerm == 0 || r.vain.Load() || r.paused.Load() || r.busy.Swap(true) {
		return
	}
	job := &rollJob{seq, s.timers.Rolled(), s.leaderTerm}
	if s.opts.stepped {
		r.later = job
		return
	}
	r.jobs <- job // it has room for one, and there is one
}

// roller parks again what retention wants.
func (s *Shard) roller() {
	defer s.others.Done()
	for job := range s.rolling.jobs {
		s.rollNow(job)
	}
}

func (s *Shard) rollNow(job *rollJob) {
	b, err := s.rollBatch(job)
	if err != nil {
		s.rollEnded(err)
		return
	}
	b.Done = func(b *Batch) { s.rollEnded(b.Err) }
	s.Submit(b)
}

// rollEnded lets the next roll begin; after one that failed, with the next tick.
func (s *Shard) rollEnded(err error) {
	r := s.rolling
	switch {
	case err == nil:
	case errors.Is(err, errRolled):
		r.freed.Store(true)
	default:
		r.paused.Store(true)
		if !errors.Is(err, errRollOver) && !errors.Is(err, errRollSoon) && !errors.Is(err, errTooMuch) && !errors.Is(err, ErrNotLeader) {
			s.opts.Log.Warn("messages that are due later could not be stored again; retention waits", "dir", s.opts.Dir, "err", err)
		}
	}
	r.busy.Store(false)
	s.inbox.kick()
}

// toRoll are the next entries, by position, as many as fill an entry of the log.
func (s *Shard) toRoll(job *rollJob) ([]timer.Entry, error) {
	r := s.rolling
	for len(r.found) > 0 && r.found[0].Pos < job.from {
		r.found = r.found[1:]
	}
	if len(r.found) == 0 || r.foundIn != job.term || r.foundTo != job.seq {
		var err error
		if r.found, err = s.timers.Oldest(job.seq, rollMax); err != nil {
			r.found = nil
			return nil, err
		}
		if r.foundIn, r.foundTo = job.term, job.seq; len(r.found) == 0 {
			return nil, errRolled
		}
		if s.rollsInVain(job.seq, r.found) {
			r.found = nil
			r.vain.Store(true)
			return nil, errTooMuch
		}
	}
	bytes := int64(0)
	for i, e := range r.found {
		if bytes += int64(e.Size); bytes > EntryBytes && i > 0 {
			return r.found[:i], nil
		}
	}
	return r.found, nil
}

// rollsInVain says that what is pending takes so much of what the log may have that rolling frees nothing. That is told once for a segment.
// How much it is is reckoned from some of the entries.
func (s *Shard) rollsInVain(seq uint64, some []timer.Entry) bool {
	if s.opts.RetentionBytes == 0 {
		return false
	}
	bytes := int64(0)
	for _, e := range some {
		bytes += int64(e.Size)
	}
	n := s.timers.Counts().Pending()
	bytes = bytes / int64(len(some)) * n
	if bytes <= s.opts.RetentionBytes/2 {
		return false
	}
	if s.rolling.told.Swap(seq) != seq {
		s.event("timer-full", fmt.Sprintf("%d messages that are not due yet take about %d bytes, more than half of the %d that the log may have: segment %d and those after it are kept",
			n, bytes, s.opts.RetentionBytes, seq))
	}
	return true
}

// rollBatch makes the deed: the messages as they are parked again, and the command.
func (s *Shard) rollBatch(job *rollJob) (*Batch, error) {
	entries, err := s.toRoll(job)
	if err != nil {
		return nil, err
	}
	b := &Batch{Deed: &Deed{Keys: []uint64{fireKey}}}
	list := make([]rolled, len(entries))
	parked := parkedReader{s: s}
	for i, e := range entries {
		list[i].Entry = e
		b.Deed.Keys = append(b.Deed.Keys, placeKey(e.Place()))
		v, err := parked.message(entries[i:])
		if errors.Is(err, errLost) { // it goes with its segment
			s.tellDamaged(&e)
			list[i].lost = true
			continue
		}
		if err != nil {
			return nil, err
		}
		if list[i].Item, err = s.repark(b, v, e.Due); err != nil {
			return nil, err
		}
	}
	b.Deed.Holds = func(int64) error { return s.rollHolds(b, job, list) }
	return b, nil
}

// rolled is one message of a roll.
type rolled struct {
	timer.Entry
	Item
	lost bool
}

// repark appends a parked message as it is parked again.
func (s *Shard) repark(b *Batch, v message.View, due int64) (Item, error) {
	t := s.index.Lookup(string(v.Topic()))
	if t == nil {
		return Item{}, fmt.Errorf("messages are parked in topic [%s], which was deleted", v.Topic())
	}
	d := message.DraftOf(v)
	d.Properties = rolledProperties(v.Properties(), due)
	return b.append(Item{Queue: t.Queue(v.QueueID()), Due: due}, &d), nil
}

// rolledProperties counts a roll and has the due time last, where it can be raised. A message that has no room for the count goes without.
func rolledProperties(run []byte, due int64) []byte {
	kept, rolls := make([]byte, 0, len(run)+len(propRolls)+rollDigitsMax), int64(0)
	for rest := run; ; {
		name, value, next, more := message.NextProperty(rest)
		if !more {
			break
		}
		switch rest = next; string(name) {
		case propRolls:
			rolls, _ = strconv.ParseInt(string(value), 10, 32)
		case message.PropTimerOutMillis:
		default:
			kept = message.AppendProperty(kept, string(name), string(value))
		}
	}
	if len(kept)+len(propRolls)+rollDigitsMax+len(message.PropTimerOutMillis)+timer.DueDigits+4 < message.MaxProperties {
		kept = message.AppendProperty(kept, propRolls, strconv.FormatInt(rolls+1, 10))
	}
	return message.AppendProperty(kept, message.PropTimerOutMillis, string(timer.AppendDue(nil, due)))
}

// rollHolds is asked by the loop when nothing on its way touches the timers: what was fired or cancelled since is left out. What is due before the
// end of what was looked for is fired first: its due time would be raised.
func (s *Shard) rollHolds(b *Batch, job *rollJob, list []rolled) error {
	if s.timers.Rolled() != job.from || s.leaderTerm != job.term {
		return errRollOver
	}
	var kept []Item
	pending := int64(0)
	for i := range list {
		e := &list[i]
		if !s.timers.Pending(e.Place()) {
			continue
		}
		switch pending++; {
		case e.Entry.Due <= s.lookedFor:
			return errRollSoon
		case e.lost:
		case e.Queue.Dead:
			return fmt.Errorf("messages are parked in topic [%s], which was deleted", e.Queue.Topic)
		default:
			kept = append(kept, e.Item)
		}
	}
	if b.Items = kept; s.opts.Planted.DropRolled && len(kept) > 0 {
		b.Items = kept[1:]
	}
	r := entry.TimerRoll{From: job.from, To: list[len(list)-1].Pos + 1, Count: pending}
	b.Deed.Commands = []Command{{entry.KindTimerRoll, entry.AppendTimerRoll(nil, r)}}
	return nil
}

// applyRoll makes void what is parked again by the messages of the same entry. Segments in which all is void are not looked through any more.
func (s *Shard) applyRoll(body []byte) error {
	r, err := entry.DecodeTimerRoll(body)
	if err != nil {
		return err
	}
	if err := s.timers.Roll(r.From, r.To, r.Count); err != nil {
		return err
	}
	for _, seg := range s.log.Segments() {
		if seg.EndPos > r.To {
			s.timers.DropBefore(seg.Seq)
			break
		}
	}
	return nil
}
