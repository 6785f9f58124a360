package offset

import (
	"sort"
	"sync"

	"github.com/contrailmq/contrail/broker/entry"
)

// Key names a group's place in one queue.
type Key struct {
	Group, Topic string
	QueueID      int32
}

// Commit is a committed offset: the next one to consume.
type Commit struct {
	Offset   int64
	AtMicros int64
	Client   string
}

// Table is all groups' offsets. The zero value is not ready: use New.
type Table struct {
	mu      sync.RWMutex
	applied map[Key]Commit
	noted   map[Key]Commit
	dirty   []Key // noted, not proposed yet
	queued  map[Key]bool
	groups  map[string]map[Key]struct{} // keys of each group
}

// New is an empty table.
func New() *Table {
	return &Table{applied: map[Key]Commit{}, noted: map[Key]Commit{}, queued: map[Key]bool{}, groups: map[string]map[Key]struct{}{}}
}

// Get is a group's committed offset, noted ones included.
func (t *Table) Get(k Key) (Commit, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if c, ok := t.noted[k]; ok {
		return c, true
	}
	c, ok := t.applied[k]
	return c, ok
}

// Applied is a group's committed offset as the log has it; it is the same on every member.
func (t *Table) Applied(k Key) (Commit, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	c, ok := t.applied[k]
	return c, ok
}

// Max is how many offsets all groups have at most.
const Max = 1_000_000

// Room says whether k may be committed: it is known, or there are fewer than Max.
func (t *Table) Room(k Key) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if _, ok := t.groups[k.Group][k]; ok {
		return true
	}
	return len(t.applied)+len(t.noted) < Max // a key that is in both counts twice, for a moment
}

// Note takes a client's commit; it returns true when it changes something and must be proposed.
func (t *Table) Note(o *entry.Offset) bool {
	k := Key{o.Group, o.Topic, o.QueueID}
	t.mu.Lock()
	defer t.mu.Unlock()
	old, ok := t.noted[k]
	if !ok {
		old, ok = t.applied[k]
	}
	if ok && old.Offset == o.Offset {
		return false
	}
	t.noted[k] = Commit{o.Offset, o.AtMicros, o.Client}
	t.indexLocked(k)
	if !t.queued[k] {
		t.queued[k] = true
		t.dirty = append(t.dirty, k)
	}
	return true
}

func (t *Table) indexLocked(k Key) {
	g := t.groups[k.Group]
	if g == nil {
		g = map[Key]struct{}{}
		t.groups[k.Group] = g
	}
	g[k] = struct{}{}
}

// Take gives at most limit noted commits that have not been proposed yet, encoded as a KindOffsets body.
func (t *Table) Take(dst []byte, limit int) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(limit, len(t.dirty))
	for _, k := range t.dirty[:n] {
		delete(t.queued, k)
		c, ok := t.noted[k]
		if !ok {
			continue
		}
		dst = entry.AppendOffset(dst, &entry.Offset{
			Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Offset: c.Offset, Client: c.Client, AtMicros: c.AtMicros,
		})
	}
	t.dirty = append(t.dirty[:0], t.dirty[n:]...)
	return dst
}

// Untake makes commits that Take gave wait again: the entry that held them was refused.
func (t *Table) Untake(body []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = entry.DecodeOffsets(body, func(o *entry.Offset) error { // what Take encoded
		k := Key{o.Group, o.Topic, o.QueueID}
		if _, ok := t.noted[k]; ok && !t.queued[k] {
			t.queued[k] = true
			t.dirty = append(t.dirty, k)
		}
		return nil
	})
}

// Waiting is how many commits Take could give.
func (t *Table) Waiting() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.dirty)
}

// Dirty says whether Take would give something.
func (t *Table) Dirty() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.dirty) > 0
}

// Apply stores a commit from the log.
func (t *Table) Apply(o *entry.Offset) {
	k := Key{o.Group, o.Topic, o.QueueID}
	t.mu.Lock()
	defer t.mu.Unlock()
	c := Commit{o.Offset, o.AtMicros, o.Client}
	t.applied[k] = c
	t.indexLocked(k)
	if t.noted[k] == c {
		delete(t.noted, k)
	}
}

// DropGroup and DropTopic forget applied and noted commits.
func (t *Table) DropGroup(group string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.groups[group] {
		t.dropLocked(k)
	}
	delete(t.groups, group)
}

// DropTopic forgets all groups' commits in a topic.
func (t *Table) DropTopic(topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, keys := range t.groups {
		for k := range keys {
			if k.Topic == topic {
				t.dropLocked(k)
				delete(keys, k)
			}
		}
	}
}

func (t *Table) dropLocked(k Key) {
	delete(t.applied, k)
	delete(t.noted, k)
}

// Saved is one applied commit as a checkpoint keeps it.
type Saved struct {
	Key
	Commit
}

// Save lists the applied commits in a fixed order.
func (t *Table) Save() []Saved {
	t.mu.RLock()
	out := make([]Saved, 0, len(t.applied))
	for k, c := range t.applied {
		out = append(out, Saved{k, c})
	}
	t.mu.RUnlock()
	sort.Slice(out, func(i, j int) bool { return less(out[i].Key, out[j].Key) })
	return out
}

func less(a, b Key) bool {
	if a.Group != b.Group {
		return a.Group < b.Group
	}
	if a.Topic != b.Topic {
		return a.Topic < b.Topic
	}
	return a.QueueID < b.QueueID
}

// Restore takes what Save gave.
func (t *Table) Restore(saved []Saved) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range saved {
		t.applied[s.Key] = s.Commit
		t.indexLocked(s.Key)
	}
}

// Forget drops commits that were noted and are not in the log: a member that no longer leads does not know them.
func (t *Table) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.noted)
	clear(t.queued)
	t.dirty = nil
	for g, keys := range t.groups {
		for k := range keys {
			if _, ok := t.applied[k]; !ok {
				delete(keys, k)
			}
		}
		if len(keys) == 0 {
			delete(t.groups, g)
		}
	}
}

// Reset forgets everything.
func (t *Table) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.applied)
	clear(t.noted)
	clear(t.queued)
	clear(t.groups)
	t.dirty = nil
}

// Group lists a group's commits, noted ones included, in a fixed order.
func (t *Table) Group(group string) []Saved {
	t.mu.RLock()
	var out []Saved
	for k := range t.groups[group] {
		c, ok := t.noted[k]
		if !ok {
			c, ok = t.applied[k]
		}
		if ok {
			out = append(out, Saved{k, c})
		}
	}
	t.mu.RUnlock()
	sort.Slice(out, func(i, j int) bool { return less(out[i].Key, out[j].Key) })
	return out
}

// Groups lists all groups with commits.
func (t *Table) Groups() []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]string, 0, len(t.groups))
	for g := range t.groups {
		out = append(out, g)
	}
	sort.Strings(out)
	return out
}

// OfTopic lists the groups with commits in a topic.
func (t *Table) OfTopic(topic string) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var out []string
	for g, keys := range t.groups {
		for k := range keys {
			if k.Topic == topic {
				out = append(out, g)
				break
			}
		}
	}
	return out
}
