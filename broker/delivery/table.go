package delivery

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/contrailmq/contrail/broker/entry"
)

// Limits.
const (
	LeasesMax          = 1 << 20 // in all
	InFlightMax        = 10_000  // messages of one group in one queue, unless New says otherwise (RocketMQ's popInflightMessageThreshold)
	InvisibleMaxMillis = 366 * 86_400_000
)

// Key names a group's place in one queue.
type Key struct {
	Group, Topic string
	QueueID      int32
}

func (k Key) String() string { return fmt.Sprintf("%s in %s/%d", k.Group, k.Topic, k.QueueID) }

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.QueueID, b.QueueID))
}

// queue is what is known of a group in a queue.
type queue struct {
	key      Key
	next     int64   // to pop; holds while something is in flight
	leases   []int32 // slots by (start, pop time)
	inFlight int     // messages of leases
	ordered  *batch
	sent     []int64 // sent-back offsets, ascending
}

func (q *queue) popped() bool { return len(q.leases) > 0 || q.ordered != nil }

// slot is a lease. Slots refer to what else there is by number: a million of them is no work for the garbage collector.
type slot struct {
	start, pop, invisible int64
	acked                 uint64 // messages that are not in flight any more
	wake                  int64  // when it is due; 0: not planned. A leader's alone, not saved
	queue, client         int32
	count                 uint8 // messages; 0: the slot is free, or an ordered queue's
	sparse                bool  // offsets are in Table.sparse; else they are start, start+1 …
}

func (s *slot) until() int64 { return s.pop + s.invisible }

// Counts since the beginning of the log, and of now.
type Counts struct {
	Leases, InFlight, Ordered, SentBack                            int
	Popped, Acked, Changed, Retried, DeadLettered, Gone, SentBacks int64
}

// Table is the state of all groups. The zero value is not ready: use New.
type Table struct {
	inFlightMax int

	mu       sync.RWMutex
	at       map[Key]int32
	queues   []*queue
	spare    []int32 // of queues
	slots    []slot
	free     []int32 // of slots
	sparse   map[int32][]uint32
	clients  names
	inFlight int
	ordered  int
	sent     atomic.Int64 // offsets that were sent back; changed under mu
	leases   int
	counts   Counts
	plan     *plan // nil: nobody asks what is due
}

// New is an empty table; inFlightMax bounds what is in flight in one queue, 0 is InFlightMax.
func New(inFlightMax int) *Table {
	t := &Table{inFlightMax: cmp.Or(inFlightMax, InFlightMax)}
	t.resetLocked()
	return t
}

func (t *Table) resetLocked() {
	t.at, t.queues, t.spare, t.slots, t.free = map[Key]int32{}, nil, nil, nil, nil
	t.sparse, t.clients = map[int32][]uint32{}, names{at: map[string]int32{}}
	t.inFlight, t.ordered, t.leases, t.counts, t.plan = 0, 0, 0, Counts{}, nil
	t.sent.Store(0)
}

// names are client ids, each once while somebody refers to it.
type names struct {
	at   map[string]int32
	all  []named
	free []int32
}

type named struct {
	name string
	refs int
}

func (n *names) take(name string) int32 {
	i, ok := n.at[name]
	if !ok {
		if i = int32(len(n.all)); len(n.free) > 0 {
			i, n.free = n.free[len(n.free)-1], n.free[:len(n.free)-1]
		} else {
			n.all = append(n.all, named{})
		}
		n.all[i].name, n.at[name] = name, i
	}
	n.all[i].refs++
	return i
}

func (n *names) give(i int32) {
	c := &n.all[i]
	if c.refs--; c.refs == 0 {
		delete(n.at, c.name)
		c.name = ""
		n.free = append(n.free, i)
	}
}

// find gives a queue and its number; nil if nothing is known of it.
func (t *Table) find(group, topic string, id int32) (*queue, int32) {
	n, ok := t.at[Key{group, topic, id}]
	if !ok {
		return nil, -1
	}
	return t.queues[n], n
}

func (t *Table) need(group, topic string, id int32) (*queue, int32) {
	if q, n := t.find(group, topic, id); q != nil {
		return q, n
	}
	n := int32(len(t.queues))
	if k := len(t.spare); k > 0 {
		n, t.spare = t.spare[k-1], t.spare[:k-1]
	} else {
		t.queues = append(t.queues, nil)
	}
	q := &queue{key: Key{group, topic, id}}
	t.queues[n], t.at[q.key] = q, n
	return q, n
}

// settle forgets a queue of which there is nothing to say.
func (t *Table) settle(q *queue, n int32) {
	if !q.popped() && len(q.sent) == 0 {
		delete(t.at, q.key)
		t.queues[n] = nil
		t.spare = append(t.spare, n)
	}
}

