package ship

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/beat"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/tracing/derive"
	"github.com/contrailmq/contrail/tracing/trail"
)

// part is what a Shipper ships. In a broker group of several members each ships its notes, and who leads ships the log, as two
// parts that know little of each other.
type part int

const (
	partAll   part = iota // the group has one member: one block holds both
	partNotes             // the node's notes, from its checkpoint
	partLog               // the group's log, from where the store says that it was shipped: one reign
)

var (
	errOvertaken = errors.New("ship: another member ships this broker group's log")
	errOver      = errors.New("ship: this member does not lead its broker group any more")
	errBehind    = errors.New("ship: this member's log ends before what was shipped already")
)

// Times of a reign.
const (
	fenceAfter  = 10 * time.Second // a cut that is older is looked at again before rows are written
	fenceFor    = 2 * time.Minute  // within which they must be written then
	settleCut   = time.Minute      // how often entries without rows are cut off
	overFor     = 5 * time.Second  // how long a member that leads no more may go on with what it writes
	followsFor  = 30 * time.Second // a member that does not lead for so long needs no entry times
	relearnLeap = 64               // entries; how far back is doubled until it is enough
)

// How far before the first entry a reign learns from. Producers are defined in the segment that they are used in, and groups
// commit every few seconds.
const (
	relearnBytes  = 256 << 20
	relearnMicros = 60 * 1e6
	relearnMax    = 1 << 30
)

// reign is what the part that ships the log knows besides what all parts know.
type reign struct {
	of      *Shipper  // the node's other part
	seed    boundary  // where a log begins that was never cut
	cut     trail.Cut // the newest one, which this member goes on from
	decided time.Time // since when nobody was seen to have gone on from it
	settled time.Time
	over    *atomic.Bool // this member leads no more: what is being written is written, nothing is begun
}

// reigning is what the part that ships notes knows of the other one.
type reigning struct {
	sync.Mutex
	now  *Shipper     // nil: this member does not ship the log
	past trail.Status // sums of the reigns that are over, and the last error of one
	hold atomic.Uint64
}

// keeps is the first note that the other part may still need.
func (r *reigning) keeps() uint64 { return math.MaxUint64 - r.hold.Load() }

// keep says which it is; math.MaxUint64: none.
func (r *reigning) keep(from uint64) { r.hold.Store(math.MaxUint64 - from) }

// join adds the log's status to that of the notes. leads: the log is this member's to ship.
func (r *reigning) join(st *trail.Status, leads bool) {
	r.Lock()
	log, now := r.past, r.now
	r.Unlock()
	if now != nil {
		add(&log, now.Status())
	}
	st.RowsShipped += log.RowsShipped
	st.RowsNotRecorded += log.RowsNotRecorded
	if log.LastErrorMicros > st.LastErrorMicros {
		st.LastError, st.LastErrorMicros = log.LastError, log.LastErrorMicros
	}
	if st.ShipsLog = leads; leads {
		st.LagEntries = log.LagEntries
		st.ShippedToMicros = min(st.ShippedToMicros, log.ShippedToMicros)
	}
}

// add adds a reign to the sums.
func add(sum *trail.Status, st trail.Status) {
	sum.RowsShipped += st.RowsShipped
	sum.RowsNotRecorded += st.RowsNotRecorded
	sum.LagEntries, sum.ShippedToMicros = st.LagEntries, st.ShippedToMicros
	if st.LastErrorMicros > sum.LastErrorMicros {
		sum.LastError, sum.LastErrorMicros = st.LastError, st.LastErrorMicros
	}
}

// begins makes a part the one that ships the log; nil: none is.
func (r *reigning) begins(s *Shipper) {
	r.Lock()
	defer r.Unlock()
	if r.now != nil {
		add(&r.past, r.now.Status())
		r.past.LagEntries, r.past.ShippedToMicros = 0, 0 // others ship
	}
	r.now = s
}

// reigns ships the log whenever this member leads, until ctx ends.
func (s *Shipper) reigns(ctx context.Context, seed boundary) {
	led := time.Now()
	for ctx.Err() == nil {
		if s.o.Leads() {
			if s.o.Notes != nil {
				s.reigning.keep(s.o.Notes.First())
			}
			s.reignOnce(ctx, seed)
			led = time.Now()
		}
		if time.Since(led) > followsFor {
			s.reigning.keep(math.MaxUint64)
		}
		_ = s.pause(ctx, s.looks())
	}
}

// looks is how long to wait before it is asked again who leads.
func (s *Shipper) looks() time.Duration { return beat.Next(quietPolls * s.o.Poll) }

// reignOnce ships the log until this member does not lead any more, or something fails.
func (s *Shipper) reignOnce(ctx context.Context, seed boundary) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log := newPart(s.o, partLog)
	log.reign = reign{of: s, seed: seed, over: &atomic.Bool{}}
	s.reigning.begins(log)
	defer s.reigning.begins(nil)
	go log.abdicate(ctx, cancel)
	err := log.Run(ctx)
	if ctx.Err() != nil || log.over() {
		return
	}
	log.failed(err)
	wait := failedPause
	if errors.Is(err, errOvertaken) {
		wait = s.o.Poll
	}
	_ = s.pause(ctx, wait)
}

