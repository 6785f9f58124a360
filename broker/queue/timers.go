package queue

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/vfs"
)

// The timers of a sidecar are the parked messages of its segment, fired or not: they follow from the log alone. Little endian:
//
//	entries: { due, ms 8 | position 8 | key hash 8 | size 4 | CRC-32C of the message 4 } sorted by due time, then position
//	fences:  { due 8 | position 8 of its first entry | CRC-32C 4 } of each block of timer.BlockEntries entries
//	last entry: due 8, position 8 | CRC-32C of count, fences and last entry 4
//
// A block is checked each time it is read, and all that may still fire when the sidecar is loaded.
const (
	timerBytes = 32
	fenceBytes = 20
	timersTail = 20
	blockBytes = timer.BlockEntries * timerBytes
)

func timerBlocks(n int64) int64 { return (n + timer.BlockEntries - 1) / timer.BlockEntries }

// timersSize is the length of the section of n timers.
func timersSize(n int64) int64 {
	if n == 0 {
		return 0
	}
	return n*timerBytes + timerBlocks(n)*fenceBytes + timersTail
}

func appendTimers(b []byte, entries []timer.Entry) []byte {
	if len(entries) == 0 {
		return b
	}
	le := binary.LittleEndian
	at := len(b)
	for _, e := range entries {
		b = le.AppendUint64(le.AppendUint64(b, uint64(e.Due)), uint64(e.Pos))
		b = le.AppendUint32(le.AppendUint32(le.AppendUint64(b, e.Key), e.Size), e.Sum)
	}
	index := len(b)
	for ; at < index; at += blockBytes {
		block := b[at:min(at+blockBytes, index)]
		b = append(b, block[:16]...)
		b = le.AppendUint32(b, crc32.Checksum(block, castagnoli))
	}
	last := entries[len(entries)-1]
	b = le.AppendUint64(le.AppendUint64(b, uint64(last.Due)), uint64(last.Pos))
	return le.AppendUint32(b, timersCRC(len(entries), b[index:]))
}

func timersCRC(n int, index []byte) uint32 {
	return crc32.Update(crc32.Checksum(binary.LittleEndian.AppendUint32(nil, uint32(n)), castagnoli), castagnoli, index)
}

// timers is the run of parked messages in a sidecar.
type timers struct {
	seq    uint64
	file   vfs.File
	at     int64
	n      int
	fences []timer.Cursor
	sums   []uint32
	last   timer.Cursor
}

// readTimers reads the fences of the n timers that end at file offset end.
func readTimers(f vfs.File, seq uint64, n, end int64) (*timers, error) {
	if n == 0 {
		return nil, nil
	}
	index := make([]byte, timersSize(n)-n*timerBytes)
	if _, err := f.ReadAt(index, end-int64(len(index))); err != nil {
		return nil, fmt.Errorf("%w: timers: %w", ErrSidecar, err)
	}
	le, tail := binary.LittleEndian, len(index)-4
	if le.Uint32(index[tail:]) != timersCRC(int(n), index[:tail]) {
		return nil, fmt.Errorf("%w: checksum of the timers' fences", ErrSidecar)
	}
	t := &timers{seq: seq, file: f, at: end - timersSize(n), n: int(n), last: place(index[tail-16:])}
	for range timerBlocks(n) {
		t.fences, t.sums = append(t.fences, place(index)), append(t.sums, le.Uint32(index[16:]))
		index = index[fenceBytes:]
	}
	return t, nil
}

func place(b []byte) timer.Cursor {
	return timer.Cursor{Due: int64(binary.LittleEndian.Uint64(b)), Pos: int64(binary.LittleEndian.Uint64(b[8:]))}
}

func (t *timers) Len() int               { return t.n }
func (t *timers) Fences() []timer.Cursor { return t.fences }
func (t *timers) Last() timer.Cursor     { return t.last }

// Read implements timer.Run.
func (t *timers) Read(dst []timer.Entry, block int) ([]timer.Entry, error) {
	b := make([]byte, min(timer.BlockEntries, t.n-block*timer.BlockEntries)*timerBytes)
	if _, err := t.file.ReadAt(b, t.at+int64(block)*blockBytes); err != nil {
		return dst, fmt.Errorf("queue: read timers: %w", err)
	}
	if crc32.Checksum(b, castagnoli) != t.sums[block] {
		return dst, &TimersError{t.seq, block}
	}
	le := binary.LittleEndian
	for ; len(b) > 0; b = b[timerBytes:] {
		dst = append(dst, timer.Entry{Due: int64(le.Uint64(b)), Pos: int64(le.Uint64(b[8:])), Key: le.Uint64(b[16:]), Size: le.Uint32(b[24:]), Sum: le.Uint32(b[28:])})
	}
	return dst, nil
}

// TimersError is a block of timers that is damaged; it is an ErrSidecar.
type TimersError struct {
	Seq   uint64 // segment
	Block int
}

func (e *TimersError) Error() string {
	return fmt.Sprintf("%v: checksum of block %d of the timers of segment %d", ErrSidecar, e.Block, e.Seq)
}

// Unwrap makes it an ErrSidecar.
func (e *TimersError) Unwrap() error { return ErrSidecar }

// verify reads every block that holds an entry behind the cursor.
func (t *timers) verify(fired timer.Cursor) error {
	if t == nil {
		return nil
	}
	var entries []timer.Entry
	for i := range t.fences {
		end := t.last
		if i+1 < len(t.fences) {
			end = t.fences[i+1]
		}
		if !fired.Before(end) {
			continue
		}
		var err error
		if entries, err = t.Read(entries[:0], i); err != nil {
			return err
		}
	}
	return nil
}

// SetTimers gives the segment what is parked in it, when it is whole and not sealed yet.
func (w Writer) SetTimers(o *timer.Open) {
	w.seg.mu.Lock()
	w.seg.timers = o
	w.seg.mu.Unlock()
}

// Timers are the parked messages of a sealed segment; nil: it has none.
func (x *Index) Timers(seq uint64) timer.Run {
	seg := x.segment(seq)
	if seg == nil {
		return nil
	}
	seg.mu.RLock()
	defer seg.mu.RUnlock()
	if seg.side == nil || seg.side.timers == nil {
		return nil
	}
	return seg.side.timers
}
