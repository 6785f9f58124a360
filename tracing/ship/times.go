package ship

import "github.com/contrailmq/contrail/broker/notes"

// timesMax bounds the entry times that wait for their entries; reading notes pauses beyond it.
const timesMax = 1 << 16

// timesQueue holds entry times in the order of their entries, until these come.
type timesQueue struct {
	waiting []noted
	from    int    // waiting[from:] are live
	newest  uint64 // highest index ever put
}

type noted struct {
	seq uint64 // of the note
	notes.EntryTimes
}

func (q *timesQueue) put(seq uint64, t notes.EntryTimes) {
	if t.Index <= q.newest {
		return // an entry that was told before: a restart reads notes again
	}
	if q.from > 0 && len(q.waiting) == cap(q.waiting) {
		q.waiting = q.waiting[:copy(q.waiting, q.waiting[q.from:])]
		q.from = 0
	}
	q.waiting = append(q.waiting, noted{seq, t})
	q.newest = t.Index
}

func (q *timesQueue) full() bool { return len(q.waiting)-q.from >= timesMax }

// take gives the times of an entry. told: they are known, or it is known that they will not come.
func (q *timesQueue) take(index uint64) (t notes.EntryTimes, told bool) {
	q.dropBefore(index)
	if q.from < len(q.waiting) && q.waiting[q.from].Index == index {
		return q.waiting[q.from].EntryTimes, true
	}
	return notes.EntryTimes{}, q.newest >= index
}

// dropBefore forgets the times of entries before index.
func (q *timesQueue) dropBefore(index uint64) {
	for q.from < len(q.waiting) && q.waiting[q.from].Index < index {
		q.from++
	}
	if q.from == len(q.waiting) {
		q.waiting, q.from = q.waiting[:0], 0
	}
}

// oldest is the note from which on a restart must read for entries from index on; next is where new notes begin.
func (q *timesQueue) oldest(index, next uint64) uint64 {
	for i := q.from; i < len(q.waiting); i++ {
		if q.waiting[i].Index >= index {
			return q.waiting[i].seq
		}
	}
	return next
}