// abdicate ends the reign when this member leads no more. What it writes just now it may finish: the next leader writes the same
// under the same token, and where leaders change faster than a block is written, somebody must come to an end.
func (s *Shipper) abdicate(ctx context.Context, end context.CancelFunc) {
	for s.o.Leads() {
		if s.pause(ctx, s.looks()) != nil {
			return
		}
	}
	s.reign.over.Store(true)
	_ = s.pause(ctx, overFor)
	end()
}

// over says that this member ships the log no more.
func (s *Shipper) over() bool { return s.part == partLog && s.reign.over.Load() }

// takeOver goes on where the log was shipped to, by whichever member, and completes the block that it may have left half
// written.
func (s *Shipper) takeOver(ctx context.Context) error {
	there, err := s.lastCut(ctx)
	if err != nil {
		return err
	}
	c := &s.reign.cut
	from, to := s.boundaries(c)
	if s.saved = (checkpoint{Done: from, Logged: from, Intent: &to}); there {
		s.saved = checkpoint{Done: to, Logged: to}
	}
	if err := s.agrees(to); err != nil {
		return err
	}
	s.tell(s.saved.Done.LogMicros - 1)
	s.d = derive.New(s.deriving())
	if err := s.replay(savedState{logNext: s.relearnFrom(&s.saved.Done), notesNext: s.saved.Done.NotesNext}); err != nil {
		return err
	}
	s.o.Logger.Info("shipping the broker group's log", "from", s.saved.Done.LogNext, "cut", c.Seq, "by", c.Node, "complete", there)
	if s.begin(); s.saved.Intent == nil {
		return nil
	}
	if s.o.Notes != nil {
		s.saved.Intent.NotesNext = s.o.Notes.Flushed()
	}
	return s.repeat(ctx)
}

// lastCut finds the newest cut; there: its block is complete. A log that was never cut gets its first one, an empty one.
func (s *Shipper) lastCut(ctx context.Context) (there bool, err error) {
	err = s.persist(ctx, func(ctx context.Context) (err error) {
		s.reign.decided = time.Now()
		s.reign.cut, err = s.o.Store.LastCut(ctx, s.o.Broker, s.o.Group)
		return err
	})
	if err != nil {
		return false, err
	}
	if s.reign.cut.Seq == 0 {
		if s.reign.seed.LogNext == 0 {
			s.reign.seed.LogNext = s.o.Log.First()
		}
		if err := s.decide(ctx, s.reign.seed, s.reign.seed); err != nil {
			return false, err
		}
	}
	if c := &s.reign.cut; c.From == c.To {
		return true, nil
	}
	err = s.persist(ctx, func(ctx context.Context) (err error) {
		there, err = s.o.Store.Recorded(ctx, cutToken(&s.reign.cut))
		return err
	})
	return there, err
}

// boundaries are where a cut's block begins and ends. Of the notes everything is read: what they teach is not in the store.
func (s *Shipper) boundaries(c *trail.Cut) (from, to boundary) {
	from = boundary{LogNext: c.From, LogPosition: c.FromPosition, LogTerm: c.FromTerm, LogMicros: c.FromMicros}
	to = boundary{LogNext: c.To, LogPosition: c.ToPosition, LogTerm: c.ToTerm, LogMicros: c.ToMicros}
	if s.o.Notes != nil {
		s.o.Notes.Flush()
		from.NotesNext = s.o.Notes.First()
		from.TimesFrom, to.NotesNext, to.TimesFrom = from.NotesNext, from.NotesNext, from.NotesNext
	}
	return from, to
}

// agrees sees whether this member's log holds what was cut: a member that leads only as it believes may have less.
func (s *Shipper) agrees(to boundary) error {
	committed := s.o.Log.Committed()
	if committed+1 < to.LogNext {
		var newest entry.Record
		_, err := s.o.Log.Read(committed, 1, func(r entry.Record) error { newest = r; return errEnd })
		if !errors.Is(err, errEnd) || newest.Term <= to.LogTerm {
			return fmt.Errorf("%w: entry %d of term %d is in the store, the log ends with %d of term %d", errBehind, to.LogNext-1, to.LogTerm, committed, newest.Term)
		}
	}
	repeats := s.saved.Intent != nil
	s.at = to
	if err := s.checkTail(); err != nil {
		return err
	}
	if s.at.LogNext != to.LogNext { // all members lost its end, which was replaced: what is left to ship begins there
		s.saved = checkpoint{Done: s.at, Logged: s.at}
	} else if repeats && s.saved.Intent == nil {
		return fmt.Errorf("%w: entry %d was replaced", errBehind, to.LogNext-1)
	}
	return nil
}

