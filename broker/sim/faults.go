package sim

// plague schedules faults until the world is calm.
func (w *world) plague() {
	longest := 1500 * milli
	if w.conf.Focus != 0 {
		longest = 800 * milli
	}
	w.after(w.between(100*milli, int64(longest)), func() {
		if w.calm {
			return
		}
		w.fault()
		w.plague()
	})
}

// fault lets one thing go wrong; most heal after a while.
func (w *world) fault() {
	m := w.someMember()
	if l := w.leader(); l != nil && w.chance(40) {
		m = l
	}
	faults := w.faults()
	faults[w.rng.IntN(len(faults))](m)
}

// faults are those that may happen, the frequent ones twice. A focus makes one kind of trouble frequent.
func (w *world) faults() []func(*member) {
	switch w.conf.Focus {
	case FocusVotes:
		return []func(*member){w.powerLoss, w.powerLoss, w.allPowerLoss, w.slowDisk, w.slowDisk, w.isolate, w.lossy, w.storm, w.crashAtCut, w.crashAtCut}
	case FocusLeaders, FocusLocks:
		return []func(*member){w.isolate, w.oneWay, w.pause, w.storm, w.storm, w.lull, w.lull, w.lossy, w.stale, w.stale}
	case FocusSnapshots:
		return []func(*member){w.longAbsent, w.longAbsent, w.longAbsent, w.crashAtInstall, w.crashAtInstall}
	case FocusSaves:
		return []func(*member){w.slowSeal, w.slowSeal, w.slowSeal, w.transfer, w.clockStep, w.clockStep, w.transfer, w.clockStep, w.kill}
	case FocusTimers:
		return []func(*member){
			w.clockStep, w.clockStep, w.clockStep, w.transfer, w.storm, w.stale, w.isolate, w.pause, w.kill, w.powerLoss, w.slowDisk, w.slowDisk, w.lossy, w.lull, w.flipParked, w.allAbsent,
		}
	case FocusParked:
		return []func(*member){w.flipParked, w.flipParked, w.flipParked, w.transfer, w.lull, w.clockStep}
	case FocusTxns:
		return []func(*member){w.kill, w.powerLoss, w.killAll, w.pause, w.stale, w.stale, w.stale, w.stale, w.stale, w.storm, w.transfer, w.slowDisk, w.clockStep, w.lull, w.flipParked}
	case FocusBacks, FocusLeases, FocusOrdered:
		return []func(*member){w.kill, w.kill, w.powerLoss, w.killAll, w.isolate, w.pause, w.stale, w.storm, w.storm, w.transfer, w.lossy, w.slowDisk, w.clockStep, w.lull, w.flipParked}
	case FocusDecay:
		return []func(*member){w.flipInNeed, w.flipInNeed, w.flip, w.lull, w.clockStep}
	case FocusMembers:
		return []func(*member){w.killAll, w.allPowerLoss, w.powerLoss, w.isolate, w.kill, w.transfer, w.clockStep}
	}
	return []func(*member){
		w.kill, w.kill, w.powerLoss, w.powerLoss, w.allPowerLoss, w.killAll, w.crashInside, w.crashInside, w.crashAtCut, w.crashAtInstall, w.pause, w.stale, w.twoOfThree, w.absent,
		w.isolate, w.oneWay, w.bridge, w.lossy, w.slowNet, w.corrupt,
		w.slowDisk, w.slowSeal, w.syncError, w.writeError, w.readError, w.fullDisk, w.allFull, w.flip, w.flipParked, w.wipe, w.wipeInNeed,
		w.clockStep, w.transfer, w.storm, w.lull,
	}
}

// Focus is a kind of trouble.
type Focus int

// Focuses; zero is everything.
const (
	FocusVotes Focus = iota + 1
	FocusLeaders
	FocusSnapshots
	FocusSaves
	FocusDecay
	FocusMembers
	FocusLocks
	FocusTimers
	FocusParked
	FocusTxns
	FocusBacks
	FocusLeases
	FocusOrdered
)

func (w *world) restart(m *member, after int64) {
	life := m.life
	w.after(after, func() {
		if m.life == life && !m.up {
			m.start()
		}
	})
}

func (w *world) kill(m *member) {
	if !m.up {
		return
	}
	m.crash(false)
	w.restart(m, w.between(10*milli, 3*second))
}

func (w *world) powerLoss(m *member) {
	if !m.up {
		return
	}
	m.crash(true)
	w.restart(m, w.between(10*milli, 3*second))
}

// loses takes a member's power for a while.
func (w *world) loses(m *member, micros int64) {
	if m.up && !w.calm {
		m.crash(true)
		w.restart(m, micros)
	}
}

