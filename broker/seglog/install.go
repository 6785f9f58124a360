package seglog

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/contrailmq/contrail/broker/vfs"
)

// A member that lags behind the first kept entry gets the sealed segments of another one, and what its owner keeps beside
// them. They gather in the folder incoming; Install takes them in place of everything that is here. A crash at any moment
// leaves the old log or the new one: the file install is written when all that is new is durable, and names what goes and what
// comes, so that Open can go on where Install was. All space that Install needs is taken by CheckIncoming: a disk that is full is found
// while the old log can still be gone on with.
const (
	incomingDir  = "incoming"
	markerName   = "install"
	markerMax    = 16 << 20
	markerSlack  = 64 << 10          // for files that are made between CheckIncoming and Install
	nextReserved = "reserved.next"   // becomes the active segment
	markReserved = "reserved.marker" // becomes the file install
	prepared     = "next.prepared"
	lockFile     = "LOCK"
)

type installMarker struct {
	Files  []string `json:"files"`  // come from incoming
	Remove []string `json:"remove"` // go, unless they came
}

// IncomingDir is where files gather before Install.
func (l *Log) IncomingDir() string { return filepath.Join(l.dir, incomingDir) }

// SegmentFile names the file of a segment, within the log's folder or IncomingDir.
func SegmentFile(seq uint64) string { return filepath.Base(segmentName("", seq)) }

