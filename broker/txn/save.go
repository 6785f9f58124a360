package txn

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/contrailmq/contrail/broker/canon"
	"github.com/contrailmq/contrail/broker/entry"
)

const saveVersion = 1

// Least bytes of what is saved of one open and one decided transaction.
const (
	openBytesMin    = 7
	decidedBytesMin = 5
)

// Save gives the state in its only form (package canon); nil if there never was a transaction.
//
//	version 1 | next | put committed rolledBack parked checks | groups: count, names ascending
//	open: count, each by ascending offset: offset-previous-1 | ±position | size | group | ±stored | immunity | checks [| last check-stored]
//	decided: count, each in the log's order: ±offset | ±position | ±at | group | decision*8+how
//
// ± is the difference to the one before.
func (t *Table) Save() []byte {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.next == 0 {
		return nil
	}
	names, at := t.namesLocked()
	b := binary.AppendUvarint([]byte{saveVersion}, uint64(t.next))
	for _, n := range []int64{t.counts.Put, t.counts.Committed, t.counts.RolledBack, t.counts.Parked, t.counts.ChecksAsked} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, name := range names {
		b = canon.AppendName(b, name)
	}
	return t.saveDecidedLocked(t.saveOpenLocked(b, at), at)
}

// namesLocked lists the groups of all that is saved, and their numbers.
func (t *Table) namesLocked() (names []string, at map[string]int) {
	at = map[string]int{}
	for name := range t.groupAt {
		at[name] = 0
	}
	t.decided.each(func(d *Decided) { at[d.Group] = 0 })
	for name := range at {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		at[name] = i
	}
	return names, at
}

func (t *Table) saveOpenLocked(b []byte, at map[string]int) []byte {
	numbers := make([]uint64, len(t.groups)) // a group's number here to its saved one
	for name, g := range t.groupAt {
		numbers[g] = uint64(at[name])
	}
	b = binary.AppendUvarint(b, uint64(t.all.n))
	last := slot{offset: -1}
	for i := t.all.head; i != none; i = t.slots[i].all.next {
		s := &t.slots[i]
		b = binary.AppendUvarint(b, uint64(s.offset-last.offset-1))
		b = binary.AppendVarint(b, s.position-last.position)
		b = binary.AppendUvarint(b, uint64(s.size))
		b = binary.AppendUvarint(b, numbers[s.group])
		b = binary.AppendVarint(b, s.stored-last.stored)
		b = binary.AppendUvarint(b, uint64(s.immunity))
		if b = binary.AppendUvarint(b, uint64(s.checks)); s.checks > 0 {
			b = binary.AppendVarint(b, s.checked-s.stored)
		}
		last = *s
	}
	return b
}

func (t *Table) saveDecidedLocked(b []byte, at map[string]int) []byte {
	b = binary.AppendUvarint(b, uint64(len(t.decided.all)))
	var last Decided
	t.decided.each(func(d *Decided) {
		b = binary.AppendVarint(b, d.Offset-last.Offset)
		b = binary.AppendVarint(b, d.Position-last.Position)
		b = binary.AppendVarint(b, d.AtMillis-last.AtMillis)
		b = binary.AppendUvarint(b, uint64(at[d.Group]))
		b = append(b, byte(d.Decision)<<3|byte(d.How))
		last = *d
	})
	return b
}

// Restore makes the table what Save gave. After an error it is empty.
func (t *Table) Restore(b []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resetLocked()
	if len(b) == 0 {
		return nil
	}
	r := canon.NewReader(b)
	t.restoreLocked(r)
	if err := r.End(); err != nil {
		t.resetLocked()
		return err
	}
	return nil
}

func (t *Table) restoreLocked(r *canon.Reader) {
	if v := r.Uint(); v != saveVersion {
		r.Failf("transactions of version %d, this program knows %d", v, saveVersion)
	}
	if t.next = int64(r.Upto(math.MaxInt64, "the next offset")); t.next == 0 {
		r.Failf("transactions that never were")
	}
	for _, n := range []*int64{&t.counts.Put, &t.counts.Committed, &t.counts.RolledBack, &t.counts.Parked, &t.counts.ChecksAsked} {
		*n = int64(r.Upto(math.MaxInt64, "a count"))
	}
	names := r.Names("producer groups")
	used := make([]bool, len(names))
	group := func() string {
		g := r.Uint()
		if g >= uint64(len(names)) {
			r.Failf("group %d of %d", g, len(names))
			return ""
		}
		used[g] = true
		return names[g]
	}
	t.restoreOpenLocked(r, group)
	t.restoreDecidedLocked(r, group)
	if i := slices.Index(used, false); i >= 0 {
		r.Failf("group %q has no transaction", names[i])
	}
}

func (t *Table) restoreOpenLocked(r *canon.Reader, group func() string) {
	h := Half{Offset: -1}
	for range r.Count(openBytesMin, "open transactions") {
		gap := r.Uint()
		if gap >= uint64(t.next-1-h.Offset) {
			r.Failf("an open transaction at or after offset %d", t.next)
		}
		if r.Err() != nil {
			return
		}
		h.Offset += int64(gap) + 1
		h.Position += r.Int()
		h.Size = int32(r.Upto(math.MaxInt32, "a size"))
		h.Group = group()
		h.StoredMillis += r.Int()
		h.ImmunityMillis = int64(r.Upto(ImmunityMaxMillis, "a time before the first check"))
		h.LastCheckMillis = 0
		if h.Checks = int32(r.Upto(math.MaxInt32, "checks")); h.Checks > 0 {
			h.LastCheckMillis = h.StoredMillis + r.Int()
		}
		t.addLocked(&h)
	}
}

func (t *Table) restoreDecidedLocked(r *canon.Reader, group func() string) {
	n := r.Count(decidedBytesMin, "decided transactions")
	if n > DecidedMax {
		r.Failf("%d decided transactions, the limit is %d", n, DecidedMax)
	}
	var d Decided
	for range n {
		d.Offset += r.Int()
		d.Position += r.Int()
		d.AtMillis += r.Int()
		d.Group = group()
		how := r.Upto(math.MaxUint8, "a decision")
		d.Decision, d.How = entry.TxnDecision(how>>3), entry.TxnHow(how&7)
		_, open := t.open[d.Offset]
		if open || t.decided.find(d.Offset) != nil || d.Offset < 0 || d.Offset >= t.next || d.Decision < entry.TxnCommit || d.Decision > entry.TxnParked {
			r.Failf("transaction %d is decided with %d", d.Offset, d.Decision)
		}
		if r.Err() != nil {
			return
		}
		t.decided.add(d)
	}
}
