package txn

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"sync"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
)

// HalfTopic is where half messages are, in queue 0; ParkTopic where those go that were given up.
const (
	HalfTopic = "RMQ_SYS_TRANS_HALF_TOPIC"
	ParkTopic = "TRANS_CHECK_MAX_TIME_TOPIC"
)

// Limits.
const (
	OpenMax           = 1 << 20                          // half messages that are open; whoever would store more is refused (Room)
	ImmunityMaxMillis = 366 * 86_400_000                 // the longest time before the first check
	PropImmunity      = "CHECK_IMMUNITY_TIME_IN_SECONDS" // a half message's own time before its first check
)

// Half is an open half message.
type Half struct {
	Offset          int64  // in the half queue
	Position        int64  // in the log
	Size            int32  // bytes
	Group           string // the producer's
	StoredMillis    int64
	ImmunityMillis  int64  // before the first check; 0: as the broker is set
	Checks          int32  // that were made
	LastCheckMillis int64  // 0 before the first
	Sum             uint32 // CRC-32C of all of the message as it was stored; 0: not known, as after a restart
}

// Counts since the beginning of the log, and of now.
type Counts struct {
	Open                                            int
	Put, Committed, RolledBack, Parked, ChecksAsked int64
}

func (c *Counts) of(d entry.TxnDecision) *int64 {
	switch d {
	case entry.TxnCommit:
		return &c.Committed
	case entry.TxnRollback:
		return &c.RolledBack
	case entry.TxnParked:
		return &c.Parked
	}
	return nil
}

// GroupOpen is how many half messages of a producer group are open.
type GroupOpen struct {
	Group              string
	Open               int
	OldestStoredMillis int64
}

// Table is all transactions. The zero value is not ready: use New.
type Table struct {
	mu      sync.RWMutex
	next    int64 // a half message must have this offset or a later one
	open    map[int64]int32
	slots   []slot
	free    []int32
	all     list
	groups  []ofGroup
	groupAt map[string]int32
	spare   []int32 // of groups
	decided ring
	counts  Counts
	plan    *plan // nil: nobody asks what is due
}

type ofGroup struct {
	name string
	list list
}

// New is an empty table.
func New() *Table {
	t := &Table{}
	t.resetLocked()
	return t
}

func (t *Table) resetLocked() {
	t.next, t.open, t.slots, t.free = 0, map[int64]int32{}, nil, nil
	t.all, t.groups, t.groupAt, t.spare = newList(), nil, map[string]int32{}, nil
	t.decided, t.counts, t.plan = newRing(), Counts{}, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// HalfOf is what a stored half message says of itself.
func HalfOf(v message.View) Half {
	run := v.Properties()
	return Half{
		Offset: v.QueueOffset(), Position: v.Position(), Size: int32(len(v)), StoredMillis: v.StoreTime(),
		Group: string(message.Property(run, message.PropProducerGroup)), ImmunityMillis: immunity(message.Property(run, PropImmunity)),
		Sum: crc32.Checksum(v, castagnoli),
	}
}

// immunity is 0 for what is no positive number (TransactionalMessageUtil.getImmunityTime).
func immunity(seconds []byte) int64 {
	n, err := strconv.ParseInt(string(seconds), 10, 64)
	if err != nil || n <= 0 {
		return 0
	}
	return min(n, ImmunityMaxMillis/1000) * 1000
}

// Put takes a half message that was stored. It is not refused for want of room: it is in the log already.
func (t *Table) Put(h *Half) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.Offset < t.next {
		return fmt.Errorf("half message %d at position %d: its offset is not after %d", h.Offset, h.Position, t.next-1)
	}
	if h.Size < 0 || h.ImmunityMillis < 0 || h.ImmunityMillis > ImmunityMaxMillis {
		return fmt.Errorf("half message %d: %d bytes, %d ms before its first check, the limit is %d", h.Offset, h.Size, h.ImmunityMillis, int64(ImmunityMaxMillis))
	}
	t.next = h.Offset + 1
	t.counts.Put++
	t.addLocked(h)
	return nil
}

func (t *Table) addLocked(h *Half) {
	i := int32(len(t.slots))
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
	} else {
		t.slots = append(t.slots, slot{})
	}
	g := t.groupLocked(h.Group)
	t.slots[i] = slot{
		offset: h.Offset, position: h.Position, size: h.Size, stored: h.StoredMillis, immunity: h.ImmunityMillis,
		checks: h.Checks, checked: h.LastCheckMillis, group: g, sum: h.Sum,
	}
	t.open[h.Offset] = i
	t.all.push(t.slots, i, ofAll)
	t.groups[g].list.push(t.slots, i, ofOwn)
	t.planLocked(i)
}

