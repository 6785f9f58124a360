package timer

import (
	"fmt"
	"slices"
)

// Sizes of the pieces of a growing run. A piece is merged with the one before it when that is not larger: like the digits of a number that
// is counted up. Pieces of more than mergeMax are left alone, so that no park waits long.
const (
	freshMax = 256
	mergeMax = 1 << 16
)

// Open is the run of a segment that grows: sorted pieces, the newest last. Once its segment is whole it does not change any more.
type Open struct {
	pieces  []*source
	n       int
	lastPos int64
}

// Len is how many entries there are.
func (o *Open) Len() int { return o.n }

// Add takes the entry of a message that stands behind all before.
func (o *Open) Add(e Entry) error {
	if o.n > 0 && e.Pos <= o.lastPos {
		return fmt.Errorf("timer: a message at position %d is parked behind one at %d", e.Pos, o.lastPos)
	}
	last := len(o.pieces) - 1
	if last < 0 || len(o.pieces[last].mem) == freshMax {
		o.merge()
		o.pieces = append(o.pieces, &source{mem: make([]Entry, 0, freshMax), headAt: -1})
		last = len(o.pieces) - 1
	}
	p := o.pieces[last]
	at := search(p.mem, e.Place())
	p.mem = slices.Insert(p.mem, at, e)
	p.next = min(p.next, at)
	o.n++
	o.lastPos = e.Pos
	return nil
}

// merge joins pieces from the end.
func (o *Open) merge() {
	for n := len(o.pieces); n > 1; n-- {
		a, b := o.pieces[n-2], o.pieces[n-1]
		if len(a.mem) > len(b.mem) || len(a.mem)+len(b.mem) > mergeMax {
			return
		}
		o.pieces = append(o.pieces[:n-2], &source{mem: mergeTwo(a.mem, b.mem), headAt: -1})
	}
}

func mergeTwo(a, b []Entry) []Entry {
	out := make([]Entry, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if b[0].Place().Before(a[0].Place()) {
			out, b = append(out, b[0]), b[1:]
		} else {
			out, a = append(out, a[0]), a[1:]
		}
	}
	return append(append(out, a...), b...)
}

// Sorted is a copy of all entries in order.
func (o *Open) Sorted() []Entry {
	if o == nil || o.n == 0 {
		return nil
	}
	var lists [][]Entry
	for _, p := range o.pieces {
		lists = append(lists, p.mem)
	}
	for len(lists) > 1 { // neighbours, so that each entry is copied as often as there are rounds
		joined := lists[:0:0]
		for i := 0; i < len(lists); i += 2 {
			if i+1 == len(lists) {
				joined = append(joined, lists[i])
			} else {
				joined = append(joined, mergeTwo(lists[i], lists[i+1]))
			}
		}
		lists = joined
	}
	return slices.Clone(lists[0])
}
