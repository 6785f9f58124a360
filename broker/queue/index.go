package queue

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/vfs"
)

// Index is all queues of a broker group and the keys of its messages.
type Index struct {
	fs  vfs.FS
	dir string
	log *slog.Logger

	mu       sync.RWMutex
	topics   map[string]*Topic
	segments []*segmentIndex // oldest first; the last one is open
}

// Topic is the queues of one topic.
type Topic struct {
	Name       string
	CreatedPos int64 // messages before this position belong to a deleted topic of the same name

	// Messages and Bytes were stored since the start.
	Messages, Bytes atomic.Int64
	Sizes           Sizes

	mu     sync.RWMutex
	queues map[int32]*Queue
	dead   bool
	keys   uint64 // hash of the name and '#', with which those of all its keys begin
}

// ForgetCounts sets what was counted to zero.
func (t *Topic) ForgetCounts() {
	t.Messages.Store(0)
	t.Bytes.Store(0)
	t.Sizes.Forget()
}

// Gone is a deleted topic: what holds it reads nothing and stores nothing.
func Gone(name string) *Topic { return &Topic{Name: name, queues: map[int32]*Queue{}, dead: true} }

// Kill marks all queues of a deleted topic, also those that somebody who still holds it asks for later. The shard's goroutine
// calls it.
func (t *Topic) Kill() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dead = true
	for _, q := range t.queues {
		q.Dead = true
	}
}

// Live says that the topic was not deleted.
func (t *Topic) Live() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return !t.dead
}

// segmentIndex is what the index holds of one segment.
type segmentIndex struct {
	seq  uint64
	mu   sync.RWMutex
	keys keyList   // while open
	runs []openRun // begun in this segment, to be written at the seal
	side *sidecar

	timers *timer.Open // from when the segment is whole until it is sealed; nil: nothing is parked in it
}

type openRun struct {
	q *Queue
	r *run
}

type keyEntry struct {
	hash uint64
	pos  int64
}

// keyList grows in pieces: a slice of a million keys would be copied over and over.
type keyList struct {
	chunks [][]keyEntry
	n      int
}

const keyChunk = 4096

func (l *keyList) add(k keyEntry) {
	last := len(l.chunks) - 1
	if last < 0 || len(l.chunks[last]) == keyChunk {
		l.chunks = append(l.chunks, make([]keyEntry, 0, keyChunk))
		last++
	}
	l.chunks[last] = append(l.chunks[last], k)
	l.n++
}

// list is a copy of all.
func (l *keyList) list() []keyEntry {
	out := make([]keyEntry, 0, l.n)
	for _, c := range l.chunks {
		out = append(out, c...)
	}
	return out
}

// New is an empty index whose sidecars are in dir, next to the segments.
func New(fs vfs.FS, dir string, log *slog.Logger) *Index {
	return &Index{fs: fs, dir: dir, log: log, topics: map[string]*Topic{}}
}

// Lookup finds a topic's queues, or nil. Readers use it: what they read in the catalog may have been deleted since, and must
// not come back.
func (x *Index) Lookup(name string) *Topic {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.topics[name]
}

// Topic finds or makes a topic's queues. Only the goroutine that applies the log may make one.
func (x *Index) Topic(name string, createdPos int64) *Topic {
	x.mu.RLock()
	t := x.topics[name]
	x.mu.RUnlock()
	if t != nil {
		return t
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if t = x.topics[name]; t == nil {
		t = &Topic{Name: name, CreatedPos: createdPos, queues: map[int32]*Queue{}, keys: keysOf(name)}
		x.topics[name] = t
	}
	return t
}

// DropTopic forgets a topic's queues.
func (x *Index) DropTopic(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.topics, name)
}