// absent keeps a member away so long that the others drop what it lacks.
func (w *world) absent(m *member) {
	if !m.up {
		return
	}
	m.crash(w.chance(50))
	w.restart(m, w.between(5*second, 12*second))
}

// longAbsent keeps the same member away again and again, while the two others go on.
func (w *world) longAbsent(*member) {
	if m := w.members[w.conf.Seed%voters]; m.up {
		m.crash(w.chance(50))
		w.restart(m, w.between(8*second, 12*second))
	}
}

func (w *world) allPowerLoss(*member) {
	for _, m := range w.members {
		if m.up {
			m.crash(true)
			w.restart(m, w.between(10*milli, 500*milli))
		}
	}
}

// allAbsent is nobody there while much becomes due.
func (w *world) allAbsent(*member) {
	after := w.between(second, 6*second)
	for _, m := range w.members {
		if m.up {
			m.crash(w.chance(50))
			w.restart(m, after+w.between(0, second))
		}
	}
}

func (w *world) killAll(*member) {
	for _, m := range w.members {
		if m.up {
			m.crash(false)
			w.restart(m, w.between(10*milli, 500*milli))
		}
	}
}

func (w *world) pause(m *member) {
	if !m.up || m.paused {
		return
	}
	w.pauseFor(m, w.between(100*milli, 5*second))
}

func (w *world) pauseFor(m *member, micros int64) {
	w.say("%s is stopped for a while", m)
	m.paused = true
	life := m.life
	w.after(micros, func() {
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
	w.say("%s is the only bridge", m)
	for a := range membersMax {
		for b := range membersMax {
			w.net.cut[a][b] = w.net.cut[a][b] || a != m.id && b != m.id
		}
	}
	w.healNetAfter(w.between(500*milli, 5*second))
}

func (w *world) lossy(*member) {
	w.net.drop, w.net.twice = float64(w.between(1, 40)), float64(w.between(0, 20))
	w.say("the network drops %.0f %% and doubles %.0f %%", w.net.drop, w.net.twice)
	w.healNetAfter(w.between(500*milli, 6*second))
}

// corrupt lets bits of snapshots flip on their way.
func (w *world) corrupt(*member) {
	w.net.corrupt = float64(w.between(1, 30))
	w.say("%.0f %% of snapshots' pieces are damaged", w.net.corrupt)
	w.healNetAfter(w.between(2*second, 8*second))
}

func (w *world) slowNet(*member) {
	w.net.delay = w.between(20*milli, 400*milli)
	w.say("messages take up to %d ms", w.net.delay/milli)
	w.healNetAfter(w.between(500*milli, 6*second))
}

func (w *world) clockStep(m *member) {
	m.skew += w.between(-10*second, 10*second)
	w.say("the clock of %s steps to %+d ms", m, m.skew/milli)
}

// transfer moves leadership in order.
func (w *world) transfer(*member) {
	l, to := w.leader(), w.someMember()
	if l == nil || l == to {
		return
	}
	w.covered(Handed)
	w.say("%s shall hand over to %s", l, to)
	l.shard.Transfer(to.raft())
	l.turn()
}

// storm asks for one transfer after the other.
func (w *world) storm(*member) {
	w.say("leadership shall move all the time")
	until := w.now + w.between(second, 4*second)
	var again func()
	again = func() {
		w.after(w.between(20*milli, 400*milli), func() {
			if w.now < until && !w.calm {
				w.transfer(nil)
				again()
			}
		})
	}
	again()
}

// stale lets the leader sleep until another one leads, and wake up where it hears nothing of that.
func (w *world) stale(*member) {
	l := w.leader()
	if l == nil {
		return
	}
	w.say("%s is cut off and sleeps", l)
	w.net.isolate(l.id, true, true)
	w.pauseFor(l, w.between(1500*milli, 3*second))
	w.healNetAfter(w.between(3*second, 5*second))
}

// lull lets producers pause: what a member did last stays the last for a while.
func (w *world) lull(*member) {
	w.say("producers pause")
	w.quietUntil = w.now + w.between(500*milli, 4*second)
}

// twoOfThree is what lost acknowledged messages elsewhere: one follower sleeps, the other loses its power, then the leader dies, and
// only the two that know less come back.
func (w *world) twoOfThree(*member) {
	l := w.leader()
	var others []*member
	for _, m := range w.members {
		if m != l && m.up && !m.paused && !m.gone {
			others = append(others, m)
		}
	}
	if l == nil || len(others) < 2 {
		return
	}
	sleeper, loser := others[0], others[1]
	w.say("%s sleeps, %s loses its power, then %s dies", sleeper, loser, l)
	w.pauseFor(sleeper, 600*milli)
	w.after(400*milli, func() { w.loses(loser, 300*milli) })
	w.after(500*milli, func() { w.loses(l, w.between(second, 6*second)) })
}
