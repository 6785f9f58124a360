package timer

import (
	"cmp"
	"fmt"
	"slices"
)

// Rolled is the position up to which parked messages are void: those that were pending are parked again behind it.
func (t *Table) Rolled() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rolled
}

// Roll makes void what is parked before position `to`: n messages that were pending in [from, to) are parked again by the same entry, after this.
// It must begin where the one before ended: ErrPast.
func (t *Table) Roll(from, to, n int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if from != t.rolled || from >= to {
		return fmt.Errorf("%w: a roll from position %d to %d, rolled: %d", ErrPast, from, to, t.rolled)
	}
	t.rolled, t.known = to, false
	t.cancelled.dropBefore(to)
	t.counts.Rolled += n
	return nil
}

// passesLocked says that what is parked at a place is cancelled or void.
func (t *Table) passesLocked(c Cursor) bool { return c.Pos < t.rolled || t.cancelled.has(c) }

// Pending says whether what is parked at a place is still to be fired. Whether something is parked there is not looked up.
func (t *Table) Pending(c Cursor) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pendingLocked(c)
}

func (t *Table) pendingLocked(c Cursor) bool { return t.cursor.Before(c) && !t.passesLocked(c) }

// Oldest gives, in the order of positions, the pending entries with the lowest positions among those of the segments up to seq; at most limit.
// It reads these segments' entries, without the lock where they are sealed; any goroutine may ask. What changes meanwhile is seen or not.
func (t *Table) Oldest(seq uint64, limit int) ([]Entry, error) {
	o := oldest{limit: limit}
	t.mu.Lock()
	var sealed []*segment
	var runs []Run
	cursor := t.cursor
	for _, g := range t.segments {
		if g.seq > seq {
			break
		}
		if g.open == nil {
			sealed, runs = append(sealed, g), append(runs, g.sealed[0].run)
			continue
		}
		for _, s := range g.open.pieces {
			o.add(t, s.mem)
		}
	}
	t.mu.Unlock()
	for i, g := range sealed {
		if err := t.oldestIn(&o, runs[i], cursor); err != nil && t.has(g) {
			return nil, err
		}
	}
	return o.cut(), nil
}

// oldestIn looks at the blocks of a run behind a cursor.
func (t *Table) oldestIn(o *oldest, r Run, cursor Cursor) (err error) {
	fences := r.Fences()
	var entries []Entry
	for block := range fences {
		if block+1 < len(fences) && !cursor.Before(fences[block+1]) {
			continue
		}
		if entries, err = r.Read(entries[:0], block); err != nil {
			return err
		}
		t.mu.Lock()
		o.add(t, entries)
		t.mu.Unlock()
	}
	return nil
}

// oldest keeps the entries with the lowest positions: it lets twice as many come together, and then the later half go.
type oldest struct {
	limit   int
	entries []Entry
	beyond  int64 // entries behind this position are not among them; 0: not known yet
}

func (o *oldest) add(t *Table, entries []Entry) {
	for _, e := range entries {
		if o.beyond != 0 && e.Pos > o.beyond || !t.pendingLocked(e.Place()) {
			continue
		}
		if len(o.entries) == 2*o.limit {
			o.entries = o.cut()
			o.beyond = o.entries[o.limit-1].Pos
		}
		o.entries = append(o.entries, e)
	}
}

func (o *oldest) cut() []Entry {
	slices.SortFunc(o.entries, func(a, b Entry) int { return cmp.Compare(a.Pos, b.Pos) })
	return o.entries[:min(len(o.entries), o.limit)]
}
