package ship

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/broker/vfs"
	"github.com/contrailmq/contrail/tracing/derive"
	"github.com/contrailmq/contrail/tracing/trail"
)

// Log is the replicated log as its readers see it.
type Log interface {
	First() uint64     // oldest entry kept
	Committed() uint64 // newest entry that may be read
	// Read gives entries from an index on until about maxBytes were read; seglog.ErrCompacted when from is gone.
	Read(from uint64, maxBytes int, f func(entry.Record) error) (next uint64, err error)
}

// Options say what is shipped where.
type Options struct {
	Log    Log
	Notes  *notes.Log // nil: none
	Store  trail.Writer
	Tee    trail.Sink // gets all rows, too, perhaps more than once; nil: none. One that several shippers have must be Shared
	FS     vfs.FS
	Dir    string // of checkpoint and state
	Broker string // broker group's name
	Node   string // this process

	// Leads says whether this member leads its broker group: only then it ships the group's log. A wrong answer costs work, never
	// a row. nil: the group has this member only, and what was shipped is known here, not in the store.
	Leads func() bool
	Group string                   // tells logs of one broker name apart in one store: a group formed anew has another one
	LedBy func(term uint64) string // the node that led in a term; "": not known. nil: this node

	BlockRows  int           // a block is written when it has so many rows; 0: 100 000
	BlockBytes int           // or so many bytes; 0: 64 MiB
	Linger     time.Duration // or when its first row is so old; 0: 700 ms
	Patience   time.Duration // how long a message waits for its entry's times; 0: 400 ms
	Poll       time.Duration // how often the sources are looked at; 0: 50 ms
	Logger     *slog.Logger

	// Shipped is told of each block that was written, or given up with err when the shipper was stopped; tries counts all
	// writes of it. nil: nobody is told.
	Shipped func(began time.Time, rows, bytes, tries int, err error)
}

