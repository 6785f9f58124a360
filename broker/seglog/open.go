package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/contrailmq/contrail/broker/vfs"
)

// Open opens or makes the log in dir. Damage below synced bytes gives a *CorruptError; a torn tail is cut and logged.
func Open(fs vfs.FS, dir string, opts Options) (*Log, error) {
	if err := opts.defaults(); err != nil {
		return nil, err
	}
	l := &Log{fs: fs, dir: dir, opts: opts}
	if err := l.open(); err != nil {
		if segs := l.segments.Load(); segs != nil {
			closeSegments(*segs)
		}
		if l.lock != nil {
			l.lock.Close()
		}
		return nil, fmt.Errorf("open log %s: %w", dir, err)
	}
	l.startPreparer()
	return l, nil
}

func (l *Log) open() error {
	if !l.opts.ReadOnly {
		if err := l.fs.MkdirAll(l.dir); err != nil {
			return err
		}
		var err error
		if l.lock, err = l.fs.Lock(filepath.Join(l.dir, lockFile)); err != nil {
			return err
		}
	}
	return l.recover()
}

// recover reads what the folder holds.
func (l *Log) recover() error {
	if err := l.finishInstall(); err != nil {
		return err
	}
	segs, err := l.findSegments()
	if err != nil {
		return err
	}
	if len(segs) == 0 {
		return l.create()
	}
	l.segments.Store(&segs)
	if err := l.checkSealed(segs); err != nil {
		return err
	}
	return l.recoverLast(segs[len(segs)-1])
}

func (l *Log) create() error {
	if l.opts.ReadOnly {
		return errors.New("there is no segment")
	}
	// The preparer does not run yet, or Restart keeps it out.
	s, err := l.newSegmentLocked(segmentHeader{seq: 1, firstIndex: 1, createdMillis: l.opts.Now().UnixMilli()})
	if err != nil {
		return err
	}
	segs := []*segment{s}
	l.segments.Store(&segs)
	l.chain, l.hard = 0, HardState{}
	l.begin(s)
	return l.Sync()
}

// findSegments opens all segment files in order. A newest file without a valid header was made but never used: it is
// removed. A file "next.prepared" is left from before and removed, too.
func (l *Log) findSegments() (segs []*segment, err error) {
	names, err := l.fs.List(l.dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			closeSegments(segs)
			segs = nil
		}
	}()
	for i, name := range names {
		full := filepath.Join(l.dir, name)
		if name == prepared && !l.opts.ReadOnly {
			if err := l.fs.Remove(full); err != nil {
				return segs, err
			}
		}
		seq, err := strconv.ParseUint(strings.TrimSuffix(name, ".seg"), 10, 64)
		if !strings.HasSuffix(name, ".seg") || err != nil {
			continue
		}
		s, err := l.openSegment(full, seq)
		if err == nil {
			segs = append(segs, s)
			continue
		}
		if newest := !anySegment(names[i+1:]); newest && errors.Is(err, errNoHeader) {
			if l.opts.ReadOnly { // its broker may be about to write to it
				continue
			}
			l.opts.Log.Info("newest segment was never written to; removed", "segment", full)
			if err := l.fs.Remove(full); err != nil {
				return segs, err
			}
			continue
		}
		return segs, err
	}
	if len(segs) > 0 {
		err = checkFirst(names, segs[0])
	}
	return segs, err
}

func closeSegments(segs []*segment) {
	for _, s := range segs {
		s.file.Close()
	}
}

func anySegment(names []string) bool {
	for _, n := range names {
		if strings.HasSuffix(n, ".seg") {
			return true
		}
	}
	return false
}

var errNoHeader = errors.New("no segment header")

func (l *Log) openSegment(name string, seq uint64) (*segment, error) {
	open := l.fs.Open
	if l.opts.ReadOnly {
		open = l.fs.OpenRead
	}
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	var b [SegmentHeaderSize]byte
	if _, err := f.ReadAt(b[:], 0); err != nil && !errors.Is(err, io.EOF) {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if b == [SegmentHeaderSize]byte{} {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, errNoHeader)
	}
	h, err := decodeSegmentHeader(b[:])
	if err == nil && h.seq != seq {
		err = fmt.Errorf("header names segment %d", h.seq)
	}
	if err != nil {
		f.Close()
		return nil, &CorruptError{name, 0, err.Error()}
	}
	s := &segment{segmentHeader: h, name: name, file: f}
	s.mu.last, s.mu.endPos, s.mu.end = h.firstIndex-1, h.firstPos, SegmentHeaderSize
	return s, nil
}

