package timer

import "sort"

// BlockEntries is how many entries of a sealed run are read at once.
const BlockEntries = 256

// Run is all entries of one sealed segment, in order. It never changes, and is safe for all goroutines.
type Run interface {
	Len() int
	// Fences are the places of the first entry of each block, and Last that of the last entry of all.
	Fences() []Cursor
	Last() Cursor
	// Read appends the entries of a block to dst.
	Read(dst []Entry, block int) ([]Entry, error)
}

// source is a sorted run, in memory or sealed, and the place in it up to which nothing is pending any more.
type source struct {
	mem  []Entry // in memory: all entries
	run  Run     // sealed: where they are
	next int     // the entries before it are fired, cancelled or void

	head    Entry // entry number headAt of a sealed run
	headAt  int   // -1: none
	block   []Entry
	blockAt int // its number
}

func sealedSource(r Run) *source { return &source{run: r, headAt: -1, blockAt: -1} }

func (s *source) len() int {
	if s.run != nil {
		return s.run.Len()
	}
	return len(s.mem)
}

// at is entry number i.
func (t *Table) at(s *source, i int) (Entry, error) {
	if s.run == nil {
		return s.mem[i], nil
	}
	if i == s.headAt {
		return s.head, nil
	}
	if err := t.load(s, i/BlockEntries); err != nil {
		return Entry{}, err
	}
	return s.block[i%BlockEntries], nil
}

// load reads a block of a sealed run. At most blocksMax are kept.
func (t *Table) load(s *source, block int) error {
	if s.blockAt == block {
		return nil
	}
	if t.blocks++; t.blocks > blocksMax {
		t.forgetBlocks()
	}
	b, err := s.run.Read(s.block[:0], block)
	if err != nil {
		s.block, s.blockAt = nil, -1
		return err
	}
	s.block, s.blockAt = b, block
	return nil
}

func (t *Table) forgetBlocks() {
	for _, g := range t.segments {
		for _, s := range g.sources() {
			s.block, s.blockAt = nil, -1
		}
	}
	t.blocks = 1
}

// after is the number of the first entry behind c.
func (t *Table) after(s *source, c Cursor) (int, error) {
	if s.run == nil {
		return search(s.mem, c), nil
	}
	fences := s.run.Fences()
	block := sort.Search(len(fences), func(i int) bool { return c.Before(fences[i]) }) - 1
	if block < 0 {
		return 0, nil
	}
	if !c.Before(s.run.Last()) {
		return s.run.Len(), nil
	}
	if err := t.load(s, block); err != nil {
		return 0, err
	}
	return block*BlockEntries + search(s.block, c), nil
}

// search is the number of the first of sorted entries behind c.
func search(sorted []Entry, c Cursor) int {
	return sort.Search(len(sorted), func(i int) bool { return c.Before(sorted[i].Place()) })
}

// settle moves to the first pending entry of a source and gives it; it is not ok when there is none.
func (t *Table) settle(s *source) (e Entry, ok bool, err error) {
	for n := s.len(); s.next < n; s.next++ {
		if e, err = t.at(s, s.next); err != nil {
			return e, false, err
		}
		if !t.cursor.Before(e.Place()) {
			if err := t.seek(s); err != nil {
				return e, false, err
			}
			s.next-- // the loop adds one
			continue
		}
		if !t.passesLocked(e.Place()) {
			s.head, s.headAt = e, s.next
			return e, true, nil
		}
	}
	return e, false, nil
}

func (t *Table) seek(s *source) (err error) {
	s.next, err = t.after(s, t.cursor)
	return err
}
