package ship

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/tracing/derive"
	"github.com/contrailmq/contrail/tracing/trail"
)

// Sizes of one read. Notes are read in small pieces: a block's end must fall between two reads.
const (
	logChunk   = 4 << 20
	notesChunk = 64 << 10
)

// Why rows are missing.
const (
	sourceLog       = "log"
	sourceNotes     = "notes"
	reasonRetention = "retention was faster than the store"
	reasonNotes     = "notes were lost"
	reasonBad       = "damaged entry"
)

var (
	errFull = errors.New("ship: block is full")
	errWait = errors.New("ship: entry waits for its times")
	errEnd  = errors.New("ship: end of the intent")
)

func (s *Shipper) checkpointPath() string { return filepath.Join(s.o.Dir, "ship.checkpoint") }
func (s *Shipper) statePath() string      { return filepath.Join(s.o.Dir, "ship.state") }

// start loads checkpoint and state, and writes the block again that a crash may have left half written.
func (s *Shipper) start(ctx context.Context) error {
	if s.part == partLog {
		return s.takeOver(ctx)
	}
	if err := s.o.FS.MkdirAll(s.o.Dir); err != nil {
		return fmt.Errorf("ship: %w", err)
	}
	var err error
	if s.saved, err = loadCheckpoint(s.o.FS, s.checkpointPath()); err != nil {
		return err
	}
	if s.saved.Incarnation == "" {
		s.saved.Incarnation = newIncarnation()
	}
	if to := s.saved.Intent; s.part == partNotes && to != nil && to.LogNext > s.saved.Done.LogNext {
		// The group had one member when this block was begun: it holds entries, too, and ends as it began.
		s.part = partAll
		defer func() { s.part = partNotes }()
	}
	s.begin()
	if s.o.Notes != nil {
		s.o.Notes.Flush()
	}
	if err := s.check(); err != nil {
		return err
	}
	if err := s.learn(); err != nil {
		return err
	}
	if s.tell(s.origin()); s.saved.Intent == nil {
		return nil
	}
	// What was read may be a checkpoint that only its own process saw: it must be there after a crash of the machine, too,
	// before the store is told a token of it.
	if err := s.persist(ctx, func(context.Context) error { return s.save() }); err != nil {
		return err
	}
	return s.repeat(ctx)
}

// origin is up to when everything is certainly in the store at the start; 0 when that is not known.
func (s *Shipper) origin() int64 {
	done := &s.saved.Done
	if done.LogMicros > 0 && s.part == partAll {
		if s.o.Notes == nil {
			return done.LogMicros - 1
		}
		return max(0, min(done.LogMicros, done.NotesMicros)-1)
	}
	if s.logDrained() && (s.o.Notes == nil || s.at.NotesNext >= s.o.Notes.Flushed()) {
		return time.Now().UnixMicro() // nothing was recorded yet
	}
	origin := int64(0)
	if s.part == partNotes {
		return origin
	}
	_, _ = s.o.Log.Read(s.at.LogNext, 1, func(r entry.Record) error {
		if m, _, ok := derive.EntryMicros(&r); ok && m > 0 {
			origin = m - 1
		}
		return errEnd
	})
	return origin
}

// begin starts an empty block at the boundary.
func (s *Shipper) begin() {
	s.block.Reset()
	s.at, s.holes, s.began = s.saved.Done, nil, time.Time{}
	s.sink.log, s.sink.notes = 0, 0
}

// check sees whether log and notes are those of the checkpoint.
func (s *Shipper) check() error {
	at := &s.at
	fresh := at.LogNext == 0 && (s.part == partAll || at.NotesNext == 0)
	if fresh && s.part == partAll {
		at.LogNext = s.o.Log.First()
	} else if err := s.checkTail(); err != nil {
		return err
	}
	if s.o.Notes != nil {
		s.checkNotes()
	}
	if s.saved.Done = *at; fresh {
		s.saved.Logged = *at
	}
	return nil
}

func (s *Shipper) checkNotes() {
	at := &s.at
	if flushed := s.o.Notes.Flushed(); at.NotesNext > flushed {
		s.o.Logger.Warn("the notes are not those of the checkpoint: shipping all there are", "checkpoint", at.NotesNext, "end", flushed)
		at.NotesNext = 0
	}
	if at.NotesNext == 0 {
		at.NotesNext, at.TimesFrom = s.o.Notes.First(), 0
	}
	if at.TimesFrom == 0 {
		at.TimesFrom = at.NotesNext
	}
}

