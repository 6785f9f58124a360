package timer

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Saved state, little endian:
//
//	version 1 | cursor: due 8, position 8 | scheduled 8 | fired 8 | cancelled 8 | n 4 | n places of cancelled entries, in order: due 8, position 8
//
// Entries are not in it: they are in the segments' sidecars. A group that never parked a message saves nothing.
const (
	saveVersion = 1
	saveHeader  = 1 + 5*8 + 4
	placeBytes  = 16
)

// ErrSaved is state that Save did not write.
var ErrSaved = errors.New("timer: saved state is malformed")

// Save is the state without the runs: equal bytes mean equal states. Nil: nothing was ever parked.
func (t *Table) Save() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == (Counts{}) && t.cursor == (Cursor{}) {
		return nil
	}
	le := binary.LittleEndian
	b := make([]byte, 1, saveHeader+placeBytes*t.cancelled.n)
	b[0] = saveVersion
	for _, v := range []int64{t.cursor.Due, t.cursor.Pos, t.counts.Scheduled, t.counts.Fired, t.counts.Cancelled} {
		b = le.AppendUint64(b, uint64(v))
	}
	b = le.AppendUint32(b, uint32(t.cancelled.n))
	t.cancelled.each(func(c Cursor) { b = le.AppendUint64(le.AppendUint64(b, uint64(c.Due)), uint64(c.Pos)) })
	return b
}

// Restore takes what Save gave, into an empty table; runs are attached afterwards.
func (t *Table) Restore(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if len(b) < saveHeader || b[0] != saveVersion {
		return fmt.Errorf("%w: %d bytes, version %d", ErrSaved, len(b), b[0])
	}
	le := binary.LittleEndian
	n := int(le.Uint32(b[saveHeader-4:]))
	if n > CancelledMax || len(b) != saveHeader+n*placeBytes {
		return fmt.Errorf("%w: %d cancelled in %d bytes, the limit is %d", ErrSaved, n, len(b), CancelledMax)
	}
	var v [5]int64
	for i := range v {
		v[i] = int64(le.Uint64(b[1+8*i:]))
	}
	cursor, counts := Cursor{v[0], v[1]}, Counts{v[2], v[3], v[4]}
	var cancelled set
	last := cursor
	for b = b[saveHeader:]; len(b) > 0; b = b[placeBytes:] {
		c := Cursor{int64(le.Uint64(b)), int64(le.Uint64(b[8:]))}
		if !last.Before(c) {
			return fmt.Errorf("%w: cancelled: %v behind %v", ErrSaved, c, last)
		}
		cancelled.add(c)
		last = c
	}
	if counts == (Counts{}) && cursor == (Cursor{}) || counts.Scheduled < 0 || counts.Fired < 0 || counts.Cancelled < int64(n) {
		return fmt.Errorf("%w: counts %+v", ErrSaved, counts)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cursor, t.counts, t.cancelled, t.known = cursor, counts, cancelled, false
	return nil
}
