package notes

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/contrailmq/contrail/broker/vfs"
)

// Options bound a Log.
type Options struct {
	FS         vfs.FS
	Dir        string
	FileBytes  int64 // a file is closed when it is this long; 0: 64 MiB
	TotalBytes int64 // the oldest files are dropped beyond it; 0: 1 GiB
	MaxPending int   // notes in memory, bytes; 0: 1 MiB
	MaxStrings int   // strings per file; 0: 65536
}

// Log is the notes log of one node.
type Log struct {
	o Options

	mu      sync.Mutex // guards what is pending
	pending []byte
	next    uint64 // sequence number of the next record
	strings map[string]uint32

	writing sync.Mutex // guards the file; taken before mu
	spare   []byte
	file    vfs.File
	broken  bool // a file could not be opened: what is pending belongs to none

	state   sync.Mutex // guards what readers see; taken last
	files   []file     // oldest first; the last one is written to
	flushed uint64     // every record before it is in a file, or lost
	lost    uint64     // records that could not be written, or were dropped by the cap
	lastErr error
}

// file is one file on disk.
type file struct {
	base uint64
	size int64
}

func name(base uint64) string { return fmt.Sprintf("%020d.notes", base) }

// Open starts a new file behind what Dir holds.
func Open(o Options) (*Log, error) {
	setDefault(&o.FileBytes, 64<<20)
	setDefault(&o.TotalBytes, 1<<30)
	if o.MaxPending == 0 {
		o.MaxPending = 1 << 20
	}
	if o.MaxStrings == 0 {
		o.MaxStrings = 1 << 16
	}
	l := &Log{o: o, next: 1, strings: map[string]uint32{}}
	if err := o.FS.MkdirAll(o.Dir); err != nil {
		return nil, fmt.Errorf("notes: %w", err)
	}
	if err := l.scan(); err != nil {
		return nil, err
	}
	l.flushed = l.next
	if err := l.rotate(l.next); err != nil {
		return nil, err
	}
	return l, nil
}

func setDefault(v *int64, to int64) {
	if *v == 0 {
		*v = to
	}
}

// scan finds the files and where the last one ends.
func (l *Log) scan() error {
	names, err := l.o.FS.List(l.o.Dir)
	if err != nil {
		return fmt.Errorf("notes: %w", err)
	}
	for _, n := range names {
		digits, ok := strings.CutSuffix(n, ".notes")
		base, err := strconv.ParseUint(digits, 10, 64)
		if !ok || err != nil {
			continue
		}
		f, err := l.o.FS.OpenRead(filepath.Join(l.o.Dir, n))
		if err != nil {
			return fmt.Errorf("notes: %w", err)
		}
		size, err := f.Size()
		f.Close()
		if err != nil {
			return fmt.Errorf("notes: %s: %w", n, err)
		}
		l.files = append(l.files, file{base, size})
	}
	if len(l.files) == 0 {
		return nil
	}
	return l.findEnd()
}

func (l *Log) findEnd() error {
	last := l.files[len(l.files)-1]
	l.flushed = 1 << 63
	r := l.NewReader(last.base)
	defer r.Close()
	next, err := r.Read(1<<62, func(*Note) error { return nil }, func(Gap) error { return nil })
	if err != nil {
		return err
	}
	l.next = max(next, last.base)
	return nil
}

