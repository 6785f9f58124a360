package seglog

import (
	"fmt"
	"path/filepath"
	"sort"
	"sync"

	"github.com/contrailmq/contrail/broker/vfs"
)

// segment is one file. Its header fields never change; the table grows only while it is active.
type segment struct {
	segmentHeader
	name string
	file vfs.File

	mu struct {
		sync.RWMutex
		table  table
		loaded bool
		end    uint32 // file offset behind the last record
		endPos int64
		last   uint64 // last index; firstIndex-1 when there is no entry
	}
}

// table finds the entries of one segment.
type table struct {
	offsets []uint32 // file offset of entry firstIndex+i
	terms   []termRun
	locals  []localRun
}

// termRun says that entries from index on have the term.
type termRun struct{ index, term uint64 }

// localRun says how many file bytes of local records lie before positions from pos on.
type localRun struct {
	pos   int64
	bytes uint32
}

func segmentName(dir string, seq uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%012d.seg", seq))
}

func (t *table) addEntry(index, term uint64, offset uint32) {
	t.offsets = append(t.offsets, offset)
	if n := len(t.terms); n == 0 || t.terms[n-1].term != term {
		t.terms = append(t.terms, termRun{index, term})
	}
}

func (t *table) addLocal(pos int64, size uint32) {
	n := len(t.locals)
	if n > 0 && t.locals[n-1].pos == pos {
		t.locals[n-1].bytes += size
		return
	}
	before := uint32(0)
	if n > 0 {
		before = t.locals[n-1].bytes
	}
	t.locals = append(t.locals, localRun{pos, before + size})
}

// localBefore is the number of local bytes before position pos.
func (t *table) localBefore(pos int64) uint32 {
	i := sort.Search(len(t.locals), func(i int) bool { return t.locals[i].pos > pos })
	if i == 0 {
		return 0
	}
	return t.locals[i-1].bytes
}

func (t *table) term(index uint64) uint64 {
	i := sort.Search(len(t.terms), func(i int) bool { return t.terms[i].index > index })
	return t.terms[i-1].term
}

// truncate forgets entries from index on, which begin at position pos.
func (t *table) truncate(first, index uint64, pos int64) {
	t.offsets = t.offsets[:index-first]
	for n := len(t.terms); n > 0 && t.terms[n-1].index >= index; n-- {
		t.terms = t.terms[:n-1]
	}
	for n := len(t.locals); n > 0 && t.locals[n-1].pos > pos; n-- {
		t.locals = t.locals[:n-1]
	}
}

// offsetOf is the file offset of position pos.
func (s *segment) offsetOfLocked(pos int64) int64 {
	return SegmentHeaderSize + pos - s.firstPos + int64(s.mu.table.localBefore(pos))
}

// lastIndex and bounds are snapshots.
func (s *segment) bounds() (last uint64, endPos int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.last, s.mu.endPos
}
