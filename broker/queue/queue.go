package queue

import (
	"sort"
	"sync"
	"sync/atomic"
)

// Row is one message's place.
type Row struct {
	Pos     int64 // physical offset
	Size    uint32
	TagHash int32
	Millis  int64 // store time
}

// run is consecutive rows whose messages lie in one segment.
type run struct {
	seq   uint64 // segment
	first int64
	count int64
	rows  []Row                   // in memory, until sealed is set
	place atomic.Pointer[sidecar] // where the rows are once the segment is sealed
	at    int64                   // file offset of the rows in the sidecar
}

// Queue is one queue of a topic: offsets [Min, Max).
type Queue struct {
	Topic string
	ID    int32

	mu   sync.RWMutex
	runs []*run
	end  int64 // next offset as applied
	last int64 // store time of the newest row, ms

	// Next is the next offset to give; the shard's goroutine owns it and what follows.
	Next       int64
	Head, Tail int32 // the shard's list of this queue's messages in the entry that is being formed
	Dead       bool  // the topic was deleted: nothing more is stored here

	// Waiters is how many long polls wait for this queue.
	Waiters atomic.Int32
}

// Bounds gives the queue's first offset, the one behind its last, and the newest store time (ms, 0: never).
func (q *Queue) Bounds() (minOffset, maxOffset, lastMillis int64) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	return q.minLocked(), q.end, q.last
}

func (q *Queue) minLocked() int64 {
	if len(q.runs) == 0 {
		return q.end
	}
	return q.runs[0].first
}

// add appends one row that lies in segment seq; it returns the run when a new one was begun.
func (q *Queue) add(seq uint64, r Row) *run {
	q.mu.Lock()
	defer q.mu.Unlock()
	var begun *run
	n := len(q.runs)
	if n == 0 || q.runs[n-1].seq != seq {
		begun = &run{seq: seq, first: q.end}
		q.runs = append(q.runs, begun)
		n++
	}
	open := q.runs[n-1]
	open.rows = append(open.rows, r)
	open.count++
	q.end++
	q.last = r.Millis
	return begun
}

// Rows appends to dst up to n rows from offset on, and says whether it could (an offset outside the bounds gives none).
// It stops at the end of a run: callers ask again.
func (q *Queue) Rows(dst []Row, offset int64, n int) ([]Row, error) {
	q.mu.RLock()
	i := sort.Search(len(q.runs), func(i int) bool { return q.runs[i].first > offset }) - 1
	if i < 0 || offset >= q.runs[i].first+q.runs[i].count {
		q.mu.RUnlock()
		return dst, nil
	}
	r := q.runs[i]
	from := offset - r.first
	to := min(from+int64(n), r.count)
	if s := r.place.Load(); s != nil {
		q.mu.RUnlock()
		return s.rows(dst, r.at, from, to)
	}
	dst = append(dst, r.rows[from:to]...)
	q.mu.RUnlock()
	return dst, nil
}

// OffsetByTime finds the first offset whose store time is not before millis; with upper the last offset whose store time is
// not after it (org.apache.rocketmq.store.ConsumeQueue binarySearchInQueueByTime: before all gives the first offset, after
// all the last one).
func (q *Queue) OffsetByTime(millis int64, upper bool) (int64, error) {
	lo, hi, _ := q.Bounds()
	first, end := lo, hi
	var row []Row
	for lo < hi {
		mid := lo + (hi-lo)/2
		var err error
		if row, err = q.Rows(row[:0], mid, 1); err != nil {
			return 0, err
		}
		if len(row) == 0 { // dropped meanwhile
			lo = mid + 1
			continue
		}
		if row[0].Millis >= millis && !upper || row[0].Millis > millis {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	if upper {
		lo--
	}
	return max(first, min(lo, end-1)), nil
}

// dropBefore removes the runs of segments before seq.
func (q *Queue) dropBefore(seq uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.runs) && q.runs[n].seq < seq {
		n++
	}
	if n > 0 {
		q.runs = append([]*run(nil), q.runs[n:]...)
	}
}