// checkSealed gives each sealed segment its end from the header of the next one, and checks that they follow each other.
func (l *Log) checkSealed(segs []*segment) error {
	for i, s := range segs[:len(segs)-1] {
		next := segs[i+1]
		if next.seq != s.seq+1 || next.firstIndex < s.firstIndex || next.firstPos < s.firstPos {
			return &CorruptError{next.name, 0, fmt.Sprintf("does not follow segment %d", s.seq)}
		}
		s.mu.last, s.mu.endPos, s.mu.end = next.firstIndex-1, next.firstPos, next.prevEnd
	}
	return nil
}

// recoverLast scans the newest segment and cuts a torn tail.
func (l *Log) recoverLast(s *segment) error {
	note, err := l.readCut(s)
	if err != nil {
		return err
	}
	if note != nil {
		if err := l.cut(s, note.End); err != nil {
			return err
		}
	}
	if err := l.scanLast(s); err != nil || note == nil {
		return err
	}
	l.hard = note.Hard
	return l.endCut()
}

func (l *Log) scanLast(s *segment) error {
	sc := scanner{s: s, chain: s.prevChain, pos: s.firstPos, index: s.firstIndex - 1, size: l.opts.SegmentBytes}
	if size, err := s.file.Size(); err == nil {
		sc.size = size
	}
	err := sc.run()
	var torn *tornError
	if damage := new(CorruptError); l.opts.Planted.TrustDamage && errors.As(err, &damage) {
		err = &tornError{sc.at, damage.Reason}
	}
	if err != nil && !errors.As(err, &torn) {
		return err
	}
	s.mu.table, s.mu.loaded = sc.table, true
	s.mu.last, s.mu.endPos, s.mu.end = sc.index, sc.pos, uint32(sc.at)
	l.active, l.chain, l.hard = s, sc.chain, sc.hard
	l.stageAt, l.synced = uint32(sc.at), uint32(sc.at)
	if l.opts.ReadOnly {
		return nil
	}
	if torn != nil {
		l.opts.Log.Warn("torn tail cut: bytes that were never synced", "segment", s.name, "at", torn.offset, "reason", torn.reason)
		return l.cut(s, uint32(sc.at))
	}
	// Bytes that a killed process left in the page cache are only as durable as this sync makes them.
	if err := s.file.Sync(); err != nil {
		return l.fail("sync "+s.name, err)
	}
	return nil
}

// scanner walks the records of one segment and checks everything.
type scanner struct {
	s     *segment
	size  int64
	at    int64
	chain uint32
	pos   int64
	index uint64
	hard  HardState
	table table
	buf   []byte
	trust bool // a planted mistake: data is not checked
	entry func(Record) error
}

// refusedError is that of scanner.entry.
type refusedError struct{ error }

// tornError says where valid records end although bytes follow.
type tornError struct {
	offset int64
	reason string
}

func (e *tornError) Error() string { return fmt.Sprintf("torn at byte %d: %s", e.offset, e.reason) }

// run reads to the end of the records: nil when only zeros follow, *tornError for a torn tail, *CorruptError for damage.
func (c *scanner) run() error {
	c.at = SegmentHeaderSize
	for {
		h, data, err := readRecord(c.s, c.at, c.buf)
		c.buf = data[:0:cap(data)]
		if err == nil {
			err = c.check(h, data)
		}
		if unread(err) {
			return err
		}
		if err != nil {
			return c.judge(err)
		}
		if c.entry != nil && h.kind == kindEntry {
			if err := c.entry(Record{Entry{h.index, h.term, h.typ, data}, h.pos}); err != nil {
				return &refusedError{err}
			}
		}
		c.take(h, data)
	}
}

