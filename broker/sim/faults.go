package sim

import (
	"strings"

	"github.com/contrailmq/contrail/broker/seglog"
)

// plague schedules faults until the world is calm.
func (w *world) plague() {
	w.after(w.between(100*milli, 1500*milli), func() {
		if w.calm {
			return
		}
		w.fault()
		w.plague()
	})
}

// fault lets one thing go wrong; most heal after a while.
func (w *world) fault() {
	m := w.members[w.rng.IntN(len(w.members))]
	if l := w.leader(); l != nil && w.chance(40) {
		m = l
	}
	faults := []func(*member){
		w.kill, w.kill, w.powerLoss, w.powerLoss, w.allPowerLoss, w.killAll, w.pause, w.isolate, w.oneWay, w.bridge, w.lossy, w.slowNet,
		w.slowDisk, w.syncError, w.writeError, w.fullDisk, w.clockStep, w.transfer, w.absent, w.flip,
	}
	faults[w.rng.IntN(len(faults))](m)
}

func (w *world) restart(m *member, after int64) {
	life := m.life
	w.after(after, func() {
		if m.life == life && !m.up {
			m.start()
		}
	})
}

func (w *world) kill(m *member) {
	m.crash(false)
	w.restart(m, w.between(10*milli, 3*second))
}

func (w *world) powerLoss(m *member) {
	m.crash(true)
	w.restart(m, w.between(10*milli, 3*second))
}

// absent keeps a member away so long that the others drop what it lacks.
func (w *world) absent(m *member) {
	m.crash(w.chance(50))
	w.restart(m, w.between(5*second, 12*second))
}

func (w *world) allPowerLoss(*member) {
	for _, m := range w.members {
		m.crash(true)
		w.restart(m, w.between(10*milli, 500*milli))
	}
}

func (w *world) killAll(*member) {
	for _, m := range w.members {
		m.crash(false)
		w.restart(m, w.between(10*milli, 500*milli))
	}
}

func (w *world) pause(m *member) {
	if !m.up || m.paused {
		return
	}
	w.say("%s is stopped for a while", m)
	m.paused = true
	life := m.life
	w.after(w.between(100*milli, 5*second), func() {
		if m.life == life {
			m.resume()
		}
	})
}

func (w *world) healNetAfter(micros int64) {
	w.after(micros, func() {
		if !w.calm {
			w.say("the network heals")
		}
		w.net.heal()
	})
}

func (w *world) isolate(m *member) {
	w.say("%s is cut off", m)
	w.net.isolate(m.id, true, true)
	w.healNetAfter(w.between(500*milli, 5*second))
}

func (w *world) oneWay(m *member) {
	in := w.chance(50)
	w.say("%s is cut off in one direction, inbound %t", m, in)
	w.net.isolate(m.id, in, !in)
	w.healNetAfter(w.between(500*milli, 5*second))
}

// bridge cuts the two others from each other.
func (w *world) bridge(m *member) {
	a, b := (m.id+1)%membersMax, (m.id+2)%membersMax
	w.say("%s is the only bridge", m)
	w.net.cut[a][b], w.net.cut[b][a] = true, true
	w.healNetAfter(w.between(500*milli, 5*second))
}

func (w *world) lossy(*member) {
	w.net.drop, w.net.twice = float64(w.between(1, 40)), float64(w.between(0, 20))
	w.say("the network drops %.0f %% and doubles %.0f %%", w.net.drop, w.net.twice)
	w.healNetAfter(w.between(500*milli, 6*second))
}

func (w *world) slowNet(*member) {
	w.net.delay = w.between(20*milli, 400*milli)
	w.say("messages take up to %d ms", w.net.delay/milli)
	w.healNetAfter(w.between(500*milli, 6*second))
}

func (w *world) slowDisk(m *member) {
	w.say("%s has a slow disk", m)
	m.slow = true
	w.after(w.between(second, 5*second), func() { m.slow = false })
}

// syncError and writeError stop the member for good; its supervisor starts it again.
func (w *world) syncError(m *member) {
	m.failSync = true
	w.revive(m)
}

func (w *world) writeError(m *member) {
	m.failWrite = true
	w.revive(m)
}

func (w *world) revive(m *member) {
	life := m.life
	w.after(w.between(second, 4*second), func() {
		m.failSync, m.failWrite = false, false
		if m.life == life && m.failed() != nil {
			m.crash(w.chance(50))
			w.restart(m, w.between(10*milli, second))
		}
	})
}

func (w *world) fullDisk(m *member) {
	_, free, _ := m.disk.Usage("log")
	if m.disk.Capacity != 0 {
		return
	}
	_ = free
	m.disk.Capacity = m.disk.Used() + w.between(0, 100<<10)
	w.say("%s has a full disk", m)
	w.after(w.between(second, 5*second), func() {
		m.disk.Capacity = 0
		w.say("%s has space again", m)
		if life := m.life; m.failed() != nil {
			w.after(second, func() {
				if m.life == life {
					m.crash(false)
					w.restart(m, 100*milli)
				}
			})
		}
	})
}

func (w *world) clockStep(m *member) {
	m.skew += w.between(-10*second, 10*second)
	w.say("the clock of %s steps to %+d ms", m, m.skew/milli)
}

// transfer moves leadership in order.
func (w *world) transfer(*member) {
	l := w.leader()
	if l == nil {
		return
	}
	to := (l.id + 1 + w.rng.IntN(membersMax-1)) % membersMax
	w.say("%s shall hand over to member %d", l, to+1)
	l.shard.Transfer(uint64(to) + 1)
	l.turn()
}

// old is the newest segment's file and how much of it is older than the newest entry: what lies behind cannot be told from what
// a power loss left, until the member had a quiet moment.
func (m *member) old() (name string, end int64) {
	segs := m.shard.Log().Segments()
	last := segs[len(segs)-1]
	pos, err := m.shard.Log().PositionOf(last.LastIndex)
	if err != nil {
		pos = last.FirstPos
	}
	return last.Name, max(pos-last.FirstPos, 0) + seglog.SegmentHeaderSize
}

// flip inverts a bit of a segment while its member is down. Only one member's disk decays in a run: two would be more than a
// group of three can bear.
func (w *world) flip(m *member) {
	for _, other := range w.members {
		if other != m && other.damaged {
			return
		}
	}
	if !m.up {
		return
	}
	newest, end := m.old()
	m.crash(false)
	names := m.disk.Names("log")
	var segments []string
	for _, n := range names {
		if strings.HasSuffix(n, ".seg") {
			segments = append(segments, n)
		}
	}
	if len(segments) == 0 {
		return
	}
	name := segments[w.rng.IntN(len(segments))]
	at := w.between(0, 60<<10)
	if name == newest && at >= end {
		at = w.between(0, max(end-1, 0))
	}
	if err := m.disk.Flip(name, at, uint(w.rng.IntN(8))); err == nil {
		m.damaged = true
		w.say("a bit of %s of %s flips at %d", name, m, at)
	}
	w.restart(m, w.between(10*milli, second))
}
