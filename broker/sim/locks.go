package sim

import (
	"fmt"
	"math/rand/v2"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/group"
)

// Ordered consumers lock queues and trust what they are told for half a lock's time, as RocketMQ's do (60 s and 30 s; here all is twenty
// times as fast). No two of them may ever trust that they hold one queue. In a third of the runs, with chance of their own, so that
// the other runs stay what they were.

const (
	lockers      = 3
	lockQueues   = 2
	lockGroup    = "ordered"
	lockFor      = group.LockForMillis / 20   // ms
	lockFresh    = group.LockFreshMillis / 20 // ms
	lockTrust    = 1500 * milli
	lockPatience = 150 * milli // until a client gives its request up
)

type locker struct {
	w      *world
	rng    *rand.Rand
	name   string
	asking *lockAsk
	trusts map[group.QueueRef]int64 // until then
}

// lockAsk is a request on its way: first the barrier, then, when it is needed, the record.
type lockAsk struct {
	m       *member
	life    int
	done    <-chan error
	at      int64
	record  bool
	unlocks bool
}

func (w *world) addLockers() {
	if w.conf.Seed%3 != 0 && w.conf.Focus != FocusLocks {
		return
	}
	rng := rand.New(rand.NewPCG(w.conf.Seed, 0x10c))
	for i := range lockers {
		l := &locker{w: w, rng: rng, name: fmt.Sprintf("l%d", i), trusts: map[group.QueueRef]int64{}}
		w.lockers = append(w.lockers, l)
		l.loop()
	}
}

func (l *locker) loop() {
	l.w.after(20*milli+l.rng.Int64N(80*milli), func() {
		if !l.w.stopped {
			l.step()
			l.loop()
		}
	})
}

func queuesToLock() (out []group.QueueRef) {
	for i := range int32(lockQueues) {
		out = append(out, group.QueueRef{Topic: topic, Broker: "b", QueueID: i})
	}
	return out
}

func (l *locker) step() {
	if l.asking != nil {
		l.collect()
		return
	}
	m := l.w.anyLeader()
	if m == nil {
		return
	}
	l.asking = &lockAsk{m: m, life: m.life, at: l.w.now}
	if l.rng.IntN(10) == 0 {
		clear(l.trusts)
		l.asking.unlocks = true
		l.record(0)
	} else {
		l.asking.done = m.shard.Barrier()
	}
	m.turn()
	if l.asking != nil {
		l.collect()
	}
}

func (l *locker) record(millis int64) {
	a := l.asking
	a.record = true
	a.done = a.m.shard.Command(entry.KindQueueLocks, a.m.shard.LockBody(millis, lockGroup, l.name, queuesToLock()))
}

// collect takes an answer that came in time.
func (l *locker) collect() {
	a := l.asking
	if l.w.now-a.at > lockPatience || a.m.life != a.life {
		l.asking = nil
		return
	}
	if a.m.paused {
		return
	}
	select {
	case err := <-a.done:
		l.answered(a, err)
	default:
	}
}

func (l *locker) answered(a *lockAsk, err error) {
	s := a.m.shard
	if err == nil && !a.record && !s.LocksSettled(lockFresh, lockGroup, l.name, queuesToLock()) {
		l.record(lockFor)
		a.m.turn()
		return
	}
	if l.asking = nil; err != nil || a.unlocks {
		return
	}
	clear(l.trusts)
	for _, q := range s.Locks().Held(s.LockNow(), lockGroup, l.name, queuesToLock()) {
		l.trust(q)
	}
}

func (l *locker) trust(q group.QueueRef) {
	w := l.w
	w.covered(Locked)
	l.trusts[q] = w.now + lockTrust
	for _, other := range w.lockers {
		if other != l && other.trusts[q] > w.now {
			w.violate("%s and %s both hold queue %d", l.name, other.name, q.QueueID)
		}
	}
}