// rotate opens the file whose first record is base. writing is held, or nobody else knows l.
func (l *Log) rotate(base uint64) error {
	f, err := l.o.FS.Create(filepath.Join(l.o.Dir, name(base)))
	if err != nil {
		return fmt.Errorf("notes: %w", err)
	}
	if _, err := f.WriteAt([]byte(magic), 0); err != nil {
		f.Close()
		return fmt.Errorf("notes: %w", err)
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file = f
	l.state.Lock()
	defer l.state.Unlock()
	if n := len(l.files); n > 0 && l.files[n-1].base == base {
		l.files = l.files[:n-1] // it held nothing
	}
	l.files = append(l.files, file{base, int64(len(magic))})
	l.capSize()
	return nil
}

// capSize drops the oldest files beyond TotalBytes. state is held.
func (l *Log) capSize() {
	var total int64
	for _, f := range l.files {
		total += f.size
	}
	for len(l.files) > 1 && total > l.o.TotalBytes {
		total -= l.files[0].size
		l.lost += l.files[1].base - l.files[0].base
		l.removeFirst()
	}
}

func (l *Log) removeFirst() {
	if err := l.o.FS.Remove(filepath.Join(l.o.Dir, name(l.files[0].base))); err != nil {
		l.lastErr = err
	}
	l.files = l.files[1:]
}

// DropBefore removes the files that hold only records before seq.
func (l *Log) DropBefore(seq uint64) {
	l.state.Lock()
	defer l.state.Unlock()
	for len(l.files) > 1 && l.files[1].base <= seq {
		l.removeFirst()
	}
}

// intern gives s its number, defining it first. mu is held.
func (l *Log) intern(s string) uint32 {
	s = s[:min(len(s), MaxString)]
	if n, ok := l.strings[s]; ok {
		return n
	}
	n := uint32(len(l.strings))
	l.strings[strings.Clone(s)] = n
	at := len(l.pending)
	l.pending = begin(l.pending, KindString)
	l.pending = append(binary.AppendUvarint(l.pending, uint64(n)), s...)
	l.close(at)
	return n
}

// close seals the record at l.pending[at] and gives it its sequence number. mu is held.
func (l *Log) close(at int) {
	seal(l.pending, at)
	l.next++
}

// NoteDelivery adds a delivery. It does not allocate when its strings are known.
func (l *Log) NoteDelivery(d *Delivery) {
	l.mu.Lock()
	s := [8]uint32{l.intern(d.Topic), l.intern(d.Group), l.intern(d.Client), l.intern(d.Addr), l.intern(d.Language),
		l.intern(d.Version), l.intern(d.Protocol), l.intern(d.Subscription)}
	at := len(l.pending)
	l.pending = appendDelivery(begin(l.pending, KindDelivery), d, &s)
	l.close(at)
	l.release()
}

// NoteEntryTimes adds an entry's times.
func (l *Log) NoteEntryTimes(t EntryTimes) {
	l.mu.Lock()
	at := len(l.pending)
	l.pending = appendTimes(begin(l.pending, KindEntryTimes), &t)
	l.close(at)
	l.release()
}

// NoteHappening adds a happening.
func (l *Log) NoteHappening(h *Happening) {
	l.mu.Lock()
	at := len(l.pending)
	l.pending = appendHappening(begin(l.pending, KindHappening), h)
	l.close(at)
	l.release()
}

// release unlocks mu and flushes when too much is pending.
func (l *Log) release() {
	full := len(l.pending) >= l.o.MaxPending
	l.mu.Unlock()
	if full {
		l.Flush()
	}
}

// Flush writes what is pending with one pwrite. Who calls while another flush runs is served by that one or the next.
func (l *Log) Flush() {
	l.mu.Lock()
	if len(l.pending) == 0 {
		through := l.next
		l.mu.Unlock()
		if l.Flushed() >= through {
			return
		}
	} else {
		l.mu.Unlock()
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	l.write()
}

func (l *Log) write() {
	if l.broken {
		l.reopen(l.forget())
		return
	}
	l.mu.Lock()
	buf, next := l.pending, l.next
	if len(buf) == 0 {
		l.mu.Unlock()
		return
	}
	l.pending = l.spare[:0]
	l.state.Lock()
	at := l.files[len(l.files)-1].size
	l.state.Unlock()
	full := at+int64(len(buf)) >= l.o.FileBytes || len(l.strings) >= l.o.MaxStrings
	if full {
		clear(l.strings)
	}
	l.mu.Unlock()
	_, err := l.file.WriteAt(buf, at)
	l.spare = buf[:0]
	l.wrote(buf, next, err)
	if err != nil || full {
		if err != nil && !full {
			next = l.forget()
		}
		l.reopen(next)
	}
}

// reopen goes on in a new file, or tries again at the next flush.
func (l *Log) reopen(base uint64) {
	err := l.rotate(base)
	l.broken = err != nil
	if err != nil {
		l.state.Lock()
		l.lastErr = err
		l.state.Unlock()
	}
}

// forget drops what is pending: its strings may have been defined in a write that failed.
func (l *Log) forget() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.strings)
	l.pending = l.pending[:0]
	l.state.Lock()
	defer l.state.Unlock()
	l.lost += l.next - l.flushed
	l.flushed = l.next
	return l.next
}

func (l *Log) wrote(buf []byte, next uint64, err error) {
	l.state.Lock()
	defer l.state.Unlock()
	if err != nil {
		l.lost += next - l.flushed
		l.lastErr = err
	} else {
		l.files[len(l.files)-1].size += int64(len(buf))
	}
	l.flushed = next
}

// Flushed is the sequence number behind the last flushed note.
func (l *Log) Flushed() uint64 {
	l.state.Lock()
	defer l.state.Unlock()
	return l.flushed
}

// First is the oldest sequence number kept.
func (l *Log) First() uint64 {
	l.state.Lock()
	defer l.state.Unlock()
	return l.files[0].base
}

// Stats is a Log's own account.
type Stats struct {
	First, Flushed uint64
	Bytes          int64
	Files          int
	Lost           uint64 // records dropped by the cap or failed to be written
	Err            error  // last failure
}

// Stats says how the log does.
func (l *Log) Stats() Stats {
	l.state.Lock()
	defer l.state.Unlock()
	s := Stats{First: l.files[0].base, Flushed: l.flushed, Files: len(l.files), Lost: l.lost, Err: l.lastErr}
	for _, f := range l.files {
		s.Bytes += f.size
	}
	return s
}

// Close flushes and closes the file.
func (l *Log) Close() error {
	l.Flush()
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.file.Sync(); err != nil {
		l.file.Close()
		return fmt.Errorf("notes: %w", err)
	}
	return l.file.Close()
}
