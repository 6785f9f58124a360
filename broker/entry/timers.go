package entry

import (
	"encoding/binary"
	"fmt"

	"github.com/contrailmq/contrail/broker/timer"
)

// TimerFire says that the parked messages between two cursors of the timer, without those that were cancelled, are stored again in their real
// topics by the same entry: Count of them.
type TimerFire struct {
	From, To timer.Cursor
	Count    int64
}

const (
	cursorBytes    = 16
	timerFireBytes = 2*cursorBytes + 8
)

// CancelClientMax bounds the name of who cancelled, bytes; a longer one is cut.
const CancelClientMax = 255

// AppendTimerFire appends a KindTimerFire body, little endian: from, to, due time 8 and position 8 each, and count 8.
func AppendTimerFire(dst []byte, from, to timer.Cursor, count int64) []byte {
	return binary.LittleEndian.AppendUint64(appendCursor(appendCursor(dst, from), to), uint64(count))
}

// DecodeTimerFire is the inverse of AppendTimerFire.
func DecodeTimerFire(b []byte) (TimerFire, error) {
	if len(b) != timerFireBytes {
		return TimerFire{}, fmt.Errorf("%w: a timer's fire of %d bytes", ErrFormat, len(b))
	}
	return TimerFire{cursorAt(b), cursorAt(b[cursorBytes:]), int64(binary.LittleEndian.Uint64(b[2*cursorBytes:]))}, nil
}

// AppendTimerCancel appends a KindTimerCancel body, little endian: the parked message's due time, ms 8, and position 8, then the client id of
// who cancelled it, if that is known. The command changes nothing when that message was fired, or cancelled, before.
func AppendTimerCancel(dst []byte, place timer.Cursor, client string) []byte {
	return append(appendCursor(dst, place), client[:min(len(client), CancelClientMax)]...)
}

// DecodeTimerCancel is the inverse of AppendTimerCancel; client is part of b.
func DecodeTimerCancel(b []byte) (place timer.Cursor, client []byte, err error) {
	if len(b) < cursorBytes || len(b) > cursorBytes+CancelClientMax {
		return place, nil, fmt.Errorf("%w: a timer's cancel of %d bytes", ErrFormat, len(b))
	}
	return cursorAt(b), b[cursorBytes:], nil
}

// TimerRoll says that what was pending at positions [From, To), Count messages, is parked again by the same entry, and that everything that was
// parked before To is void.
type TimerRoll struct {
	From, To, Count int64
}

const timerRollBytes = 3 * 8

// AppendTimerRoll appends a KindTimerRoll body, little endian: from 8, to 8, count 8.
func AppendTimerRoll(dst []byte, r TimerRoll) []byte {
	for _, v := range [...]int64{r.From, r.To, r.Count} {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(v))
	}
	return dst
}

// DecodeTimerRoll is the inverse of AppendTimerRoll.
func DecodeTimerRoll(b []byte) (TimerRoll, error) {
	if len(b) != timerRollBytes {
		return TimerRoll{}, fmt.Errorf("%w: a timer's roll of %d bytes", ErrFormat, len(b))
	}
	le := binary.LittleEndian
	return TimerRoll{int64(le.Uint64(b)), int64(le.Uint64(b[8:])), int64(le.Uint64(b[16:]))}, nil
}

func appendCursor(dst []byte, c timer.Cursor) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, uint64(c.Due)), uint64(c.Pos))
}

func cursorAt(b []byte) timer.Cursor {
	return timer.Cursor{Due: int64(binary.LittleEndian.Uint64(b)), Pos: int64(binary.LittleEndian.Uint64(b[8:]))}
}
