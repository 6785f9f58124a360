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
// Entries are not in it: they are in the segments' sidecars. A group that never parked a message saves nothing. Version 2 has, before n, the
// position up to which all is rolled 8, and rolled 8; it is written when something was.
const (
	saveVersion  = 1
	saveRolled   = 2
	savedNumbers = 5 // of version 1
	placeBytes   = 16
)

// savedHeader is the length of what comes before the places.
func savedHeader(version byte) int {
	if version == saveRolled {
		return 1 + (savedNumbers+2)*8 + 4
	}
	return 1 + savedNumbers*8 + 4
}

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
	numbers := []int64{t.cursor.Due, t.cursor.Pos, t.counts.Scheduled, t.counts.Fired, t.counts.Cancelled}
	version := byte(saveVersion)
	if t.rolled != 0 {
		version, numbers = saveRolled, append(numbers, t.rolled, t.counts.Rolled)
	}
	b := make([]byte, 1, savedHeader(version)+placeBytes*t.cancelled.n)
	b[0] = version
	for _, v := range numbers {
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
	header := savedHeader(b[0])
	if len(b) < header || b[0] != saveVersion && b[0] != saveRolled {
		return fmt.Errorf("%w: %d bytes, version %d", ErrSaved, len(b), b[0])
	}
	le := binary.LittleEndian
	n := int(le.Uint32(b[header-4:]))
	if n > CancelledMax || len(b) != header+n*placeBytes {
		return fmt.Errorf("%w: %d cancelled in %d bytes, the limit is %d", ErrSaved, n, len(b), CancelledMax)
	}
	var v [savedNumbers + 2]int64
	for i := range (header - 5) / 8 {
		v[i] = int64(le.Uint64(b[1+8*i:]))
	}
	cursor, rolled, counts := Cursor{v[0], v[1]}, v[5], Counts{v[2], v[3], v[4], v[6]}
	if counts == (Counts{}) && cursor == (Cursor{}) || min(counts.Scheduled, counts.Fired, counts.Rolled) < 0 || counts.Cancelled < int64(n) || rolled < 0 || rolled == 0 && b[0] == saveRolled {
		return fmt.Errorf("%w: counts %+v, rolled up to %d", ErrSaved, counts, rolled)
	}
	cancelled, err := restorePlaces(b[header:], cursor, rolled)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cursor, t.rolled, t.counts, t.cancelled, t.known = cursor, rolled, counts, cancelled, false
	return nil
}

// restorePlaces reads places that are in order, behind the cursor, and not void.
func restorePlaces(b []byte, cursor Cursor, rolled int64) (cancelled set, err error) {
	le, last := binary.LittleEndian, cursor
	for ; len(b) > 0; b = b[placeBytes:] {
		c := Cursor{int64(le.Uint64(b)), int64(le.Uint64(b[8:]))}
		if !last.Before(c) || c.Pos < rolled {
			return set{}, fmt.Errorf("%w: cancelled: %v behind %v, rolled up to %d", ErrSaved, c, last, rolled)
		}
		cancelled.add(c)
		last = c
	}
	return cancelled, nil
}
