package ship

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/contrailmq/contrail/broker/beat"
	"github.com/contrailmq/contrail/tracing/trail"
)

// Times between two tries while the store is away.
const (
	backoffMin = 100 * time.Millisecond
	backoffMax = 5 * time.Second
)

// The deriver's state is written with each block while it is small, else this often.
const (
	stateSmall = 64 << 10
	stateEvery = 10 * time.Second
)

// token names a block by both its runs. Its end is in it: a block cut elsewhere is another one, so that the worst that a
// mistake could do is a row told twice, not one left out.
func (s *Shipper) token(to boundary) string {
	if s.part == partLog {
		return cutToken(&s.reign.cut)
	}
	from := &s.saved.Done
	return fmt.Sprintf("%s/%s/%s/%d-%d/%d-%d", s.o.Node, s.o.Broker, s.saved.Incarnation, from.LogPosition, to.LogPosition, from.NotesNext, to.NotesNext)
}

// ship writes the block at hand. Failures of the store and of the checkpoint's disk are waited out: what it returns is ctx's error.
func (s *Shipper) ship(ctx context.Context) error {
	to := s.at
	to.TimesFrom = s.times.oldest(to.LogNext, to.NotesNext)
	if s.part == partLog {
		return s.shipCut(ctx, to)
	}
	s.saved.Intent = &to
	if err := s.persist(ctx, func(context.Context) error { return s.save() }); err != nil {
		return err
	}
	if err := s.write(ctx, s.token(to)); err != nil {
		return err
	}
	s.done(to)
	return nil
}

// told calls f and tells of the block that it wrote.
func (s *Shipper) told(f func() error) error {
	if s.o.Shipped == nil {
		return f()
	}
	began, rows, bytes := time.Now(), s.block.Rows(), s.block.Bytes() // the block is empty afterwards
	s.tries = 0
	err := f()
	s.o.Shipped(began, rows, bytes, s.tries, err)
	return err
}

// save writes the checkpoint, then the state, which must not be newer, and lets notes go that nobody needs any more.
func (s *Shipper) save() error {
	if err := s.saved.save(s.o.FS, s.checkpointPath()); err != nil {
		return err
	}
	s.dirty = false
	if s.state == nil {
		return nil
	}
	if err := s.state.save(s.o.FS, s.statePath()); err != nil {
		return err
	}
	if s.o.Notes != nil {
		s.o.Notes.DropBefore(min(s.saved.Done.TimesFrom, s.state.notesNext, s.reigning.keeps()))
	}
	s.stateDue, s.state = time.Now().Add(stateEvery), nil
	return nil
}

// write writes the rows, then their row of ship_log.
func (s *Shipper) write(ctx context.Context, token string) error {
	if s.block.Rows() > 0 {
		if err := s.persist(ctx, s.fenced(func(ctx context.Context) error {
			s.tries++
			return s.o.Store.Write(ctx, token, s.block)
		})); err != nil {
			return err
		}
	}
	rows := s.account()
	return s.persist(ctx, s.fenced(func(ctx context.Context) error { return s.o.Store.Record(ctx, token, rows) }))
}

// account is the block's rows of ship_log: one per source, then the holes.
func (s *Shipper) account() []trail.Shipped {
	from, to := &s.saved.Logged, &s.at
	row := trail.Shipped{AtMicros: time.Now().UnixMicro(), Node: s.o.Node, Broker: s.o.Broker}
	var rows []trail.Shipped
	if s.part != partNotes {
		log := row
		log.Source, log.From, log.To, log.FromMicros, log.ToMicros, log.Rows = sourceLog, from.LogPosition, to.LogPosition, from.LogMicros, to.LogMicros, s.sink.log
		rows = append(rows, log)
	}
	if s.part != partLog && s.o.Notes != nil {
		row.Source, row.From, row.To = sourceNotes, int64(from.NotesNext), int64(to.NotesNext)
		row.FromMicros, row.ToMicros, row.Rows = from.NotesMicros, to.NotesMicros, s.sink.notes
		rows = append(rows, row)
	}
	return append(rows, s.holes...)
}

// persist tries until it succeeds or ctx ends, with growing pauses.
func (s *Shipper) persist(ctx context.Context, f func(context.Context) error) error {
	for wait := backoffMin; ; wait = min(2*wait, backoffMax) {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, errOvertaken) {
			return err
		}
		if s.over() {
			return errOver
		}
		s.failed(err)
		s.tell(0)
		if err := s.pause(ctx, wait/2+rand.N(wait)); err != nil {
			return err
		}
	}
}

func (s *Shipper) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rest waits for the next moment to look at the sources. Who found nothing for a while looks less often.
func (s *Shipper) rest(ctx context.Context) error {
	d := s.o.Poll
	if s.quiet++; s.quiet > quietTurns {
		d *= quietPolls
	}
	return s.pause(ctx, beat.Next(d))
}

const (
	quietTurns = 20 // turns in which nothing was found
	quietPolls = 2
)

// done moves the boundary behind the block. The checkpoint on disk learns of it with the next intent, or when there is
// nothing to do: until then a crash only makes the block again.
func (s *Shipper) done(to boundary) {
	s.saved.Rows += uint64(s.block.Rows())
	for i := range s.holes {
		h := &s.holes[i]
		n := h.NotRecorded
		if h.Topic != "" { // the entries that they were in are counted already
			paid := min(s.credit, n)
			s.credit, n = s.credit-paid, n-paid
		}
		s.saved.NotRecorded += n
	}
	s.saved.Done, s.saved.Logged, s.saved.Intent, s.dirty = to, to, nil, true
	s.begin()
	if s.part != partLog {
		s.keepState()
	}
}

// keepState takes the deriver's state at the boundary when it is due.
func (s *Shipper) keepState() {
	if s.stateSize <= s.stateSmall || time.Now().After(s.stateDue) {
		s.state = &savedState{s.saved.Done.LogNext, s.saved.Done.NotesNext, s.d.Save(nil)}
		s.stateSize = len(s.state.deriver)
	}
}

// settleEvery bounds how far the checkpoint of an idle shipper lags behind.
const settleEvery = time.Second

// settle moves the boundary over what gave no rows, and writes the checkpoint, when nothing is to be shipped.
func (s *Shipper) settle() error {
	s.at.TimesFrom = s.times.oldest(s.at.LogNext, s.at.NotesNext)
	if s.at == s.saved.Done && !s.dirty || time.Since(s.settled) < settleEvery {
		return nil
	}
	s.settled = time.Now()
	if s.at != s.saved.Done {
		s.saved.Done, s.dirty = s.at, true
		s.keepState()
	}
	return s.save()
}