func (t *Table) groupLocked(name string) int32 {
	if g, ok := t.groupAt[name]; ok {
		return g
	}
	g := int32(len(t.groups))
	if n := len(t.spare); n > 0 {
		g, t.spare = t.spare[n-1], t.spare[:n-1]
	} else {
		t.groups = append(t.groups, ofGroup{})
	}
	t.groups[g] = ofGroup{name, newList()}
	t.groupAt[name] = g
	return g
}

// End applies a decision. An error means that the log contradicts itself.
func (t *Table) End(e *entry.TxnEnd) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.open[e.Offset]
	if !ok {
		return fmt.Errorf("end of transaction %d: it is not open", e.Offset)
	}
	s := &t.slots[i]
	if s.position != e.Position {
		return fmt.Errorf("end of transaction %d: it names position %d, the half message is at %d", e.Offset, e.Position, s.position)
	}
	if e.How < entry.TxnByProducer || e.How > entry.TxnByAdmin {
		return fmt.Errorf("end of transaction %d: by %d", e.Offset, e.How)
	}
	n := t.counts.of(e.Decision)
	if n == nil {
		return fmt.Errorf("end of transaction %d: decision %d is unknown", e.Offset, e.Decision)
	}
	*n++
	t.decided.add(Decided{e.Offset, e.Position, e.AtMillis, t.groups[s.group].name, e.Decision, e.How})
	t.dropLocked(i)
	return nil
}

func (t *Table) dropLocked(i int32) {
	s := &t.slots[i]
	t.all.remove(t.slots, i, ofAll)
	g := &t.groups[s.group]
	if g.list.remove(t.slots, i, ofOwn); g.list.n == 0 {
		delete(t.groupAt, g.name)
		t.spare = append(t.spare, s.group)
		*g = ofGroup{}
	}
	delete(t.open, s.offset)
	*s = slot{}
	t.free = append(t.free, i)
}

// Check applies that a producer was asked. An error means that the log contradicts itself.
func (t *Table) Check(c *entry.TxnCheck) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.canCheckLocked(c); err != nil {
		return err
	}
	i := t.open[c.Offset]
	s := &t.slots[i]
	s.checks, s.checked = c.Times, c.AtMillis
	t.counts.ChecksAsked++
	t.planLocked(i)
	return nil
}

func (t *Table) halfLocked(i int32) Half {
	s := &t.slots[i]
	return Half{s.offset, s.position, s.size, t.groups[s.group].name, s.stored, s.immunity, s.checks, s.checked, s.sum}
}

// Find gives an open half message.
func (t *Table) Find(offset int64) (Half, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, ok := t.open[offset]
	if !ok {
		return Half{}, false
	}
	return t.halfLocked(i), true
}

// Oldest is the open half message that was stored first: no segment from its position on may be dropped.
func (t *Table) Oldest() (Half, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.all.head == none {
		return Half{}, false
	}
	return t.halfLocked(t.all.head), true
}

// Open gives at most limit open half messages by age, of one producer group or, with "", of all.
func (t *Table) Open(group string, limit int) []Half {
	t.mu.RLock()
	defer t.mu.RUnlock()
	l, p := &t.all, pick(ofAll)
	if group != "" {
		g, ok := t.groupAt[group]
		if !ok {
			return nil
		}
		l, p = &t.groups[g].list, ofOwn
	}
	var out []Half
	for i := l.head; i != none && len(out) < limit; i = p(&t.slots[i]).next {
		out = append(out, t.halfLocked(i))
	}
	return out
}

// Groups lists the producer groups with open half messages by name.
func (t *Table) Groups() []GroupOpen {
	t.mu.RLock()
	out := make([]GroupOpen, 0, len(t.groupAt))
	for name, g := range t.groupAt {
		l := &t.groups[g].list
		out = append(out, GroupOpen{name, l.n, t.slots[l.head].stored})
	}
	t.mu.RUnlock()
	slices.SortFunc(out, func(a, b GroupOpen) int { return cmp.Compare(a.Group, b.Group) })
	return out
}

// Counts gives the numbers.
func (t *Table) Counts() Counts {
	t.mu.RLock()
	defer t.mu.RUnlock()
	c := t.counts
	c.Open = t.all.n
	return c
}

// Reset forgets everything.
func (t *Table) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resetLocked()
}