// relearnFrom is the entry from which on a deriver that knows nothing learns what it must know at a boundary.
func (s *Shipper) relearnFrom(at *boundary) uint64 {
	first := s.o.Log.First()
	for back := uint64(relearnLeap); first+back < at.LogNext; back *= 2 {
		from := at.LogNext - back
		enough := false
		_, err := s.o.Log.Read(from, 1, func(r entry.Record) error {
			bytes := at.LogPosition - r.Pos
			micros, _, ok := derive.EntryMicros(&r)
			enough = bytes >= relearnMax || bytes >= relearnBytes && ok && at.LogMicros-micros >= relearnMicros
			return errEnd
		})
		if enough || !errors.Is(err, errEnd) {
			return from
		}
	}
	return min(first, at.LogNext)
}

// decide makes the next cut. What comes back is another member's when that one was faster: then this one does not ship.
func (s *Shipper) decide(ctx context.Context, from, to boundary) error {
	began, last := time.Now(), &s.reign.cut
	c := trail.Cut{
		Broker: s.o.Broker, Group: s.o.Group, Seq: last.Seq + 1, From: from.LogNext, To: to.LogNext, FromPosition: from.LogPosition, ToPosition: to.LogPosition,
		FromTerm: from.LogTerm, ToTerm: to.LogTerm, FromMicros: from.LogMicros, ToMicros: to.LogMicros, Node: s.o.Node, Mark: newIncarnation(), AtMicros: began.UnixMicro(),
	}
	var got trail.Cut
	err := s.persist(ctx, func(ctx context.Context) (err error) { got, err = s.o.Store.Decide(ctx, c); return err })
	if err != nil {
		return err
	}
	if got.Mark != c.Mark {
		return fmt.Errorf("%w: cut %d is %s's", errOvertaken, got.Seq, got.Node)
	}
	s.reign.cut, s.reign.decided = got, began
	return nil
}

// cutToken names a cut's block. Its mark is in it: a log that is cut anew under its old name does not meet old tokens.
func cutToken(c *trail.Cut) string {
	return fmt.Sprintf("%s/%s/cut/%d/%s", c.Broker, c.Group, c.Seq, c.Mark)
}

// shipCut writes the block at hand when the cut that it needs is this member's.
func (s *Shipper) shipCut(ctx context.Context, to boundary) error {
	if err := s.decide(ctx, s.saved.Done, to); err != nil {
		return err
	}
	if err := s.write(ctx, s.token(to)); err != nil {
		return err
	}
	s.done(to)
	if s.o.Notes != nil {
		s.reign.of.reigning.keep(to.TimesFrom)
	}
	return nil
}

// fenced sees before f whether others have gone on meanwhile. The store remembers tokens, but not for ever: a process that slept
// for hours must not bring it a block that it has forgotten.
func (s *Shipper) fenced(f func(context.Context) error) func(context.Context) error {
	if s.part != partLog {
		return f
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, fenceFor)
		defer cancel()
		if began := time.Now(); began.Sub(s.reign.decided) > fenceAfter {
			last, err := s.o.Store.LastCut(ctx, s.o.Broker, s.o.Group)
			if err != nil {
				return err
			}
			if last.Seq > s.reign.cut.Seq {
				return fmt.Errorf("%w: cut %d is %s's", errOvertaken, last.Seq, last.Node)
			}
			s.reign.decided = began
		}
		return f(ctx)
	}
}

// settleLog moves the boundary over entries that gave no rows; now and then the store learns of it, so that retention may take
// them.
func (s *Shipper) settleLog(ctx context.Context) error {
	s.at.TimesFrom = s.times.oldest(s.at.LogNext, s.at.NotesNext)
	s.saved.Done = s.at
	if s.o.Notes != nil {
		s.reign.of.reigning.keep(s.at.TimesFrom)
	}
	if s.at.LogNext == s.reign.cut.To || time.Since(s.reign.settled) < settleCut {
		return nil
	}
	s.reign.settled = time.Now()
	return s.decide(ctx, s.at, s.at)
}

// Shared makes a sink that several shippers may have as their Tee: one of each broker group of a node.
func Shared(to trail.Sink) trail.Sink { return &sharedSink{to: to} }

// sharedSink lets several parts use one sink.
type sharedSink struct {
	sync.Mutex
	to trail.Sink
}

func (s *sharedSink) Message(r *trail.StoredMessage)   { s.Lock(); defer s.Unlock(); s.to.Message(r) }
func (s *sharedSink) Delivery(r *trail.StoredDelivery) { s.Lock(); defer s.Unlock(); s.to.Delivery(r) }
func (s *sharedSink) Settlement(r *trail.StoredSettlement) {
	s.Lock()
	defer s.Unlock()
	s.to.Settlement(r)
}
func (s *sharedSink) Step(r *trail.StoredStep)     { s.Lock(); defer s.Unlock(); s.to.Step(r) }
func (s *sharedSink) Happening(r *trail.Happening) { s.Lock(); defer s.Unlock(); s.to.Happening(r) }