func (o Options) withDefaults() (Options, error) {
	if o.BlockRows == 0 {
		o.BlockRows = 100_000
	}
	if o.BlockBytes == 0 {
		o.BlockBytes = 64 << 20
	}
	for d, v := range map[*time.Duration]time.Duration{&o.Linger: 700 * time.Millisecond, &o.Patience: 400 * time.Millisecond, &o.Poll: 50 * time.Millisecond} {
		if *d == 0 {
			*d = v
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if _, shared := o.Tee.(*sharedSink); o.Leads != nil && o.Tee != nil && !shared {
		o.Tee = Shared(o.Tee)
	}
	if o.Log == nil || o.Store == nil || o.FS == nil || o.Dir == "" || o.Node == "" || o.Broker == "" {
		return o, errors.New("ship: log, store, file system, folder, node and broker are needed")
	}
	return o, nil
}

// Shipper ships one node's part of the trail.
type Shipper struct {
	o     Options
	part  part
	saved checkpoint // as on disk
	d     *derive.Deriver
	block trail.Block
	sink  countingSink

	// the block at hand
	at         boundary // where it ends so far
	began      time.Time
	tries      int // writes of it
	holes      []trail.Shipped
	reader     *notes.Reader
	times      timesQueue
	credit     uint64      // entries of a hole that were counted before the messages in them were
	notesAt    uint64      // where the reader is: before the boundary while it reads times again
	repeating  *boundary   // end of the block that is made again after a restart
	state      *savedState // to be written with the next checkpoint; nil: not due
	stateDue   time.Time
	stateSize  int
	stateSmall int
	settled    time.Time
	said       time.Time // when a failure was logged last
	quiet      int       // turns since something was found
	dirty      bool      // the boundary moved since the checkpoint was written

	reigning reigning // of the part that ships notes: what it knows of the one that ships the log
	reign    reign    // of the part that ships the log

	mu struct {
		sync.Mutex
		status  trail.Status
		changed chan struct{} // closed at the next step forward
	}
}

// New prepares a shipper; nothing is read before Run.
func New(o Options) (*Shipper, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if o.Leads != nil {
		return newPart(o, partNotes), nil
	}
	return newPart(o, partAll), nil
}

func newPart(o Options, p part) *Shipper {
	s := &Shipper{o: o, part: p, block: o.Store.NewBlock(), stateSmall: stateSmall}
	s.sink = countingSink{to: s.block, tee: o.Tee}
	s.mu.changed = make(chan struct{})
	return s
}

// Run ships until ctx ends, then returns its error. Another error says that the checkpoint cannot be read or kept: then
// nothing may be shipped.
func (s *Shipper) Run(ctx context.Context) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	defer s.stop()
	if s.part == partNotes {
		ctx, cancel := context.WithCancel(ctx)
		s.reigning.keep(0)
		var ended sync.WaitGroup
		seed := s.saved.Done
		ended.Go(func() { s.reigns(ctx, seed) })
		defer func() { cancel(); ended.Wait() }()
	}
	return s.turns(ctx)
}

// turns reads and writes until ctx ends.
func (s *Shipper) turns(ctx context.Context) error {
	for ctx.Err() == nil && !s.over() {
		more, err := s.turn(ctx)
		if err != nil {
			return err
		}
		if !s.empty() {
			s.quiet = 0
		}
		if !more {
			_ = s.rest(ctx)
		}
	}
	return ctx.Err()
}

// stop keeps how far it came.
func (s *Shipper) stop() {
	if s.reader != nil {
		s.reader.Close()
	}
	if s.saved.Intent == nil && s.dirty && s.part != partLog {
		if err := s.save(); err != nil {
			s.o.Logger.Warn("the last block will be made again", "err", err)
		}
	}
}

// turn looks at both sources once and writes the block when it is due. more: there is more to read at once.
func (s *Shipper) turn(ctx context.Context) (more bool, err error) {
	now := time.Now()
	drained, more, err := s.gather(now)
	if err != nil {
		s.failed(err)
		return false, s.pause(ctx, failedPause)
	}
	switch {
	case s.due(time.Now()):
		if err := s.told(func() error { return s.ship(ctx) }); err != nil {
			return false, err
		}
		s.shipped(drained, now)
	case drained && s.empty():
		return more, s.idle(ctx, now)
	}
	return more, nil
}

// failedPause is between two tries to read sources that fail.
const failedPause = time.Second

// empty says that everything read so far needs no write.
func (s *Shipper) empty() bool { return s.block.Rows() == 0 && len(s.holes) == 0 }

func (s *Shipper) due(now time.Time) bool {
	if s.empty() {
		return false
	}
	return s.block.Rows() >= s.o.BlockRows || s.block.Bytes() >= s.o.BlockBytes || now.Sub(s.began) >= s.o.Linger
}

// Status says how far the shipping is. Store fields are the reader's to fill.
func (s *Shipper) Status() trail.Status {
	s.mu.Lock()
	st := s.mu.status
	s.mu.Unlock()
	if s.o.Leads != nil && s.reign.of == nil {
		s.reigning.join(&st, s.o.Leads())
	}
	if st.ShippedToMicros > 0 {
		st.LagMicros = max(0, time.Now().UnixMicro()-st.ShippedToMicros)
	}
	return st
}

// Await returns when everything that was recorded until a time, µs, is in the store, or with ctx's error.
func (s *Shipper) Await(ctx context.Context, micros int64) error {
	for {
		s.mu.Lock()
		changed := s.mu.changed
		s.mu.Unlock()
		if s.Status().ShippedToMicros >= micros {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("ship: the trail is in the store up to %s: %w", time.UnixMicro(s.Status().ShippedToMicros).UTC().Format(time.RFC3339Nano), ctx.Err())
		}
	}
}

// update changes the status and wakes who waits.
func (s *Shipper) update(f func(*trail.Status)) {
	s.mu.Lock()
	f(&s.mu.status)
	close(s.mu.changed)
	s.mu.changed = make(chan struct{})
	s.mu.Unlock()
	if s.part == partLog { // who waits, waits there
		s.reign.of.update(func(*trail.Status) {})
	}
}

// sayEvery bounds the lines of a store that stays away.
const sayEvery = time.Minute

func (s *Shipper) failed(err error) {
	if now := time.Now(); now.Sub(s.said) >= sayEvery {
		s.said = now
		s.o.Logger.Warn("the trail waits", "err", err)
	}
	s.update(func(st *trail.Status) { st.LastError, st.LastErrorMicros = err.Error(), time.Now().UnixMicro() })
}

// shipped tells that a block is in the store. drained: it held everything that was recorded when the turn began.
func (s *Shipper) shipped(drained bool, turn time.Time) {
	through := s.at.LogMicros - 1 // more entries may have been formed in the same µs
	if s.part == partNotes {
		through = turn.UnixMicro()
	}
	if s.part != partLog && s.o.Notes != nil && s.at.NotesNext < s.o.Notes.Flushed() {
		through = min(through, s.at.NotesMicros)
	}
	if drained {
		through = turn.UnixMicro() - 1 // as above
	}
	s.tell(through)
}

// idle tells that there is nothing to ship, and keeps a checkpoint that lags behind.
func (s *Shipper) idle(ctx context.Context, turn time.Time) error {
	s.tell(turn.UnixMicro() - 1)
	if s.part == partLog {
		return s.settleLog(ctx)
	}
	if err := s.settle(); err != nil {
		s.failed(err)
	}
	return nil
}

func (s *Shipper) tell(through int64) {
	committed := s.o.Log.Committed()
	s.update(func(st *trail.Status) {
		st.ShippedToMicros = max(st.ShippedToMicros, through)
		st.RowsShipped, st.RowsNotRecorded = s.saved.Rows, s.saved.NotRecorded
		st.LagEntries = 0
		if next := s.saved.Done.LogNext; committed >= next && s.part != partNotes {
			st.LagEntries = committed + 1 - next
		}
	})
}

func newIncarnation() string {
	return rand.Text()[:12]
}

// countingSink counts rows on their way into the block.
type countingSink struct {
	to         trail.Sink
	tee        trail.Sink
	log, notes uint64
	messages   int // of the record at hand
}

func (c *countingSink) Message(m *trail.StoredMessage) {
	c.log++
	c.messages++
	c.to.Message(m)
	if c.tee != nil {
		c.tee.Message(m)
	}
}

func (c *countingSink) Settlement(r *trail.StoredSettlement) {
	c.log++
	c.to.Settlement(r)
	if c.tee != nil {
		c.tee.Settlement(r)
	}
}

func (c *countingSink) Step(r *trail.StoredStep) {
	c.log++
	c.to.Step(r)
	if c.tee != nil {
		c.tee.Step(r)
	}
}

func (c *countingSink) Delivery(r *trail.StoredDelivery) {
	c.notes++
	c.to.Delivery(r)
	if c.tee != nil {
		c.tee.Delivery(r)
	}
}

func (c *countingSink) Happening(r *trail.Happening) {
	c.notes++
	c.to.Happening(r)
	if c.tee != nil {
		c.tee.Happening(r)
	}
}
