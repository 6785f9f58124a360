package timer

import (
	"errors"
	"fmt"
	"sync"
)

// Limits.
const (
	CancelledMax = 1 << 20 // entries that are cancelled and that the cursor has not passed
	blocksMax    = 1024    // blocks of sealed runs in memory, 8 KiB each
)

// Why a cancel changes nothing. What was rolled is cancelled, and may be pending elsewhere.
var (
	ErrTooLate   = errors.New("timer: it was fired or passed over already")
	ErrCancelled = errors.New("timer: it is cancelled already")
	ErrFull      = errors.New("timer: too many cancelled messages wait for their due time")
)

// ErrPast is a parked message that would never fire, or a fire or a roll that does not begin where the last one ended: the log and the state do
// not agree.
var ErrPast = errors.New("timer: the log contradicts the cursor")

// Counts are totals since the group began. A message that is rolled is scheduled anew. What was scheduled and neither fired nor cancelled nor
// rolled is pending.
type Counts struct {
	Scheduled, Fired, Cancelled, Rolled int64
}

// Pending is how many messages are parked and still to be fired.
func (c Counts) Pending() int64 { return c.Scheduled - c.Fired - c.Cancelled - c.Rolled }

// Table is the timer's state.
//
// One message's way: Park takes its entry when the message is applied. Next says when the leader shall look; Due gives entries up to a time, and
// the cursor behind them. The leader stores the messages again and a command that says from which cursor to which; Fire applies that. Between
// the two nothing changes, so that a leader that is voted out has done nothing. Cancel puts an entry into a set, out of which the cursor's
// passing takes it. Roll makes everything before a position void, so that retention may have it.
type Table struct {
	mu        sync.Mutex
	cursor    Cursor
	rolled    int64 // what is parked before this position is void
	cancelled set   // nothing at or before the cursor, or void
	counts    Counts
	segments  []*segment // oldest first
	blocks    int        // loaded since they were forgotten
	next      int64      // due time of the first pending entry; 0: none
	known     bool       // next is right
	heap      []merged   // Due's
}

// segment is the entries of one segment of the log: those of an open one, or one sealed run.
type segment struct {
	seq    uint64
	open   *Open
	sealed []*source // of one
}

func (g *segment) sources() []*source {
	if g.open != nil {
		return g.open.pieces
	}
	return g.sealed
}

// New is an empty table.
func New() *Table { return &Table{} }

// Cursor is the last entry that was fired or passed over.
func (t *Table) Cursor() Cursor {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cursor
}

// Counts are the totals as applied.
func (t *Table) Counts() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts
}

// Park takes the entry of a message that was stored in segment seq. An entry that is not after the cursor would never fire: ErrPast.
func (t *Table) Park(seq uint64, e Entry) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.cursor.Before(e.Place()) || e.Due < 1 {
		return fmt.Errorf("%w: parked: %v, fired: %v", ErrPast, e.Place(), t.cursor)
	}
	g := t.lastLocked()
	if g == nil || g.seq < seq {
		g = &segment{seq: seq, open: &Open{}}
		t.segments = append(t.segments, g)
	}
	if g.seq != seq || g.open == nil {
		return fmt.Errorf("timer: a message is parked in segment %d, the newest is %d", seq, g.seq)
	}
	if err := g.open.Add(e); err != nil {
		return err
	}
	t.counts.Scheduled++
	if t.known && (t.next == 0 || e.Due < t.next) {
		t.next = e.Due
	}
	return nil
}

func (t *Table) lastLocked() *segment {
	if n := len(t.segments); n > 0 {
		return t.segments[n-1]
	}
	return nil
}

// Fire moves the cursor: the n pending entries between the two were stored again. It must begin where the one before ended: ErrPast.
func (t *Table) Fire(from, to Cursor, n int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if from != t.cursor || !from.Before(to) {
		return fmt.Errorf("%w: a fire from %v to %v, fired: %v", ErrPast, from, to, t.cursor)
	}
	t.cursor, t.known = to, false
	t.cancelled.dropThrough(to)
	t.counts.Fired += n
	kept := t.segments[:0]
	for _, g := range t.segments {
		if g.open != nil || to.Before(g.sealed[0].run.Last()) {
			kept = append(kept, g)
		}
	}
	clear(t.segments[len(kept):])
	t.segments = kept
	return nil
}

