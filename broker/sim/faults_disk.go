package sim

import (
	"strings"

	"github.com/contrailmq/contrail/broker/seglog"
)

func (w *world) slowDisk(m *member) {
	w.say("%s has a slow disk", m)
	m.slow = true
	w.after(w.between(second, 5*second), func() { m.slow = false })
}

// slowSeal holds checkpoints up: retention must wait for them.
func (w *world) slowSeal(m *member) {
	w.say("%s writes checkpoints slowly", m)
	m.slowSeal = true
	w.after(w.between(5*second, 20*second), func() { m.slowSeal = false })
}

// crashInside stops the machine some operations on its disk later, in the middle of what it does then: within a roll, a cut, an
// install, a recovery.
func (w *world) crashInside(m *member) {
	w.say("%s will stop in the middle of something", m)
	m.disks.countdown, m.disks.power = int(w.between(1, 60)), w.chance(70)
}

// crashAtCut and crashAtInstall do so at moments that chance meets rarely.
func (w *world) crashAtCut(*member) {
	for _, m := range w.members {
		m.disks.cutting, m.disks.power = true, w.chance(80)
	}
}

func (w *world) crashAtInstall(*member) {
	for _, m := range w.members {
		m.disks.taking, m.disks.power = true, w.chance(50)
	}
}

// Errors stop the member for good; its supervisor starts it again.
func (w *world) syncError(m *member) {
	m.disks.failSync = true
	w.revive(m)
}

func (w *world) writeError(m *member) {
	m.disks.failWrite = true
	w.revive(m)
}

func (w *world) readError(m *member) {
	m.disks.failRead = true
	w.revive(m)
}

func (w *world) revive(m *member) {
	w.after(w.between(second, 4*second), func() {
		m.disks.failSync, m.disks.failWrite, m.disks.failRead = false, false, false
		w.restartFailed(m)
	})
}

// restartFailed is the supervisor of a member that stopped itself.
func (w *world) restartFailed(m *member) {
	if m.failed() != nil {
		m.crash(w.chance(50))
		w.restart(m, w.between(10*milli, second))
	}
}

func (w *world) fullDisk(m *member) {
	if m.gone || m.disk.Capacity != 0 {
		return
	}
	w.covered(FullDisks)
	m.disk.Capacity = m.disk.Used() + w.between(0, 100<<10)
	w.say("%s has a full disk", m)
	w.after(w.between(second, 5*second), func() {
		m.disk.Capacity = 0
		w.say("%s has space again", m)
		w.after(second, func() { w.restartFailed(m) })
	})
}

func (w *world) allFull(*member) {
	for _, m := range w.members {
		w.fullDisk(m)
	}
}

// old is the newest segment's file and how much of it is proven to have been synced: what lies behind cannot be told from what a
// power loss left, until the member had a quiet moment.
func (m *member) old() (name string, end int64) {
	segs := m.shard.Log().Segments()
	return segs[len(segs)-1].Name, m.shard.Log().Proven()
}

// flip inverts a bit of a segment while its member is down. Only one member's disk decays at a time. Now and then the leader dies
// while the member mends: who is elected then must have everything all the same.
func (w *world) flip(m *member) {
	if !m.up || w.disksBad(m) {
		return
	}
	newest, end := m.old()
	m.crash(false)
	var segments []string
	for _, n := range m.disk.Names("log") {
		if strings.HasSuffix(n, ".seg") && !strings.Contains(n, "/incoming/") && !strings.Contains(n, "/damaged/") {
			segments = append(segments, n)
		}
	}
	if len(segments) == 0 {
		return
	}
	name, at := segments[w.rng.IntN(len(segments))], w.between(0, 60<<10)
	if name == newest {
		at = w.between(0, max(end-1, 0))
	}
	if name == newest && end == 0 {
		w.restart(m, w.between(10*milli, second))
		return
	}
	if err := m.disk.Flip(name, at, uint(w.rng.IntN(8))); err == nil {
		m.damaged = true
		w.covered(Flips)
		w.say("a bit of %s of %s flips at %d", name, m, at)
	}
	w.restart(m, w.between(10*milli, second))
	if l := w.leader(); l != nil && w.chance(50) {
		w.after(w.between(10*milli, 2*second), func() { w.loses(l, w.between(100*milli, 4*second)) })
	}
}

// flipParked inverts a bit of a message that is to be stored again soon, while its leader runs: it must not be stored again so.
func (w *world) flipParked(*member) {
	m := w.leader()
	held := w.held()
	if len(held) == 0 || m == nil || w.disksBad(m) {
		return
	}
	newest, end := m.old()
	var names []string
	var places []int64
	for _, pos := range held {
		for _, seg := range m.shard.Log().Segments() {
			at := pos - seg.FirstPos + seglog.SegmentHeaderSize
			if pos >= seg.FirstPos && pos < seg.EndPos && len(names) < flipAmong && (seg.Name != newest || at+flipWithin < end) {
				names, places = append(names, seg.Name), append(places, at)
			}
		}
	}
	if len(names) == 0 {
		return
	}
	by := dice{w.rng}
	if w.timed != nil {
		by = w.timed.dice
	}
	i, at := by.IntN(len(names)), by.between(90, flipWithin)
	if err := m.disk.Flip(names[i], places[i]+at, uint(w.rng.IntN(8))); err == nil {
		m.damaged = true
		w.covered(Flips)
		w.say("a bit of a parked message flips at %d of %s of %s", places[i]+at, names[i], m)
	}
}

// held is where messages stand that are to be stored again.
func (w *world) held() (out []int64) {
	if w.timed != nil {
		for _, c := range w.timed.log.pending {
			out = append(out, c.pos)
		}
	}
	for _, x := range w.machines {
		if h, ok := x.(holder); ok {
			out = append(out, h.held()...)
		}
	}
	return out
}

// holder is a machine that has messages which are to be stored again.
type holder interface{ held() []int64 }

// flipParked takes one of so many messages that are due next, and a byte of it that its body or its properties may have.
const (
	flipAmong  = 5
	flipWithin = 200
)