func (t *Table) newSlot(s slot) int32 {
	i := int32(len(t.slots))
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
		t.slots[i] = s
	} else {
		t.slots = append(t.slots, s)
	}
	t.leases++
	t.inFlight += int(s.count)
	return i
}

// drop frees a slot with nothing in flight.
func (t *Table) dropSlot(i int32) {
	s := &t.slots[i]
	if s.sparse {
		delete(t.sparse, i)
	}
	t.clients.give(s.client)
	*s = slot{}
	t.free = append(t.free, i)
	t.leases--
}

// low is the group's consumer offset.
func (t *Table) low(q *queue) int64 {
	if q.ordered != nil {
		return q.ordered.items[0].offset
	}
	low := q.next
	for _, i := range q.leases {
		s := &t.slots[i]
		if s.start >= low {
			break
		}
		for m := range int(s.count) {
			if s.acked>>m&1 == 0 {
				low = min(low, t.offset(i, m))
				break
			}
		}
	}
	return low
}

// offset is where message m of a lease stands in its queue.
func (t *Table) offset(i int32, m int) int64 {
	s := &t.slots[i]
	if s.sparse {
		return s.start + int64(t.sparse[i][m])
	}
	return s.start + int64(m)
}

// message is which one of a lease has an offset; -1 for none.
func (t *Table) message(i int32, offset int64) int {
	s := &t.slots[i]
	if offset < s.start || offset-s.start > entry.LeaseSpanMax {
		return -1
	}
	delta := uint32(offset - s.start)
	if !s.sparse {
		if delta < uint32(s.count) {
			return int(delta)
		}
		return -1
	}
	if m, ok := slices.BinarySearch(t.sparse[i], delta); ok {
		return m
	}
	return -1
}

// Reset forgets everything.
func (t *Table) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resetLocked()
}

// ResetQueue forgets what a group has in flight in a queue, and what it sent back: its offset there was reset.
func (t *Table) ResetQueue(k Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n, ok := t.at[k]; ok {
		t.forgetLocked(n)
	}
}

// DropGroup forgets a group that was deleted.
func (t *Table) DropGroup(group string) {
	t.forgetAll(func(k Key) bool { return k.Group == group })
}

// DropTopic forgets a topic that was deleted.
func (t *Table) DropTopic(topic string) {
	t.forgetAll(func(k Key) bool { return k.Topic == topic })
}

func (t *Table) forgetAll(which func(Key) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n, q := range t.queues {
		if q != nil && which(q.key) {
			t.forgetLocked(int32(n))
		}
	}
}

func (t *Table) forgetLocked(n int32) {
	q := t.queues[n]
	for _, i := range q.leases {
		t.dropSlot(i)
	}
	t.inFlight -= q.inFlight
	if q.ordered != nil {
		t.endBatch(q)
	}
	t.sent.Add(-int64(len(q.sent)))
	q.leases, q.inFlight, q.sent = nil, 0, nil
	t.settle(q, n)
}

// Counts gives the numbers.
func (t *Table) Counts() Counts {
	t.mu.RLock()
	defer t.mu.RUnlock()
	c := t.counts
	c.Leases, c.InFlight, c.Ordered, c.SentBack = t.leases, t.inFlight, t.ordered, int(t.sent.Load())
	return c
}

// State is what is known of a group in a queue.
type State struct {
	Key
	Next     int64 // to pop; 0 when nothing is in flight: then the group's consumer offset is
	Low      int64 // the same, or the lowest offset in flight
	Leases   int
	InFlight int
	SentBack int
}

// Get gives what is known of a group in a queue.
func (t *Table) Get(k Key) (State, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	q, _ := t.find(k.Group, k.Topic, k.QueueID)
	if q == nil {
		return State{}, false
	}
	return t.state(q), true
}

func (t *Table) state(q *queue) State {
	s := State{Key: q.key, Leases: len(q.leases), InFlight: q.inFlight, SentBack: len(q.sent)}
	if q.popped() {
		s.Next, s.Low = q.next, t.low(q)
	}
	if q.ordered != nil {
		s.Leases, s.InFlight = 1, len(q.ordered.items)
	}
	return s
}

// Group lists what is known of a group, by topic and queue.
func (t *Table) Group(group string) []State {
	t.mu.RLock()
	var out []State
	for _, q := range t.queues {
		if q != nil && q.key.Group == group {
			out = append(out, t.state(q))
		}
	}
	t.mu.RUnlock()
	slices.SortFunc(out, func(a, b State) int { return compareKeys(a.Key, b.Key) })
	return out
}
