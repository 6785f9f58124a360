package timer

import (
	"math"
	"slices"
)

// merged is where the merge stands in one source: on entry number i.
type merged struct {
	e Entry
	s *source
	i int
}

// Next is the due time of the first pending entry, ms; it is not ok when nothing is pending.
func (t *Table) Next() (due int64, ok bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known {
		return t.next, t.next != 0, nil
	}
	next := int64(math.MaxInt64)
	for _, g := range t.segments {
		for _, s := range g.sources() {
			e, ok, err := t.settle(s)
			if err != nil {
				return 0, false, err
			}
			if ok {
				next = min(next, e.Due)
			}
		}
	}
	if next == math.MaxInt64 {
		next = 0
	}
	t.next, t.known = next, true
	return next, next != 0, nil
}

// Due appends to dst, in order, at most limit pending entries that are due up to a time, ms. A fire of them goes from the cursor to `to`, which
// covers the cancelled entries between and behind them, too. When nothing is due `to` may still be behind the cursor: a fire of nothing would
// take cancelled entries out of memory.
func (t *Table) Due(dst []Entry, upTo int64, limit int) (due []Entry, to Cursor, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := len(dst)
	dst, complete, err := t.mergeLocked(dst, t.segments, upTo, limit)
	to = t.cursor
	if err != nil {
		return dst[:before], to, err
	}
	if n := len(dst); n > before {
		to = dst[n-1].Place()
	}
	if c, ok := t.cancelled.floor(Cursor{upTo, math.MaxInt64}); ok && complete && to.Before(c) {
		to = c
	}
	return dst, to, nil
}

// Held says whether something in a segment is pending: retention must not take it.
func (t *Table) Held(seq uint64) (bool, error) {
	pending, err := t.OldestPending(nil, seq, 1)
	return len(pending) > 0, err
}

// OldestPending appends to dst, in the order in which they are due, at most limit pending entries of one segment: who parks them anew lets
// retention have it.
func (t *Table) OldestPending(dst []Entry, seq uint64, limit int) ([]Entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, g := range t.segments {
		if g.seq == seq {
			dst, _, err := t.mergeLocked(dst, t.segments[i:i+1], math.MaxInt64, limit)
			return dst, err
		}
	}
	return dst, nil
}

// Segment is how many entries are pending in a segment whose messages lie at positions [from, to).
func (t *Table) Segment(seq uint64, from, to int64) (pending int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.segments {
		if g.seq != seq {
			continue
		}
		for _, s := range g.sources() {
			n, err := t.after(s, t.cursor)
			if err != nil {
				return 0, err
			}
			void, err := t.voidLocked(s, n, from)
			if err != nil {
				return 0, err
			}
			pending += s.len() - n - void
		}
		t.cancelled.each(func(c Cursor) {
			if c.Pos >= from && c.Pos < to {
				pending--
			}
		})
	}
	return pending, nil
}

// voidLocked counts the void entries of a source from number n on; its messages lie at `from` and behind.
func (t *Table) voidLocked(s *source, n int, from int64) (void int, err error) {
	if t.rolled <= from {
		return 0, nil
	}
	for ; n < s.len(); n++ {
		e, err := t.at(s, n)
		if err != nil {
			return 0, err
		}
		if e.Pos < t.rolled {
			void++
		}
	}
	return void, nil
}

// mergeLocked appends pending entries of segments in order; complete says that there are no more of them up to that time.
func (t *Table) mergeLocked(dst []Entry, segments []*segment, upTo int64, limit int) (_ []Entry, complete bool, err error) {
	h := t.heap[:0]
	defer func() { clear(h); t.heap = h[:0] }()
	for _, g := range segments {
		for _, s := range g.sources() {
			e, ok, err := t.settle(s)
			if err != nil {
				return dst, false, err
			}
			if ok && e.Due <= upTo {
				h = append(h, merged{e, s, s.next})
			}
		}
	}
	for i := len(h)/2 - 1; i >= 0; i-- {
		sink(h, i)
	}
	for n := 0; len(h) > 0 && n < limit; n++ {
		dst = append(dst, h[0].e)
		ok, err := t.advance(&h[0])
		if err != nil {
			return dst, false, err
		}
		if !ok || h[0].e.Due > upTo {
			h[0] = h[len(h)-1]
			h = h[:len(h)-1]
		}
		sink(h, 0)
	}
	return dst, len(h) == 0, nil
}

// advance moves to the source's next entry that is not cancelled. The source's own place stays: who asked may come to nothing.
func (t *Table) advance(m *merged) (ok bool, err error) {
	for m.i++; m.i < m.s.len(); m.i++ {
		if m.e, err = t.at(m.s, m.i); err != nil {
			return false, err
		}
		if !t.passesLocked(m.e.Place()) {
			return true, nil
		}
	}
	return false, nil
}

// sink restores the heap below i.
func sink(h []merged, i int) {
	for {
		least := i
		for _, child := range [...]int{2*i + 1, 2*i + 2} {
			if child < len(h) && h[child].e.Place().Before(h[least].e.Place()) {
				least = child
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// Find gives the pending entries with a due time, ms, and a key hash, in order, and those that are cancelled: candidates, to be verified against
// their messages. It reads all entries of that due time. Any goroutine may ask; what changes meanwhile is seen or not.
func (t *Table) Find(due int64, key uint64) (pending, cancelled []Entry, err error) {
	var found []Entry
	from := Cursor{due, math.MinInt64}
	t.mu.Lock()
	var sealed []*segment
	var runs []Run // of sealed: they are read without the lock
	for _, g := range t.segments {
		if g.open == nil {
			sealed, runs = append(sealed, g), append(runs, g.sealed[0].run)
			continue
		}
		for _, s := range g.open.pieces {
			found, _ = pick(found, s.mem[search(s.mem, from):], due, key)
		}
	}
	t.mu.Unlock()
	for i, g := range sealed {
		if found, err = findIn(found, runs[i], due, key); err != nil && t.has(g) {
			return nil, nil, err
		}
	}
	slices.SortFunc(found, func(a, b Entry) int { return a.Place().Compare(b.Place()) })
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range found {
		switch {
		case !t.cursor.Before(e.Place()) || e.Pos < t.rolled:
		case t.cancelled.has(e.Place()):
			cancelled = append(cancelled, e)
		default:
			pending = append(pending, e)
		}
	}
	return pending, cancelled, nil
}

// pick appends those of sorted entries, which begin at or behind a due time, that have it and the key; done says that later ones are seen.
func pick(dst, sorted []Entry, due int64, key uint64) (_ []Entry, done bool) {
	for _, e := range sorted {
		if e.Due > due {
			return dst, true
		}
		if e.Due == due && e.Key == key {
			dst = append(dst, e)
		}
	}
	return dst, false
}

func findIn(dst []Entry, r Run, due int64, key uint64) ([]Entry, error) {
	fences := r.Fences()
	block, _ := slices.BinarySearchFunc(fences, Cursor{due, math.MinInt64}, Cursor.Compare)
	var entries []Entry
	for block = max(block-1, 0); block < len(fences) && fences[block].Due <= due; block++ {
		var err error
		if entries, err = r.Read(entries[:0], block); err != nil {
			return dst, err
		}
		dst, _ = pick(dst, entries, due, key)
	}
	return dst, nil
}

// has says that a segment was not dropped meanwhile.
func (t *Table) has(g *segment) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Contains(t.segments, g)
}