// checkTail finds entries that took the place of shipped ones: a log that acknowledges from the page cache may lose its
// end when the machine dies, and goes on in a later term.
func (s *Shipper) checkTail() error {
	at := &s.at
	if s.part == partNotes || at.LogNext <= 1 {
		return nil
	}
	last, committed := at.LogNext-1, s.o.Log.Committed()
	var found entry.Record
	_, err := s.o.Log.Read(last, 1, func(r entry.Record) error { found = r; return errEnd })
	if errors.Is(err, seglog.ErrCompacted) || (errors.Is(err, errEnd) && found.Index == last && found.Term == at.LogTerm) {
		return nil
	}
	if err != nil && !errors.Is(err, errEnd) {
		return fmt.Errorf("ship: read entry %d: %w", last, err)
	}
	next := committed + 1
	from := s.o.Log.First()
	for from <= committed && next > committed {
		before := from
		from, err = s.o.Log.Read(from, logChunk, func(r entry.Record) error {
			if r.Term > at.LogTerm {
				next, at.LogPosition = r.Index, r.Pos
				return errEnd
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnd) {
			return fmt.Errorf("ship: look for the log's new end: %w", err)
		}
		if from == before {
			break
		}
	}
	s.o.Logger.Warn("the log's end was replaced: shipping goes on with the new entries", "checkpoint", at.LogNext, "term", at.LogTerm, "next", next)
	at.LogNext, s.saved.Intent = next, nil
	s.saved.Done = *at
	return nil
}

// learn gives the deriver the state that it had at the boundary.
func (s *Shipper) learn() error {
	at, o := &s.saved.Done, s.deriving()
	s.d = derive.New(o)
	saved, err := loadState(s.o.FS, s.statePath())
	if errors.Is(err, fs.ErrNotExist) {
		saved, err = savedState{logNext: s.o.Log.First(), deriver: s.d.Save(nil)}, nil
		if s.part == partNotes {
			saved.logNext = at.LogNext
		}
		if s.o.Notes != nil {
			saved.notesNext = s.o.Notes.First()
		}
	}
	gone := saved.logNext < at.LogNext && saved.logNext < s.o.Log.First()
	if err == nil && (gone || saved.logNext > at.LogNext || saved.notesNext > at.NotesNext) {
		err = fmt.Errorf("%w: it is of entry %d and note %d, the checkpoint of %d and %d, the log begins with %d",
			errState, saved.logNext, saved.notesNext, at.LogNext, at.NotesNext, s.o.Log.First())
	}
	if err == nil {
		s.d, err = derive.Restore(o, saved.deriver)
	}
	if err != nil {
		s.o.Logger.Warn("the deriver begins without what it knew: first ranges of groups and producers of old connections are not known", "err", err)
		s.d = derive.New(o)
		return nil
	}
	return s.replay(saved)
}

func (s *Shipper) deriving() derive.Options {
	return derive.Options{Broker: s.o.Broker, Node: s.o.Node, LedBy: s.o.LedBy}
}

// replay derives what lies between the state and the boundary, for the state alone.
func (s *Shipper) replay(saved savedState) error {
	at := &s.saved.Done
	if s.o.Notes != nil && saved.notesNext < at.NotesNext {
		r := s.o.Notes.NewReader(saved.notesNext)
		defer r.Close()
		_, err := r.Read(1<<40, func(n *notes.Note) error {
			if n.Seq >= at.NotesNext {
				return errEnd
			}
			s.d.Note(n, nowhere{})
			return nil
		}, func(notes.Gap) error { return nil })
		if err != nil && !errors.Is(err, errEnd) {
			return fmt.Errorf("ship: read notes again: %w", err)
		}
	}
	for next := saved.logNext; next < at.LogNext; {
		before := next
		var err error
		next, err = s.o.Log.Read(next, logChunk, func(r entry.Record) error {
			if r.Index >= at.LogNext {
				return errEnd
			}
			if err := s.d.Record(&r, notes.EntryTimes{}, nowhere{}); err != nil {
				s.o.Logger.Debug("derived again", "err", err)
			}
			return nil
		})
		if errors.Is(err, errEnd) || next == before {
			break
		}
		if err != nil {
			return fmt.Errorf("ship: read entries again: %w", err)
		}
	}
	s.d.TakeLosses()
	return nil
}

// repeat makes the block of the intent again and writes it with its token. When retention has taken some of its entries it
// is asked for first; if it is not there, what is left of it goes under the same token: the store then has those rows once,
// whether or not it had taken the block before, and the rest is a hole.
func (s *Shipper) repeat(ctx context.Context) error {
	to := *s.saved.Intent
	if first := s.o.Log.First(); s.saved.Done.LogNext < first && s.saved.Done.LogNext < to.LogNext {
		var there bool
		err := s.persist(ctx, func(ctx context.Context) (err error) {
			there, err = s.o.Store.Recorded(ctx, s.token(to))
			return err
		})
		if err != nil {
			return err
		}
		if there {
			s.d = derive.New(s.deriving()) // what the block taught is gone
			s.at = to
			s.done(to)
			return nil
		}
	}
	if err := s.repeatReading(to); err != nil {
		return err
	}
	if err := s.told(func() error { return s.write(ctx, s.token(to)) }); err != nil {
		return err
	}
	s.done(to)
	return nil
}

// repeatReading reads exactly the runs of the intent.
func (s *Shipper) repeatReading(to boundary) error {
	s.repeating = &to
	defer func() { s.repeating = nil }()
	for s.at.NotesNext < to.NotesNext || s.at.LogNext < to.LogNext {
		before, notesBefore := s.at, s.notesAt
		if _, err := s.readNotes(); err != nil {
			return err
		}
		if _, err := s.readLog(time.Time{}); err != nil {
			return err
		}
		if s.at == before && s.notesAt == notesBefore {
			return fmt.Errorf("ship: the intent ends at entry %d and note %d, but log and notes end at %d and %d", to.LogNext, to.NotesNext, s.at.LogNext, s.at.NotesNext)
		}
	}
	s.countLosses()
	return nil
}

// gather reads what fits into the block. drained: nothing that was recorded before now is left to read. more: there is
// something left that need not be waited for.
func (s *Shipper) gather(now time.Time) (drained, more bool, err error) {
	if s.o.Notes != nil {
		s.o.Notes.Flush()
	}
	for !s.full() {
		notesDrained, err := s.readNotes()
		if err != nil {
			return false, false, err
		}
		waits, err := s.readLog(now)
		if err != nil {
			return false, false, err
		}
		s.countLosses()
		logDrained := s.logDrained()
		if notesDrained && (logDrained || waits) {
			return logDrained, false, nil
		}
	}
	return false, true, nil
}

func (s *Shipper) full() bool {
	return s.block.Rows() >= s.o.BlockRows || s.block.Bytes() >= s.o.BlockBytes
}

// started notes when the block got its first row.
func (s *Shipper) started() {
	if s.began.IsZero() && !s.empty() {
		s.began = time.Now()
	}
}

// notesEnd is behind the last note that may be read now.
func (s *Shipper) notesEnd() uint64 {
	if s.repeating != nil {
		return s.repeating.NotesNext
	}
	return s.o.Notes.Flushed()
}

// readNotes reads one piece of notes. drained: there are no more.
func (s *Shipper) readNotes() (drained bool, err error) {
	if s.o.Notes == nil {
		return true, nil
	}
	if s.times.full() {
		return false, nil
	}
	if s.reader == nil {
		s.reader = s.o.Notes.NewReader(min(s.at.TimesFrom, s.at.NotesNext))
	}
	s.notesAt, err = s.reader.Read(notesChunk, func(n *notes.Note) error {
		if s.repeating != nil && n.Seq >= s.repeating.NotesNext {
			return errEnd
		}
		s.note(n)
		return nil
	}, func(g notes.Gap) error { s.gap(g); return nil })
	if err != nil && !errors.Is(err, errEnd) {
		s.reader.Close()
		s.reader = nil
		return false, fmt.Errorf("ship: read notes from %d: %w", s.at.NotesNext, err)
	}
	if s.repeating != nil { // the reader goes over records that are no notes by itself
		s.notesAt = min(s.notesAt, s.repeating.NotesNext)
	}
	s.at.NotesNext = max(s.at.NotesNext, s.notesAt)
	s.started()
	return s.notesAt >= s.notesEnd(), nil
}

func (s *Shipper) note(n *notes.Note) {
	at := int64(0)
	switch n.Kind {
	case notes.KindEntryTimes:
		if s.part != partNotes && n.Times.Index >= s.at.LogNext { // those of shipped entries would never be taken
			s.times.put(n.Seq, n.Times)
		}
		at = max(n.Times.AppendedMicros, n.Times.AckedMicros)
	case notes.KindDelivery:
		at = n.Delivery.SentMicros
	case notes.KindHappening:
		at = n.Happening.AtMicros
	}
	if n.Seq < s.at.NotesNext {
		return // read again for its times
	}
	s.at.NotesMicros = max(s.at.NotesMicros, at)
	if s.part == partLog { // their rows are the other part's; what they teach is needed here, too
		s.d.Note(n, nowhere{})
		return
	}
	s.d.Note(n, &s.sink)
}

// gap counts notes that cannot be read any more; those before the boundary were shipped.
func (s *Shipper) gap(g notes.Gap) {
	from := max(g.From, s.at.NotesNext)
	if from >= g.To {
		return
	}
	if s.part == partLog {
		s.at.NotesNext = g.To
		return
	}
	s.hole(trail.Shipped{
		Source: sourceNotes, From: int64(from), To: int64(g.To), FromMicros: s.at.NotesMicros, ToMicros: time.Now().UnixMicro(),
		NotRecorded: g.To - from, Reason: reasonNotes,
	})
	s.at.NotesNext = g.To
}

func (s *Shipper) hole(h trail.Shipped) {
	h.AtMicros, h.Node, h.Broker = time.Now().UnixMicro(), s.o.Node, s.o.Broker
	s.holes = append(s.holes, h)
	s.o.Logger.Warn("part of the trail is not recorded", "source", h.Source, "from", h.From, "to", h.To, "count", h.NotRecorded, "topic", h.Topic, "reason", h.Reason)
}

// readLog reads one piece of the log. waits: the next entry waits for its times.
func (s *Shipper) readLog(now time.Time) (waits bool, err error) {
	if s.logDrained() {
		return false, nil
	}
	next, err := s.o.Log.Read(s.at.LogNext, logChunk, func(r entry.Record) error {
		switch {
		case s.repeating == nil && s.full():
			return errFull
		case s.repeating != nil && r.Index >= s.repeating.LogNext:
			return errEnd
		}
		return s.record(&r, now)
	})
	s.started()
	switch {
	case errors.Is(err, seglog.ErrCompacted):
		return false, s.compacted()
	case errors.Is(err, errWait):
		return true, nil
	case errors.Is(err, errFull), errors.Is(err, errEnd):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("ship: read the log from entry %d: %w", next, err)
	}
	return false, nil
}

// logDrained says that there are no entries to be shipped here.
func (s *Shipper) logDrained() bool {
	return s.part == partNotes || s.at.LogNext > s.o.Log.Committed()
}

// record derives one entry when its times are told, or will not come.
func (s *Shipper) record(r *entry.Record, now time.Time) error {
	micros, messages, _ := derive.EntryMicros(r)
	times, told := s.times.take(r.Index)
	if !told && messages > 0 && s.o.Notes != nil {
		young := s.repeating == nil && now.UnixMicro()-micros < s.o.Patience.Microseconds()
		if young || s.notesAt < s.notesEnd() {
			return errWait
		}
	}
	s.sink.messages = 0
	if err := s.d.Record(r, times, &s.sink); err != nil {
		s.hole(trail.Shipped{
			Source: sourceLog, From: r.Pos, To: end(r), FromMicros: s.at.LogMicros, ToMicros: max(micros, s.at.LogMicros),
			NotRecorded: uint64(max(1, messages-s.sink.messages)), Reason: reasonBad,
		})
		s.o.Logger.Warn("an entry is damaged", "err", err)
	}
	s.at.LogNext, s.at.LogPosition, s.at.LogTerm = r.Index+1, end(r), r.Term
	s.at.LogMicros = max(s.at.LogMicros, micros)
	return nil
}

// end is the position behind a record.
func end(r *entry.Record) int64 { return r.DataPos + int64(len(r.Data)+7)&^7 }

// compacted counts the entries that retention took and goes on behind them. How many messages were in them shows when
// their queues go on.
func (s *Shipper) compacted() error {
	first := s.o.Log.First()
	if first <= s.at.LogNext {
		return fmt.Errorf("ship: entry %d is gone and the log begins with %d: %w", s.at.LogNext, first, seglog.ErrCompacted)
	}
	var position int64
	if s.repeating != nil && s.repeating.LogNext < first {
		first, position = s.repeating.LogNext, s.repeating.LogPosition
	} else if _, err := s.o.Log.Read(first, 1, func(r entry.Record) error { position = r.Pos; return errEnd }); !errors.Is(err, errEnd) {
		return fmt.Errorf("ship: read entry %d, the log's first: %w", first, errors.Join(err, seglog.ErrUnavailable))
	}
	lost := first - s.at.LogNext
	s.credit += lost
	s.hole(trail.Shipped{
		Source: sourceLog, From: s.at.LogPosition, To: position, FromMicros: s.at.LogMicros, ToMicros: time.Now().UnixMicro(),
		NotRecorded: lost, Reason: reasonRetention + " (entries)",
	})
	s.at.LogNext, s.at.LogPosition = first, position
	s.times.dropBefore(first)
	return nil
}

// countLosses counts messages of which the queues' offsets say that they were in a hole, by topic.
func (s *Shipper) countLosses() {
	for _, l := range s.d.TakeLosses() {
		s.hole(trail.Shipped{
			Source: sourceLog, From: s.saved.Done.LogPosition, To: s.at.LogPosition, FromMicros: l.FromMicros, ToMicros: l.ToMicros,
			NotRecorded: l.Messages, Reason: reasonRetention + " (messages)", Topic: l.Topic,
		})
	}
	s.started()
}

// nowhere takes rows that were shipped before.
type nowhere struct{}

func (nowhere) Message(*trail.StoredMessage)       {}
func (nowhere) Delivery(*trail.StoredDelivery)     {}
func (nowhere) Settlement(*trail.StoredSettlement) {}
func (nowhere) Step(*trail.StoredStep)             {}
func (nowhere) Happening(*trail.Happening)         {}
