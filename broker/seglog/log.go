package seglog

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sort"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/vfs"
)

// Options of a log. The zero value of a field takes the default.
type Options struct {
	SegmentBytes int64        // size of a segment file; default 128 MiB. Smaller: faster recovery, more files.
	Foreground   bool         // no preparer goroutine: the next segment is made when it is needed (tests, tools)
	ReadOnly     bool         // tools: never writes, never repairs
	Log          *slog.Logger // default: discards
	// Now and Salt are for simulators, which must repeat a run exactly. Defaults: the clock, and chance.
	Now  func() time.Time
	Salt func() uint32
	// Planted makes the log wrong on purpose; only the simulator's own tests set it.
	Planted Planted
}

// Planted are mistakes that the simulator must find.
type Planted struct {
	TrustDamage   bool // damage is served, or cut like a torn tail
	TrustIncoming bool // what came from another member is installed unchecked
	ForgetMarker  bool // an install is not noted before its files are moved
	ForgetCut     bool // a truncation is not noted before the file is cut
}

// Limits.
const (
	SegmentBytesDefault = 128 << 20
	SegmentBytesMin     = 64 << 10
	DataMax             = 32 << 20 // longest data of one entry
	stageBytes          = 1 << 20  // staged bytes that are written without waiting for Flush
)

// Errors.
var (
	ErrCompacted   = errors.New("seglog: entry is no longer kept")
	ErrUnavailable = errors.New("seglog: no such entry yet")
	ErrFailed      = errors.New("seglog: an earlier write or sync failed; the log refuses everything")
	ErrReadOnly    = errors.New("seglog: opened for reading only")
)

// Log is a segment log. See the package's words on which goroutine may call what.
type Log struct {
	fs   vfs.FS
	dir  string
	opts Options
	lock io.Closer

	segments atomic.Pointer[[]*segment] // oldest first; replaced, never changed

	// writer's
	active   *segment
	chain    uint32
	stage    []byte
	stageAt  uint32 // file offset of stage[0]
	synced   uint32 // of the active segment
	proven   uint32 // of it: the newest record says that this much was synced
	unmarked bool   // an entry is the newest record
	cuts     int    // how often entries were removed from the end
	seen     sample // what decides whether the next segment is filled
	hard     HardState
	failed   atomic.Pointer[error]

	prepare preparer
	syncs   SyncStats
}

// SyncStats counts fdatasync; Micros is a coarse histogram: bucket i counts syncs under 2^i µs.
type SyncStats struct {
	Count  atomic.Int64
	Micros [24]atomic.Int64
}

func (s *SyncStats) add(d time.Duration) {
	s.Count.Add(1)
	b := 0
	for v := d.Microseconds(); v > 0 && b < len(s.Micros)-1; v >>= 1 {
		b++
	}
	s.Micros[b].Add(1)
}

// Quantile gives the upper bound, µs, of the bucket in which the q-quantile lies.
func (s *SyncStats) Quantile(q float64) float64 {
	total := s.Count.Load()
	if total == 0 {
		return 0
	}
	want := int64(q * float64(total))
	for i := range s.Micros {
		if want -= s.Micros[i].Load(); want < 0 {
			return float64(int64(1) << i)
		}
	}
	return float64(int64(1) << len(s.Micros))
}

// Syncs gives the log's sync statistics.
func (l *Log) Syncs() *SyncStats { return &l.syncs }

// Failed is the write or sync error that stopped the log, or nil.
func (l *Log) Failed() error {
	if p := l.failed.Load(); p != nil {
		return *p
	}
	return nil
}

func (l *Log) fail(what string, err error) error {
	err = fmt.Errorf("%w: %s: %w", ErrFailed, what, err)
	l.failed.CompareAndSwap(nil, &err)
	return err
}

// HardState is the latest one set.
func (l *Log) HardState() HardState { return l.hard }

// FirstIndex is the oldest entry kept; one behind LastIndex when there is none.
func (l *Log) FirstIndex() uint64 { return (*l.segments.Load())[0].firstIndex }

// FirstPos is the position of the oldest entry kept.
func (l *Log) FirstPos() int64 { return (*l.segments.Load())[0].firstPos }

