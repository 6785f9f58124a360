package seglog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"sort"
)

// Term is the term of an entry; the entry before the first one kept has a term, too.
func (l *Log) Term(index uint64) (uint64, error) {
	segs := *l.segments.Load()
	if index+1 == segs[0].firstIndex {
		return segs[0].prevTerm, nil
	}
	s, err := l.byIndex(index)
	if err != nil {
		return 0, err
	}
	if err := l.load(s); err != nil {
		return 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if index > s.mu.last {
		return 0, ErrUnavailable
	}
	return s.mu.table.term(index), nil
}

// Record is an entry with its place.
type Record struct {
	Entry
	Pos int64 // of its header; its data begins RecordHeaderSize later
}

// Read calls f for entries from index on until f fails, about maxBytes were read, or the last written entry; it returns
// the next index. Data is valid only within f. Every checksum is checked.
func (l *Log) Read(index uint64, maxBytes int, f func(Record) error) (uint64, error) {
	return l.ReadThrough(index, math.MaxUint64, maxBytes, f)
}

// ReadThrough is Read that ends with entry last. Other goroutines than the log's own must not read beyond what was flushed:
// what is staged has a number already, but its bytes are not in the file, or half of them.
func (l *Log) ReadThrough(index, last uint64, maxBytes int, f func(Record) error) (uint64, error) {
	var buf []byte
	for read := 0; read < maxBytes && index <= last; {
		s, err := l.byIndex(index)
		if errors.Is(err, ErrUnavailable) {
			return index, nil
		}
		if err != nil {
			return index, err
		}
		if err := l.load(s); err != nil {
			return index, l.gone(s, err)
		}
		s.mu.RLock()
		at := int64(s.mu.table.offsets[index-s.firstIndex])
		s.mu.RUnlock()
		var h recordHeader
		if h, buf, err = l.readEntry(s, at, index, buf); err != nil {
			return index, l.gone(s, err)
		}
		if err := f(Record{Entry{h.index, h.term, h.typ, buf}, h.pos}); err != nil {
			return index, err
		}
		read += int(RecordSize(len(buf)))
		index++
	}
	return index, nil
}

// gone says that a read failed because its segment was dropped meanwhile, which closes its file.
func (l *Log) gone(s *segment, err error) error {
	if err != nil && s.firstIndex < l.FirstIndex() {
		return ErrCompacted
	}
	return err
}

func (l *Log) readEntry(s *segment, at int64, index uint64, buf []byte) (recordHeader, []byte, error) {
	h, data, err := readRecord(s, at, buf)
	if errors.Is(err, io.EOF) {
		// Staged, not written yet: the caller asks for what the writer has not flushed.
		return h, data, ErrUnavailable
	}
	if unread(err) {
		return h, data, err
	}
	if err == nil && crc32.Checksum(data, castagnoli) != h.dataCRC && !l.opts.Planted.TrustDamage {
		err = errors.New("data checksum differs")
	}
	if err == nil && h.index != index {
		err = fmt.Errorf("entry %d stands where %d should", h.index, index)
	}
	if err != nil {
		return h, data, &CorruptError{s.name, at, err.Error()}
	}
	return h, data, nil
}

// ReadAt fills p with the bytes at a position; they must lie within one segment. Checksums are not checked: callers check
// what they read against what they expected (a message carries its own position and size).
func (l *Log) ReadAt(p []byte, pos int64) error {
	s, err := l.byPos(pos)
	if err != nil {
		return err
	}
	if err := l.load(s); err != nil {
		return l.gone(s, err)
	}
	s.mu.RLock()
	at := s.offsetOfLocked(pos)
	end := int64(s.mu.end)
	s.mu.RUnlock()
	if at+int64(len(p)) > end {
		return ErrUnavailable
	}
	if _, err := s.file.ReadAt(p, at); err != nil {
		return fmt.Errorf("read %d bytes at position %d of %s: %w", len(p), pos, s.name, l.gone(s, err))
	}
	return nil
}

// Contains finds the entry that holds a position: its index, and the position where its data begins.
func (l *Log) Contains(pos int64) (index uint64, dataPos int64, err error) {
	s, err := l.byPos(pos)
	if err != nil {
		return 0, 0, err
	}
	if err := l.load(s); err != nil {
		return 0, 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if pos >= s.mu.endPos {
		return 0, 0, ErrUnavailable
	}
	t := &s.mu.table
	at := uint32(s.offsetOfLocked(pos))
	i := sort.Search(len(t.offsets), func(i int) bool { return t.offsets[i] > at }) - 1
	if i < 0 {
		return 0, 0, ErrUnavailable
	}
	// Local records lie between entries, so the distance within the entry is the same in file and positions.
	return s.firstIndex + uint64(i), pos - int64(at-t.offsets[i]) + RecordHeaderSize, nil
}

// PositionOf is the position of an entry's record, which must have been flushed. The log's own goroutine may ask.
func (l *Log) PositionOf(index uint64) (int64, error) {
	s, err := l.byIndex(index)
	if err != nil {
		return 0, err
	}
	if err := l.load(s); err != nil {
		return 0, err
	}
	s.mu.RLock()
	at := int64(s.mu.table.offsets[index-s.firstIndex])
	s.mu.RUnlock()
	h, _, err := readRecord(s, at, nil)
	return h.pos, l.gone(s, damageAt(s, at, err))
}

// damageAt says that a record that is known to be there cannot be one: it decayed. A disk that does not answer is no damage.
func damageAt(s *segment, at int64, err error) error {
	if err == nil || unread(err) {
		return err
	}
	return &CorruptError{s.name, at, err.Error()}
}