// Topics lists all by name.
func (x *Index) Topics() []*Topic {
	x.mu.RLock()
	out := make([]*Topic, 0, len(x.topics))
	for _, t := range x.topics {
		out = append(out, t)
	}
	x.mu.RUnlock()
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Reset forgets everything; who holds a topic reads what it had and stores nothing. The goroutine that applies the log may
// call it.
func (x *Index) Reset() {
	for _, t := range x.Topics() {
		t.Kill()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range x.segments {
		if s.side != nil {
			s.side.file.(io.Closer).Close()
		}
	}
	x.topics, x.segments = map[string]*Topic{}, nil
}

// Queue finds or makes a queue.
func (t *Topic) Queue(id int32) *Queue {
	if q := t.Find(id); q != nil {
		return q
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.queues[id]
	if q == nil {
		q = &Queue{Topic: t.Name, ID: id, Head: -1, Tail: -1, Dead: t.dead}
		t.queues[id] = q
	}
	return q
}

// Find is a queue that has or had messages, or nil.
func (t *Topic) Find(id int32) *Queue {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.queues[id]
}

// Queues lists the queues that exist, by id.
func (t *Topic) Queues() []*Queue {
	t.mu.RLock()
	out := make([]*Queue, 0, len(t.queues))
	for _, q := range t.queues {
		out = append(out, q)
	}
	t.mu.RUnlock()
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}

// Restore sets a queue's end as a checkpoint says it.
func (q *Queue) Restore(end, lastMillis int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.end, q.last, q.Next = end, lastMillis, end
}

// open is the index of segment seq, which becomes the open one.
func (x *Index) open(seq uint64) *segmentIndex {
	x.mu.RLock()
	n := len(x.segments)
	if n > 0 && x.segments[n-1].seq == seq {
		s := x.segments[n-1]
		x.mu.RUnlock()
		return s
	}
	x.mu.RUnlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	s := &segmentIndex{seq: seq}
	x.segments = append(x.segments[:len(x.segments):len(x.segments)], s)
	return s
}

// Writer adds the rows of one segment's messages. It belongs to the shard's goroutine.
type Writer struct {
	x   *Index
	seg *segmentIndex
}

// Writer begins or goes on with segment seq.
func (x *Index) Writer(seq uint64) Writer { return Writer{x, x.open(seq)} }

// Seq is the segment; 0 for the zero Writer.
func (w Writer) Seq() uint64 {
	if w.seg == nil {
		return 0
	}
	return w.seg.seq
}

// Add appends a message to its queue. offset must be the queue's end.
func (w Writer) Add(q *Queue, offset int64, r Row) error {
	if _, end, _ := q.Bounds(); offset != end {
		return fmt.Errorf("queue %s/%d: message at position %d has offset %d, the queue ends at %d", q.Topic, q.ID, r.Pos, offset, end)
	}
	if begun := q.add(w.seg.seq, r); begun != nil {
		w.seg.mu.Lock()
		w.seg.runs = append(w.seg.runs, openRun{q, begun})
		w.seg.mu.Unlock()
	}
	return nil
}

// AddKey notes that the message at pos can be found by key (a UNIQ_KEY or one of its KEYS).
func (w Writer) AddKey(t *Topic, key []byte, pos int64) {
	h := keyHash(t.keys, key)
	w.seg.mu.Lock()
	w.seg.keys.add(keyEntry{h, pos})
	w.seg.mu.Unlock()
}

// Find gives candidate positions for a key, newest first, at most limit of those that accept takes.
func (x *Index) Find(topic, key string, limit int, accept func(pos int64) (take, more bool)) error {
	h := keyHash(keysOf(topic), []byte(key))
	x.mu.RLock()
	segs := x.segments
	x.mu.RUnlock()
	found := 0
	for i := len(segs) - 1; i >= 0; i-- {
		positions, err := segs[i].find(h)
		if err != nil {
			return err
		}
		sort.Slice(positions, func(i, j int) bool { return positions[i] > positions[j] })
		for _, p := range positions {
			take, more := accept(p)
			if take {
				found++
			}
			if !more || found == limit {
				return nil
			}
		}
	}
	return nil
}

func (s *segmentIndex) find(h uint64) ([]int64, error) {
	s.mu.RLock()
	side := s.side
	if side != nil {
		s.mu.RUnlock()
		return side.find(h)
	}
	defer s.mu.RUnlock()
	var out []int64
	for _, chunk := range s.keys.chunks {
		for _, k := range chunk {
			if k.hash == h {
				out = append(out, k.pos)
			}
		}
	}
	return out, nil
}

// keysOf is FNV-1a over a topic's name and '#', the state from which the hashes of its keys go on.
func keysOf(topic string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(topic) {
		h = (h ^ uint64(topic[i])) * 1099511628211
	}
	return (h ^ '#') * 1099511628211
}

// keyHash is FNV-1a over topic, '#', key, finished with a mix: fixed, because it is on disk.
func keyHash(keys uint64, key []byte) uint64 {
	h := keys
	for _, c := range key {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h ^= h >> 32
	return h * 0x9E3779B97F4A7C15
}

// Seal writes the sidecar of segment seq, which has no further messages, and gives its memory back. It may run on any
// goroutine while the writer works on a later segment.
func (x *Index) Seal(seq uint64) error {
	seg := x.segment(seq)
	if seg == nil || seg.side != nil {
		return nil
	}
	return x.seal(seg)
}

func (x *Index) segment(seq uint64) *segmentIndex {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, s := range x.segments {
		if s.seq == seq {
			return s
		}
	}
	return nil
}

func (x *Index) seal(seg *segmentIndex) error {
	name := x.sidecarName(seg.seq)
	data, places := encodeSidecar(seg)
	if err := vfs.WriteFileAtomic(x.fs, name, data); err != nil {
		return fmt.Errorf("sidecar %s: %w", name, err)
	}
	side, err := x.openSidecar(seg.seq)
	if err != nil {
		return err
	}
	for i, o := range seg.runs {
		o.q.mu.Lock()
		o.r.at = places[i]
		o.r.place.Store(side)
		o.r.rows = nil
		o.q.mu.Unlock()
	}
	seg.mu.Lock()
	seg.side, seg.keys, seg.runs, seg.timers = side, keyList{}, nil, nil
	seg.mu.Unlock()
	return nil
}

// Load takes segment seq from its sidecar; fs.ErrNotExist or ErrSidecar say that it must be built from the log. fired is the timer's
// cursor: only timers behind it matter. created gives a topic's CreatedPos and whether the topic exists.
func (x *Index) Load(seq uint64, fired timer.Cursor, created func(topic string) (int64, bool)) error {
	side, err := x.openSidecar(seq)
	if err != nil {
		return err
	}
	if err := side.timers.verify(fired); err != nil {
		return errors.Join(err, side.file.Close())
	}
	for _, d := range side.dirs {
		at, ok := created(d.topic)
		if !ok || d.firstPos < at {
			continue
		}
		q := x.Topic(d.topic, at).Queue(d.queue)
		r := &run{seq: seq, first: d.first, count: d.count, at: d.at}
		r.place.Store(side)
		q.mu.Lock()
		if n := len(q.runs); n > 0 && q.runs[n-1].first+q.runs[n-1].count != d.first {
			q.mu.Unlock()
			return fmt.Errorf("%w: queue %s/%d goes on at %d", ErrSidecar, d.topic, d.queue, d.first)
		}
		q.runs = append(q.runs, r)
		q.end, q.last = max(q.end, d.first+d.count), max(q.last, d.lastMillis)
		q.Next = q.end
		q.mu.Unlock()
	}
	x.mu.Lock()
	x.segments = append(x.segments[:len(x.segments):len(x.segments)], &segmentIndex{seq: seq, side: side})
	x.mu.Unlock()
	return nil
}

// DropBefore forgets the segments before seq and removes their sidecars.
func (x *Index) DropBefore(seq uint64) error {
	for _, t := range x.Topics() {
		for _, q := range t.Queues() {
			q.dropBefore(seq)
		}
	}
	x.mu.Lock()
	n := 0
	for n < len(x.segments) && x.segments[n].seq < seq {
		n++
	}
	gone := x.segments[:n]
	x.segments = append([]*segmentIndex(nil), x.segments[n:]...)
	x.mu.Unlock()
	var errs error
	for _, s := range gone {
		if s.side != nil {
			errs = errors.Join(errs, s.side.file.(io.Closer).Close(), x.fs.Remove(x.sidecarName(s.seq)))
		}
	}
	return errs
}

func (x *Index) sidecarName(seq uint64) string {
	return filepath.Join(x.dir, fmt.Sprintf("%012d.idx", seq))
}
