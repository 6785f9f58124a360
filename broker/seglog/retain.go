package seglog

import "errors"

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
	var errs error
	for _, s := range segs[:n] {
		errs = errors.Join(errs, s.file.Close(), l.fs.Remove(s.name))
		l.removeTable(s)
	}
	return n, errors.Join(errs, l.fs.SyncDir(l.dir))
}