// MayCancel says whether Cancel would change something, or why not.
func (t *Table) MayCancel(c Cursor) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mayCancelLocked(c)
}

func (t *Table) mayCancelLocked(c Cursor) error {
	switch { // first whether it is parked again: with the same due time, and perhaps not fired
	case t.passesLocked(c):
		return ErrCancelled
	case !t.cursor.Before(c):
		return ErrTooLate
	case t.cancelled.n >= CancelledMax:
		return fmt.Errorf("%w: %d, the limit is %d", ErrFull, t.cancelled.n, CancelledMax)
	}
	return nil
}

// Cancel has the entry at a place passed over. Whether there is one is not looked up: who proposes the cancel got the place from Find. An
// error says why nothing changed; it is no damage, because the order of the log decides between a cancel and a fire.
func (t *Table) Cancel(c Cursor) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.mayCancelLocked(c); err != nil {
		return err
	}
	t.cancelled.add(c)
	t.counts.Cancelled++
	if c.Due == t.next {
		t.known = false
	}
	return nil
}

// Open is the run of a segment that is not sealed; nil when nothing is parked there. When the segment is whole it may be read.
func (t *Table) Open(seq uint64) *Open {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.segments {
		if g.seq == seq {
			return g.open
		}
	}
	return nil
}

// Attach takes the run of a sealed segment, after those of older ones. Nil is a segment without parked messages.
func (t *Table) Attach(seq uint64, r Run) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r == nil || !t.cursor.Before(r.Last()) {
		return nil
	}
	if g := t.lastLocked(); g != nil && g.seq >= seq {
		return fmt.Errorf("timer: segment %d is attached behind %d", seq, g.seq)
	}
	t.segments = append(t.segments, &segment{seq: seq, sealed: []*source{sealedSource(r)}})
	t.known = false
	return nil
}

// Seal puts the run of a sealed segment in the place of the one in memory. It holds the same.
func (t *Table) Seal(seq uint64, r Run) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, g := range t.segments {
		if g.seq != seq || g.open == nil {
			continue
		}
		if r == nil || r.Len() != g.open.Len() {
			return fmt.Errorf("timer: %d messages are parked in segment %d, its sidecar has others", g.open.Len(), seq)
		}
		if !t.cursor.Before(r.Last()) {
			t.segments = append(t.segments[:i:i], t.segments[i+1:]...)
			return nil
		}
		g.open, g.sealed = nil, []*source{sealedSource(r)}
		return nil
	}
	return nil
}

// Replace puts entries in memory in the place of a sealed run that cannot be read. They are the same.
func (t *Table) Replace(seq uint64, o *Open) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.segments {
		if g.seq != seq || g.open != nil {
			continue
		}
		if n := g.sealed[0].len(); o.Len() != n {
			return fmt.Errorf("timer: %d messages are parked in segment %d, its sidecar has %d", o.Len(), seq, n)
		}
		g.open, g.sealed, t.known = o, nil, false
	}
	return nil
}

// DropBefore forgets the runs of the segments before seq, which retention takes: there is nothing pending in them. What was cancelled there
// stays known until the cursor passes: members take segments away at different times and must have the same state all the same.
func (t *Table) DropBefore(seq uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for n < len(t.segments) && t.segments[n].seq < seq {
		n++
	}
	t.segments = append([]*segment(nil), t.segments[n:]...)
	t.known = false
}

// Reset forgets everything.
func (t *Table) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cursor, t.rolled, t.cancelled, t.counts = Cursor{}, 0, set{}, Counts{}
	t.segments, t.blocks, t.next, t.known, t.heap = nil, 0, 0, false, nil
}
