package seglog

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"
)

// DropBefore removes whole segments all of whose entries lie below index, oldest first, and returns how many went. The
// active segment stays. Only the log's own goroutine may call it.
func (l *Log) DropBefore(index uint64) (int, error) {
	if err := l.writable(); err != nil {
		return 0, err
	}
	segs := *l.segments.Load()
	n := 0
	for n < len(segs)-1 && segs[n+1].firstIndex <= index {
		n++
	}
	if n == 0 {
		return 0, nil
	}
	// What says where the log goes on must be on the disk before what it followed is gone.
	if err := l.Sync(); err != nil {
		return 0, err
	}
	rest := append([]*segment(nil), segs[n:]...)
	l.segments.Store(&rest)
	// The entry tables go first, and for good: one that is there without its segment says that the segment was lost.
	for _, s := range segs[:n] {
		l.removeTable(s)
	}
	errs := l.fs.SyncDir(l.dir)
	for _, s := range segs[:n] {
		errs = errors.Join(errs, s.file.Close(), l.fs.Remove(s.name))
	}
	return n, errors.Join(errs, l.fs.SyncDir(l.dir))
}

// checkFirst looks for a segment before the oldest one that retention did not take: its entry table is still there.
func checkFirst(names []string, first *segment) error {
	for _, n := range names {
		seq, err := strconv.ParseUint(strings.TrimSuffix(n, ".ent"), 10, 64)
		if strings.HasSuffix(n, ".ent") && err == nil && seq < first.seq {
			return &CorruptError{filepath.Join(filepath.Dir(first.name), SegmentFile(seq)), 0, "the segment is missing, and its entry table " + n + " is there"}
		}
	}
	return nil
}