// SegmentEnd is how many bytes of a sealed segment's file are records; what follows is zeros.
func (l *Log) SegmentEnd(seq uint64) (int64, error) {
	s, err := l.bySeq(seq)
	if err != nil {
		return 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return int64(s.mu.end), nil
}

// ReadSegment reads bytes of a sealed segment's file. A segment that retention took gives ErrCompacted.
func (l *Log) ReadSegment(seq uint64, p []byte, off int64) error {
	s, err := l.bySeq(seq)
	if err != nil {
		return err
	}
	if _, err := s.file.ReadAt(p, off); err != nil {
		return fmt.Errorf("read %d bytes at %d of %s: %w", len(p), off, s.name, l.gone(s, err))
	}
	return nil
}

func (l *Log) bySeq(seq uint64) (*segment, error) {
	segs := *l.segments.Load()
	if seq < segs[0].seq {
		return nil, ErrCompacted
	}
	if i := int(seq - segs[0].seq); i < len(segs)-1 {
		return segs[i], nil
	}
	return nil, ErrUnavailable
}

// Incoming is segments in IncomingDir of which every record was checked.
type Incoming struct {
	first, last uint64
	next        segmentHeader // of the segment that follows them
}

// Segments are the first and the last.
func (in *Incoming) Segments() (first, last uint64) { return in.first, in.last }

// ErrAbandoned ends a check that nobody waits for any more.
var ErrAbandoned = errors.New("seglog: given up")

// Check is what CheckIncoming tells and asks while it reads; each may be nil.
type Check struct {
	Entry func(seq uint64, r Record) error // each entry, in order; its data is valid within the call
	Stop  func() bool                      // asked before each segment
}

// CheckIncoming takes the space that Install needs, then reads every record of the segments first to last in IncomingDir. Damage gives a
// *CorruptError. It may run on any goroutine, one at a time, while the log is used.
func (l *Log) CheckIncoming(first, last uint64, c Check) (*Incoming, error) {
	if err := l.reserve(first, last); err != nil {
		return nil, fmt.Errorf("space for another member's segments: %w", err)
	}
	next, err := l.checkIncoming(first, last, c)
	return &Incoming{first, last, next}, err
}

// reserve takes the space of the next segment and of the marker.
func (l *Log) reserve(first, last uint64) error {
	names, err := l.fs.List(l.dir)
	if err != nil {
		return err
	}
	b, err := json.Marshal(&installMarker{Remove: names})
	if err != nil {
		return err
	}
	each := int64(len(SegmentFile(last))+3) * 2 // a segment and what its owner keeps of it; JSON
	if err := l.take(markReserved, int64(len(b))+int64(last-first+2)*each+markerSlack); err != nil {
		return err
	}
	return l.take(nextReserved, l.opts.SegmentBytes)
}

// take makes a file of so many bytes in IncomingDir; what is left of an earlier one goes.
func (l *Log) take(name string, size int64) error {
	full := filepath.Join(l.IncomingDir(), name)
	f, err := l.fs.Create(full)
	if err != nil {
		return err
	}
	if err = f.Allocate(size); err == nil {
		err = writeZeros(f, size, func() bool { return false })
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = l.fs.Remove(full) // give the space back
	}
	return err
}

// Install replaces the log by what was checked and the other named files in IncomingDir; all must be synced. The hard state
// stays this member's own. An error means that the log must not be used any more.
func (l *Log) Install(in *Incoming, others []string) error {
	if err := l.writable(); err != nil {
		return err
	}
	m := installMarker{Files: slices.Clone(others)}
	first, last := in.first, in.last
	for seq := first; seq <= last; seq++ {
		m.Files = append(m.Files, SegmentFile(seq))
	}
	err := l.continueIncoming(in.next)
	if err != nil {
		return err
	}
	m.Files = append(m.Files, SegmentFile(last+1))
	if m.Remove, err = l.replaced(others); err != nil {
		return err
	}
	if err := l.writeMarker(&m); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if err := l.reopen(); err != nil {
		return l.fail("install", err)
	}
	return nil
}

func (l *Log) writeMarker(m *installMarker) error {
	if l.opts.Planted.ForgetMarker {
		return l.takeIn(m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	reserved := filepath.Join(l.IncomingDir(), markReserved)
	f, err := l.fs.Open(reserved)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err = errors.Join(err, f.Truncate(int64(len(b))), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := l.fs.Rename(reserved, filepath.Join(l.dir, markerName)); err != nil {
		return err
	}
	return errors.Join(l.fs.SyncDir(l.dir), l.fs.SyncDir(l.IncomingDir()))
}

// replaced lists the files that an install removes: segments with their sidecars, and what the caller brings itself.
func (l *Log) replaced(others []string) ([]string, error) {
	names, err := l.fs.List(l.dir)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(n string) bool {
		switch filepath.Ext(n) {
		case ".seg", ".ent", ".idx":
			return false
		}
		return !slices.Contains(others, n)
	}), nil
}

// checkIncoming reads every record of the segments and gives the header of the segment that follows them.
func (l *Log) checkIncoming(first, last uint64, c Check) (segmentHeader, error) {
	segs := make([]*segment, 0, last-first+1)
	defer func() {
		for _, s := range segs {
			s.file.Close()
		}
	}()
	var next segmentHeader
	for seq := first; seq <= last; seq++ {
		if c.Stop != nil && c.Stop() {
			return next, ErrAbandoned
		}
		s, err := l.openSegment(filepath.Join(l.IncomingDir(), SegmentFile(seq)), seq)
		if errors.Is(err, errNoHeader) {
			err = &CorruptError{SegmentFile(seq), 0, err.Error()}
		}
		if err != nil {
			return next, err
		}
		segs = append(segs, s)
		if seq > first && (s.firstIndex != next.firstIndex || s.firstPos != next.firstPos || s.prevChain != next.prevChain || s.prevEnd != next.prevEnd) {
			return next, &CorruptError{s.name, 0, fmt.Sprintf("does not follow segment %d", seq-1)}
		}
		if next, err = scanIncoming(s, l.opts.Planted.TrustIncoming, c.Entry); err != nil {
			return next, err
		}
	}
	next.createdMillis = l.opts.Now().UnixMilli()
	return next, nil
}

// scanIncoming reads one whole segment: its file ends with its last record.
func scanIncoming(s *segment, trust bool, entry func(uint64, Record) error) (segmentHeader, error) {
	size, err := s.file.Size()
	if err != nil {
		return segmentHeader{}, err
	}
	sc := scanner{s: s, chain: s.prevChain, pos: s.firstPos, index: s.firstIndex - 1, size: size, trust: trust}
	if entry != nil {
		sc.entry = func(r Record) error { return entry(s.seq, r) }
	}
	err = sc.run()
	if refused := new(refusedError); errors.As(err, &refused) {
		return segmentHeader{}, refused.error
	}
	if err == nil && sc.at != size {
		err = fmt.Errorf("records end at byte %d of %d", sc.at, size)
	}
	if err != nil {
		return segmentHeader{}, &CorruptError{s.name, sc.at, "received: " + err.Error()}
	}
	h := segmentHeader{seq: s.seq + 1, firstIndex: sc.index + 1, firstPos: sc.pos, prevTerm: s.prevTerm, prevChain: sc.chain, prevEnd: uint32(sc.at)}
	if sc.index >= s.firstIndex {
		h.prevTerm = sc.table.term(sc.index)
	}
	return h, nil
}

// continueIncoming makes the segment that will be active: header and the member's own hard state.
func (l *Log) continueIncoming(h segmentHeader) error {
	h.salt = l.opts.Salt()
	name := filepath.Join(l.IncomingDir(), SegmentFile(h.seq))
	if err := l.fs.Rename(filepath.Join(l.IncomingDir(), nextReserved), name); err != nil {
		return err
	}
	f, err := l.fs.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	data := l.hard.encode()
	b := make([]byte, SegmentHeaderSize+RecordSize(len(data)))
	h.encode(b)
	r := recordHeader{chain: h.prevChain, length: uint32(len(data)), dataCRC: crc32.Checksum(data, castagnoli), term: l.hard.Term, pos: h.firstPos, kind: kindHardState}
	r.encode(b[SegmentHeaderSize:], h.seed())
	copy(b[SegmentHeaderSize+RecordHeaderSize:], data)
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	return errors.Join(f.Sync(), l.fs.SyncDir(l.IncomingDir()))
}

// reopen ends an install that has its marker, and recovers from the files that are then there.
func (l *Log) reopen() error {
	defer l.prepare.hold()()
	l.closeFiles()
	return l.recover()
}

// finishInstall moves what an install brought; it may have been begun before a crash. Without a marker, what gathers in
// incoming stays: its transfer may go on.
func (l *Log) finishInstall() error {
	name := filepath.Join(l.dir, markerName)
	b, err := vfs.ReadFile(l.fs, name, markerMax)
	if errors.Is(err, fs.ErrNotExist) {
		return l.forgetMarker()
	}
	var m installMarker
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if l.opts.ReadOnly {
		return errors.New("an install of another member's segments was not finished: start the broker first")
	}
	if err := l.takeIn(&m); err != nil {
		return err
	}
	return errors.Join(l.fs.Remove(name), l.fs.SyncDir(l.dir))
}

// forgetMarker makes durable that there is no marker. A process that was killed just behind the end of an install may have removed it only in
// memory: it would come back with a power loss, and take in what gathers for the next install.
func (l *Log) forgetMarker() error {
	if l.opts.ReadOnly {
		return nil
	}
	return l.fs.SyncDir(l.dir)
}

// takeIn removes what goes and moves what comes; it may be called again after it was interrupted.
func (l *Log) takeIn(m *installMarker) error {
	come, err := l.fs.List(l.IncomingDir())
	if err != nil {
		return err
	}
	for _, n := range m.Remove {
		if slices.Contains(m.Files, n) && !slices.Contains(come, n) {
			continue // it came already
		}
		if err := l.fs.Remove(filepath.Join(l.dir, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, n := range come {
		if !slices.Contains(m.Files, n) {
			continue
		}
		if err := l.fs.Rename(filepath.Join(l.IncomingDir(), n), filepath.Join(l.dir, n)); err != nil {
			return err
		}
	}
	return errors.Join(l.fs.SyncDir(l.dir), l.fs.SyncDir(l.IncomingDir()))
}
