package seglog

import (
	"fmt"
	"hash/crc32"
	"time"
)

// Entry is one numbered record.
type Entry struct {
	Index, Term uint64
	Type        uint8
	Data        []byte
}

// Append stages the next entry and returns its position. Its index must be LastIndex+1. The data is copied. It is
// written by Flush or Sync at the latest, and durable after Sync.
func (l *Log) Append(e Entry) (int64, error) {
	if err := l.writable(); err != nil {
		return 0, err
	}
	if len(e.Data) > DataMax {
		return 0, fmt.Errorf("entry %d has %d bytes, the limit is %d", e.Index, len(e.Data), DataMax)
	}
	if want := l.active.mu.last + 1; e.Index != want {
		return 0, fmt.Errorf("append entry %d: the next index is %d", e.Index, want)
	}
	if err := l.room(len(e.Data), true); err != nil {
		return 0, err
	}
	pos, at := l.active.mu.endPos, l.active.mu.end
	l.put(kindEntry, e.Type, e.Term, e.Index, pos, e.Data)
	l.unmarked = true
	s := l.active
	s.mu.Lock()
	s.mu.table.addEntry(e.Index, e.Term, at)
	s.mu.last = e.Index
	s.mu.endPos = pos + RecordSize(len(e.Data))
	s.mu.Unlock()
	return pos, nil
}

// SetHardState stages the member's hard state as a local record.
func (l *Log) SetHardState(h HardState) error {
	if err := l.writable(); err != nil {
		return err
	}
	data := h.encode()
	if err := l.room(len(data), false); err != nil {
		return err
	}
	l.hard = h
	l.putLocal(data)
	return nil
}

// Mark writes a local record behind the newest entry once that is synced, and does not sync it: it proves later that the entry
// was, so that decay of the log's end is not taken for a torn tail and cut. The log's owner calls it when it has nothing to do.
func (l *Log) Mark() error {
	if err := l.writable(); err != nil || !l.unmarked || l.Dirty() {
		return err
	}
	data := l.hard.encode()
	if int64(l.active.mu.end)+RecordSize(len(data)) > l.opts.SegmentBytes {
		return nil
	}
	l.putLocal(data)
	return l.Flush()
}

func (l *Log) putLocal(data []byte) {
	l.unmarked = false
	s := l.active
	pos := s.mu.endPos
	l.put(kindHardState, 0, l.hard.Term, 0, pos, data)
	s.mu.Lock()
	s.mu.table.addLocal(pos, uint32(RecordSize(len(data))))
	s.mu.Unlock()
}

// put stages one record at the end of the active segment.
func (l *Log) put(kind, typ uint8, term, index uint64, pos int64, data []byte) {
	h := recordHeader{
		chain: l.chain, length: uint32(len(data)), dataCRC: crc32.Checksum(data, castagnoli),
		term: term, index: index, pos: pos, synced: l.synced, kind: kind, typ: typ,
	}
	at := len(l.stage)
	var zero [RecordHeaderSize]byte
	l.stage = append(l.stage, zero[:]...)
	h.encode(l.stage[at:], l.active.seed())
	l.stage = append(l.stage, data...)
	l.stage = append(l.stage, zero[:(8-len(data)&7)&7]...)
	l.chain, l.proven = h.crc, l.synced
	l.active.mu.Lock()
	l.active.mu.end += uint32(RecordSize(len(data)))
	l.active.mu.Unlock()
}

func (l *Log) writable() error {
	if l.opts.ReadOnly {
		return ErrReadOnly
	}
	return l.Failed()
}

// room rolls to the next segment when n bytes of data do not belong into this one, and writes a full stage.
func (l *Log) room(n int, entry bool) error {
	if len(l.stage) >= stageBytes {
		if err := l.Flush(); err != nil {
			return err
		}
	}
	if l.active.mu.end <= SegmentHeaderSize+2*RecordHeaderSize { // nothing but the hard state yet
		return nil
	}
	if int64(l.active.mu.end)+RecordSize(n) > l.opts.SegmentBytes {
		return l.roll()
	}
	if s := l.active; entry && s.mu.last >= s.firstIndex {
		// The span in which an entry ends decides its segment, so that segments end with the same entries on every member
		// although their local records differ.
		if span := l.span(); (s.mu.endPos+RecordSize(n)-1)/span > (s.mu.endPos-1)/span {
			return l.roll()
		}
	}
	return nil
}

// span is how many positions one segment holds; the rest of its file is for local records.
func (l *Log) span() int64 { return l.opts.SegmentBytes - l.opts.SegmentBytes/localShare }

// localShare of a segment's bytes is kept for local records: a member's term and vote, 72 bytes for each change.
const localShare = 64

// Flush writes what is staged to the page cache.
func (l *Log) Flush() error {
	if err := l.writable(); err != nil {
		return err
	}
	if len(l.stage) == 0 {
		return nil
	}
	if _, err := l.active.file.WriteAt(l.padded(), int64(l.stageAt)); err != nil {
		return l.fail("write "+l.active.name, err)
	}
	l.stageAt += uint32(len(l.stage))
	if cap(l.stage) > 4*stageBytes {
		l.stage = nil
	}
	l.stage = l.stage[:0]
	l.askNext()
	return nil
}

const page = 4096