// LastIndex is the newest entry written (not necessarily synced).
func (l *Log) LastIndex() uint64 {
	segs := *l.segments.Load()
	last, _ := segs[len(segs)-1].bounds()
	return last
}

// EndPos is the position behind the last entry.
func (l *Log) EndPos() int64 {
	segs := *l.segments.Load()
	_, end := segs[len(segs)-1].bounds()
	return end
}

// Bytes is the size of all segment files.
func (l *Log) Bytes() int64 { return int64(len(*l.segments.Load())) * l.opts.SegmentBytes }

// SegmentInfo describes one segment.
type SegmentInfo struct {
	Seq                   uint64
	Name                  string
	FirstIndex, LastIndex uint64 // LastIndex is FirstIndex-1 when empty
	FirstPos, EndPos      int64
	CreatedMillis         int64
	Sealed                bool
}

// Segments lists all segments, oldest first.
func (l *Log) Segments() []SegmentInfo {
	segs := *l.segments.Load()
	out := make([]SegmentInfo, len(segs))
	for i, s := range segs {
		last, end := s.bounds()
		out[i] = SegmentInfo{s.seq, s.name, s.firstIndex, last, s.firstPos, end, s.createdMillis, i < len(segs)-1}
	}
	return out
}

// byIndex finds the segment of an entry.
func (l *Log) byIndex(index uint64) (*segment, error) {
	segs := *l.segments.Load()
	i := sort.Search(len(segs), func(i int) bool { return segs[i].firstIndex > index })
	if i == 0 {
		return nil, ErrCompacted
	}
	s := segs[i-1]
	if last, _ := s.bounds(); index > last {
		return nil, ErrUnavailable
	}
	return s, nil
}

func (l *Log) byPos(pos int64) (*segment, error) {
	segs := *l.segments.Load()
	i := sort.Search(len(segs), func(i int) bool { return segs[i].firstPos > pos })
	if i == 0 {
		return nil, ErrCompacted
	}
	return segs[i-1], nil
}

// Close syncs and closes the log.
func (l *Log) Close() error {
	l.prepare.stop()
	var err error
	if l.Failed() == nil && !l.opts.ReadOnly {
		err = l.Sync()
	}
	for _, s := range *l.segments.Load() {
		err = errors.Join(err, s.file.Close())
	}
	if l.lock != nil {
		err = errors.Join(err, l.lock.Close())
	}
	return err
}

// once makes sure that a sealed segment's table is in memory.
func (l *Log) load(s *segment) error {
	s.mu.RLock()
	loaded := s.mu.loaded
	s.mu.RUnlock()
	if loaded {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.loaded {
		return nil
	}
	t, err := l.readTable(s)
	if err != nil {
		t, err = l.scanSealed(s)
	}
	if err != nil {
		return err
	}
	s.mu.table, s.mu.loaded = t, true
	return nil
}

var discard = slog.New(slog.DiscardHandler)

func (o *Options) defaults() error {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = SegmentBytesDefault
	}
	if o.SegmentBytes < SegmentBytesMin || o.SegmentBytes > 2<<30 {
		return fmt.Errorf("segment size %d bytes: must be from %d to %d", o.SegmentBytes, SegmentBytesMin, int64(2<<30))
	}
	if o.Log == nil {
		o.Log = discard
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Salt == nil {
		o.Salt = rand.Uint32
	}
	return nil
}

// ActiveSeq is the number of the segment that is written to. The log's own goroutine may ask.
func (l *Log) ActiveSeq() uint64 { return l.active.seq }

// Proven is how many bytes of the active segment decay cannot touch unnoticed: a record behind them says that they were synced. What
// follows cannot be told from what a power loss leaves. The log's own goroutine may ask.
func (l *Log) Proven() int64 { return int64(l.proven) }

// SegmentRoom is how many bytes the active segment still takes. The log's own goroutine may ask.
func (l *Log) SegmentRoom() int64 {
	span := l.span()
	return max(0, min(l.opts.SegmentBytes-int64(l.active.mu.end), span-l.active.mu.endPos%span))
}

// SeqOf is the number of the segment that holds an entry.
func (l *Log) SeqOf(index uint64) (uint64, error) {
	s, err := l.byIndex(index)
	if err != nil {
		return 0, err
	}
	return s.seq, nil
}