func (c *scanner) check(h recordHeader, data []byte) error {
	switch {
	case h.chain != c.chain:
		return fmt.Errorf("chain %#x, expected %#x", h.chain, c.chain)
	case !c.trust && crc32.Checksum(data, castagnoli) != h.dataCRC:
		return errors.New("data checksum differs")
	case h.pos != c.pos:
		return fmt.Errorf("position %d, expected %d", h.pos, c.pos)
	case h.kind == kindEntry && h.index != c.index+1:
		return fmt.Errorf("index %d, expected %d", h.index, c.index+1)
	}
	return nil
}

func (c *scanner) take(h recordHeader, data []byte) {
	size := RecordSize(int(h.length))
	if h.kind == kindHardState {
		if hs, err := decodeHardState(data); err == nil {
			c.hard = hs
		}
		c.table.addLocal(c.pos, uint32(size))
	} else {
		c.table.addEntry(h.index, h.term, uint32(c.at))
		c.index, c.pos = h.index, c.pos+size
	}
	c.chain = h.crc
	c.at += size
}

// judge tells the clean end, a torn tail and damage apart: a later record that was written when this place had already
// been synced proves that these bytes were once good. cause io.EOF means that zeros stand here.
func (c *scanner) judge(cause error) error {
	step := max(min(1<<20, c.size-c.at), 0)
	buf := make([]byte, step+RecordHeaderSize)
	clean := errors.Is(cause, io.EOF)
	for from := c.at + 8; from < c.size; from += step {
		n, err := c.s.file.ReadAt(buf, from)
		if err != nil && !errors.Is(err, io.EOF) {
			return &readError{c.s.name, err}
		}
		if allZero(buf[:n]) {
			continue
		}
		clean = false
		if at, ok := c.proof(buf[:n], int(step)); ok {
			return &CorruptError{c.s.name, c.at, fmt.Sprintf("%v; the record at byte %d proves that this was synced", cause, from+at)}
		}
	}
	if clean {
		return nil
	}
	return &tornError{c.at, cause.Error()}
}

// proof looks for a record header that was written when c.at had been synced.
func (c *scanner) proof(b []byte, limit int) (int64, bool) {
	for i := 0; i+RecordHeaderSize <= len(b) && i < limit; i += 8 {
		if b[i+44] != kindEntry && b[i+44] != kindHardState {
			continue
		}
		if h, ok := decodeRecordHeader(b[i:], c.s.seed()); ok && int64(h.synced) > c.at {
			return int64(i), true
		}
	}
	return 0, false
}

var zeroPage [4096]byte

func allZero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeroPage))
		if !bytes.Equal(b[:n], zeroPage[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

// readRecord reads one record into buf (grown when needed). io.EOF means zeros: no record was ever written here.
func readRecord(s *segment, at int64, buf []byte) (recordHeader, []byte, error) {
	var b [RecordHeaderSize]byte
	if _, err := s.file.ReadAt(b[:], at); err != nil {
		if errors.Is(err, io.EOF) {
			return recordHeader{}, buf, io.EOF
		}
		return recordHeader{}, buf, &readError{s.name, err}
	}
	h, ok := decodeRecordHeader(b[:], s.seed())
	if !ok {
		if b == [RecordHeaderSize]byte{} {
			return h, buf, io.EOF
		}
		return h, buf, errors.New("header checksum differs")
	}
	if h.length > DataMax {
		return h, buf, fmt.Errorf("data of %d bytes", h.length)
	}
	if cap(buf) < int(h.length) {
		buf = make([]byte, h.length)
	}
	buf = buf[:h.length]
	if len(buf) == 0 {
		return h, buf, nil
	}
	if _, err := s.file.ReadAt(buf, at+RecordHeaderSize); errors.Is(err, io.EOF) { // not to be taken for the clean end of the log
		return h, buf, fmt.Errorf("data of %d bytes: the file ends inside the record", h.length)
	} else if err != nil {
		return h, buf, &readError{s.name, err}
	}
	return h, buf, nil
}

// readError is a disk that does not answer. It says nothing about the bytes: they are neither damaged nor a torn tail.
type readError struct {
	name string
	err  error
}

func (e *readError) Error() string { return fmt.Sprintf("read %s: %v", e.name, e.err) }

// Unwrap gives the disk's error.
func (e *readError) Unwrap() error { return e.err }

func unread(err error) bool {
	var e *readError
	return errors.As(err, &e)
}