// padded is the stage with zeros up to the end of its last page: a page that is written as a whole need not be read from the
// disk first. What lies there is zeros anyway.
func (l *Log) padded() []byte {
	end := int64(l.stageAt) + int64(len(l.stage))
	pad := min(-end&(page-1), max(l.opts.SegmentBytes-end, 0))
	var zero [page]byte
	n := len(l.stage)
	l.stage = append(l.stage, zero[:pad]...)
	b := l.stage
	l.stage = l.stage[:n]
	return b
}

// Sync makes everything appended so far durable.
func (l *Log) Sync() error {
	if err := l.Flush(); err != nil {
		return err
	}
	if l.synced == l.stageAt {
		return nil
	}
	began := time.Now()
	if err := l.active.file.Sync(); err != nil {
		return l.fail("sync "+l.active.name, err)
	}
	l.syncs.add(time.Since(began))
	l.synced = l.stageAt
	return nil
}

// Roll ends the active segment early, when it holds an entry.
func (l *Log) Roll() error {
	if err := l.writable(); err != nil || l.active.mu.last < l.active.firstIndex {
		return err
	}
	return l.roll()
}

// roll seals the active segment and makes the prepared file the next one. Its first record is the hard state, so that
// older segments can be dropped.
func (l *Log) roll() error {
	if err := l.Sync(); err != nil {
		return err
	}
	old := l.active
	if err := l.writeTable(old); err != nil {
		l.opts.Log.Warn("entry table not written; it is rebuilt by scanning when needed", "segment", old.name, "err", err)
	}
	h := segmentHeader{
		seq: old.seq + 1, firstIndex: old.mu.last + 1, firstPos: old.mu.endPos, prevTerm: l.lastTerm(),
		prevChain: l.chain, prevEnd: old.mu.end, createdMillis: l.opts.Now().UnixMilli(),
	}
	s, err := l.newSegment(h)
	if err != nil {
		return l.fail("roll to segment "+segmentName(l.dir, h.seq), err)
	}
	segs := append(append([]*segment(nil), *l.segments.Load()...), s)
	l.segments.Store(&segs)
	l.begin(s)
	return nil
}

// begin makes s active; its header is staged with the hard state so that both become durable together.
func (l *Log) begin(s *segment) {
	l.active, l.synced, l.stageAt = s, 0, 0
	l.seen = sample{0, l.syncs.Count.Load()}
	l.stage = append(l.stage[:0], make([]byte, SegmentHeaderSize)...)
	s.encode(l.stage)
	l.putLocal(l.hard.encode())
}

func (l *Log) lastTerm() uint64 {
	s := l.active
	if s.mu.last < s.firstIndex {
		return s.prevTerm
	}
	return s.mu.table.term(s.mu.last)
}

// TruncateFrom removes the entries from index on (a follower's conflict). It is durable when it returns.
func (l *Log) TruncateFrom(index uint64) error {
	if err := l.Sync(); err != nil {
		return err
	}
	if index > l.active.mu.last {
		return nil
	}
	l.cuts++
	for l.active.firstIndex > index {
		if err := l.dropActive(); err != nil {
			return err
		}
	}
	s := l.active
	if err := l.load(s); err != nil {
		return err
	}
	s.mu.Lock()
	at := s.mu.table.offsets[index-s.firstIndex]
	h, _, err := readRecord(s, int64(at), nil)
	if err == nil {
		s.mu.table.truncate(s.firstIndex, index, h.pos)
		s.mu.last, s.mu.endPos, s.mu.end = index-1, h.pos, at
	}
	s.mu.Unlock()
	if unread(err) {
		return l.fail("truncate "+s.name, err)
	}
	if err != nil { // the log was not touched: its owner begins anew
		return damageAt(s, int64(at), err)
	}
	l.chain = h.chain
	if !l.opts.Planted.ForgetCut {
		if err := l.writeCut(s, at); err != nil {
			return l.fail("note the cut of "+s.name, err)
		}
	}
	if err := l.cut(s, at); err != nil {
		return err
	}
	return l.endCut()
}

// cut zeroes a segment behind end and keeps its space.
func (l *Log) cut(s *segment, end uint32) error {
	l.stage, l.stageAt, l.synced, l.proven = l.stage[:0], end, end, 0
	if err := s.file.Truncate(int64(end)); err != nil {
		return l.fail("cut "+s.name, err)
	}
	if err := s.file.Allocate(l.opts.SegmentBytes); err != nil {
		return l.fail("allocate "+s.name, err)
	}
	if err := s.file.Sync(); err != nil {
		return l.fail("sync "+s.name, err)
	}
	return nil
}

// dropActive removes the newest segment whole; the one before becomes active again.
func (l *Log) dropActive() error {
	segs := *l.segments.Load()
	gone, s := segs[len(segs)-1], segs[len(segs)-2]
	if err := l.load(s); err != nil {
		return err
	}
	rest := append([]*segment(nil), segs[:len(segs)-1]...)
	l.segments.Store(&rest)
	gone.file.Close()
	l.removeTable(s)
	if err := l.fs.Remove(gone.name); err != nil {
		return l.fail("remove "+gone.name, err)
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return l.fail("sync "+l.dir, err)
	}
	l.active, l.stage, l.stageAt, l.synced = s, l.stage[:0], s.mu.end, s.mu.end
	l.chain = gone.prevChain
	return nil
}
