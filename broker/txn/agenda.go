package txn

import (
	"github.com/contrailmq/contrail/broker/agenda"
	"github.com/contrailmq/contrail/broker/entry"
)

// Settings of checks, ms (RocketMQ's transactionTimeOut, transactionCheckInterval, transactionCheckMax, fileReservedTime).
type Settings struct {
	TimeoutMillis  int64 // before the first check of a message that sets no time of its own
	IntervalMillis int64 // between two checks, and between the last one and giving up
	ChecksMax      int32
	MaxAgeMillis   int64 // a half message that is older is given up, however often it was checked
}

// DefaultSettings are RocketMQ's.
func DefaultSettings() Settings {
	return Settings{TimeoutMillis: 6_000, IntervalMillis: 30_000, ChecksMax: 15, MaxAgeMillis: 72 * 3_600_000}
}

// AgainMillis is when Due names a half message again whose check or end was not applied meanwhile.
const AgainMillis = 5_000

// plan is when each open half message is due. An item whose time is not its slot's wake is a left-over.
type plan struct {
	settings Settings
	heap     agenda.Heap
}

// leftOversMax is how many left-overs there may be besides as many as there are open half messages.
const leftOversMax = 1024

// Due gives what is to be done now, at most limit half messages: check are to be asked about, give are to be given up. next is when
// something is due after that (0: nothing is open); it is not after now when limit cut the answer short. What was given is given
// again after AgainMillis unless it was applied. All is planned on the first call, and again when the
// settings change.
func (t *Table) Due(now int64, s Settings, limit int) (check, give []Half, next int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.plan == nil || t.plan.settings != s {
		t.plan = &plan{settings: s}
		t.replanLocked()
	}
	for {
		top, ok := t.plan.heap.Top()
		switch {
		case !ok:
			return check, give, 0
		case t.slots[top.ID].wake != top.At:
			t.plan.heap.Pop()
			continue
		case top.At > now || len(check)+len(give) >= limit:
			return check, give, top.At
		}
		t.plan.heap.Pop()
		if h := t.halfLocked(top.ID); s.over(now, &h) {
			give = append(give, h)
		} else {
			check = append(check, h)
		}
		t.wakeLocked(top.ID, now+AgainMillis)
	}
}

// over says that a half message is given up.
func (s *Settings) over(now int64, h *Half) bool {
	return h.Checks >= s.ChecksMax || now-h.StoredMillis >= s.MaxAgeMillis
}

// GiveUp is the wish to end a half message that nobody decided.
func (s *Settings) GiveUp(h *Half) *Wish {
	w := &Wish{Offset: h.Offset, Position: h.Position, Group: h.Group, Decision: entry.TxnParked, How: entry.TxnByLastCheck}
	if h.Checks < s.ChecksMax {
		w.NotBefore = h.StoredMillis + s.MaxAgeMillis
	}
	return w
}

// at is when a half message is due.
func (s *Settings) at(h *slot) int64 { return s.after(h.stored, h.immunity, h.checked, h.checks) }

func (s *Settings) after(stored, immunity, checked int64, checks int32) int64 {
	at := stored + max(s.TimeoutMillis, immunity)
	if checks > 0 {
		at = checked + s.IntervalMillis
	}
	return max(min(at, stored+s.MaxAgeMillis), 1) // 0 is the wake of nothing
}

// Next is when an open half message is due, ms, and whether it is given up then instead of being asked about.
func (s *Settings) Next(h *Half) (at int64, giveUp bool) {
	at = s.after(h.StoredMillis, h.ImmunityMillis, h.LastCheckMillis, h.Checks)
	return at, s.over(at, h)
}

// Forget drops what only a leader needs.
func (t *Table) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.plan = nil
}

// planLocked notes when a slot is due.
func (t *Table) planLocked(i int32) {
	if t.plan != nil {
		t.wakeLocked(i, t.plan.settings.at(&t.slots[i]))
	}
}

func (t *Table) wakeLocked(i int32, at int64) {
	t.slots[i].wake = at
	t.plan.heap.Push(agenda.Item{At: at, ID: i})
	if t.plan.heap.Len() > 2*t.all.n+leftOversMax {
		t.sweepLocked()
	}
}

// sweepLocked drops left-overs.
func (t *Table) sweepLocked() {
	items := make([]agenda.Item, 0, t.all.n)
	for i := t.all.head; i != none; i = t.slots[i].all.next {
		if wake := t.slots[i].wake; wake != 0 { // 0: about to be planned
			items = append(items, agenda.Item{At: wake, ID: i})
		}
	}
	t.plan.heap = agenda.Make(items)
}

func (t *Table) replanLocked() {
	items := make([]agenda.Item, 0, t.all.n)
	for i := t.all.head; i != none; i = t.slots[i].all.next {
		at := t.plan.settings.at(&t.slots[i])
		t.slots[i].wake = at
		items = append(items, agenda.Item{At: at, ID: i})
	}
	t.plan.heap = agenda.Make(items)
}
