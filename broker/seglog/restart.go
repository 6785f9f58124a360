package seglog

import (
	"bytes"
	"errors"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/contrailmq/contrail/broker/vfs"
)

// Restart closes all files, lets f change the folder, and recovers from what is there then, with the given hard state. It is how
// a member whose log is damaged begins anew.
func (l *Log) Restart(hard HardState, f func() error) error {
	defer l.prepare.hold()()
	l.closeFiles()
	if err := f(); err != nil {
		return l.fail("restart", err)
	}
	if err := l.recover(); err != nil {
		return l.fail("restart", err)
	}
	l.failed.Store(nil)
	if err := l.SetHardState(hard); err != nil {
		return err
	}
	return l.Sync()
}

// closeFiles gives up all segments and the prepared one; a sync that is under way counts for nothing.
func (l *Log) closeFiles() {
	if l.prepare.file != nil {
		l.prepare.file.Close()
		l.prepare.file = nil
		l.prepare.ready.Store(false)
	}
	l.cuts++
	l.unmarked = false
	for _, s := range *l.segments.Load() {
		s.file.Close()
	}
}

// Salvaged is what a damaged log's newest segment still says.
type Salvaged struct {
	Hard        HardState
	Index, Term uint64 // of the newest entry, or more; Known is false when it cannot be told
	Known       bool
}

// nobody is a vote for no member: in a term in which a vote may have been lost, none is given.
const nobody = math.MaxUint64

// Salvage reads what record headers it can in the newest segment of a log that does not open. Headers are checksummed with the
// segment's salt, so what it finds was written by this member.
func Salvage(fs vfs.FS, dir string) (Salvaged, error) {
	names, err := fs.List(dir)
	if err != nil {
		return Salvaged{}, err
	}
	newest := ""
	for _, n := range names {
		if strings.HasSuffix(n, ".seg") {
			newest = n
		}
	}
	seq, err := strconv.ParseUint(strings.TrimSuffix(newest, ".seg"), 10, 64)
	if err != nil {
		return Salvaged{}, nil
	}
	l := &Log{fs: fs, dir: dir, opts: Options{ReadOnly: true}}
	s, err := l.openSegment(filepath.Join(dir, newest), seq)
	if err != nil {
		var damage *CorruptError
		if errors.As(err, &damage) || errors.Is(err, errNoHeader) {
			err = nil
		}
		return Salvaged{}, err
	}
	defer s.file.Close()
	return salvage(s)
}

// walk takes what can be read, and gives how many entries may have stood behind the newest of it.
func (o *Salvaged) walk(s *segment, b []byte) (lost int) {
	written := len(bytes.TrimRight(b, "\x00"))
	read := SegmentHeaderSize // behind the newest record that can be read
	for at := read; at+RecordHeaderSize <= len(b) && at < written; {
		h, ok := decodeRecordHeader(b[at:], s.seed())
		if !ok {
			at += 8
			continue
		}
		lost += mayHold(at - read)
		if o.take(h, b[at+RecordHeaderSize:]); h.kind == kindEntry {
			lost = 0 // it says its number itself
		}
		at += int(RecordSize(int(min(h.length, DataMax))))
		read = at
	}
	return lost + mayHold(written-read)
}

// mayHold is how many entries may have begun in bytes in which no header can be read. What this member had must not be said to be less
// than it was, or it would vote for one that lacks it.
func mayHold(gap int) int { return (max(gap, 0) + RecordHeaderSize - 1) / RecordHeaderSize }

func (o *Salvaged) take(h recordHeader, data []byte) {
	if h.kind == kindEntry {
		o.Index, o.Term = max(o.Index, h.index), max(o.Term, h.term)
	} else if int(h.length) <= len(data) {
		if hs, err := decodeHardState(data[:h.length]); err == nil && hs.Term >= o.Hard.Term {
			o.Hard = hs
		}
	}
}

func salvage(s *segment) (Salvaged, error) {
	out := Salvaged{Index: s.firstIndex - 1, Term: s.prevTerm, Known: true}
	size, err := s.file.Size()
	if err != nil {
		return out, err
	}
	b := make([]byte, size)
	if _, err := s.file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return out, err
	}
	out.Index += uint64(out.walk(s, b))
	out.Hard.Term = max(out.Hard.Term, out.Term)
	out.Hard.Vote = nobody // what is damaged may have been the record of a vote
	return out, nil
}
