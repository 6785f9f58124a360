package timer

import (
	"slices"
	"sort"
)

// chunkMax is how many places a chunk of a set holds at most.
const chunkMax = 512

// ForgetCancelled is a mistake that the simulator plants; nothing else calls it.
func (t *Table) ForgetCancelled() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cancelled, t.known = set{}, false
}

// set is a sorted set of places, in chunks: what is added moves only one chunk, and the beginning is cut off at once.
type set struct {
	chunks [][]Cursor // none is empty
	n      int
}

// find says in which chunk a place is or belongs, and where in it.
func (s *set) find(c Cursor) (chunk, at int, found bool) {
	chunk = sort.Search(len(s.chunks), func(i int) bool { return c.Before(s.chunks[i][0]) }) - 1
	if chunk < 0 {
		return 0, 0, false
	}
	at, found = slices.BinarySearchFunc(s.chunks[chunk], c, Cursor.Compare)
	return chunk, at, found
}

func (s *set) has(c Cursor) bool {
	if s.n == 0 {
		return false
	}
	_, _, found := s.find(c)
	return found
}

// add takes a place that is not in the set.
func (s *set) add(c Cursor) {
	s.n++
	if len(s.chunks) == 0 {
		s.chunks = append(s.chunks, []Cursor{c})
		return
	}
	i, at, _ := s.find(c)
	if len(s.chunks[i]) == chunkMax {
		half := slices.Clone(s.chunks[i][chunkMax/2:])
		s.chunks[i] = s.chunks[i][:chunkMax/2]
		s.chunks = slices.Insert(s.chunks, i+1, half)
		i, at, _ = s.find(c)
	}
	s.chunks[i] = slices.Insert(s.chunks[i], at, c)
}

// dropThrough forgets all places up to c.
func (s *set) dropThrough(c Cursor) {
	n := 0
	for n < len(s.chunks) && !c.Before(s.chunks[n][len(s.chunks[n])-1]) {
		s.n -= len(s.chunks[n])
		n++
	}
	s.chunks = slices.Delete(s.chunks, 0, n)
	if len(s.chunks) == 0 {
		return
	}
	at, found := slices.BinarySearchFunc(s.chunks[0], c, Cursor.Compare)
	if found {
		at++
	}
	s.chunks[0] = slices.Delete(s.chunks[0], 0, at)
	s.n -= at
}

// dropBefore forgets all places with a lower position.
func (s *set) dropBefore(pos int64) {
	var kept set
	s.each(func(c Cursor) {
		if c.Pos >= pos {
			kept.add(c)
		}
	})
	*s = kept
}

// floor is the last place up to c.
func (s *set) floor(c Cursor) (Cursor, bool) {
	i, at, found := s.find(c)
	if found {
		return c, true
	}
	if at == 0 { // c is before all: elsewhere the chunk that find gives begins before c
		return Cursor{}, false
	}
	return s.chunks[i][at-1], true
}

// each calls f in order.
func (s *set) each(f func(Cursor)) {
	for _, chunk := range s.chunks {
		for _, c := range chunk {
			f(c)
		}
	}
}
