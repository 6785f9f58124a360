package sim

import (
	"errors"

	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/timer"
)

// A scheduled message is pending, then fired or cancelled, for ever. So a cancel is linearizable when what it was answered is true when the answer
// comes, and after it: cancelled, when it is said to be; not pending, when it is said to be too late. No other order of the log can explain more.

const cancelPatience = 2 * second

// cancelling is a cancel on its way: first the barrier, then the deed.
type cancelling struct {
	t       *timed
	a       *scheduled
	due     int64 // ms
	m       *member
	life    int
	began   int64
	barrier <-chan error
	tries   int
	ended   bool  // the deed is answered
	err     error // with this
}

// cancelAnswer is what somebody was told.
type cancelAnswer struct {
	a   *scheduled
	err error
}

// mayCancel cancels a message or not, most when it is about due by the leader's clock.
func (t *timed) mayCancel(a *scheduled, due int64) {
	if !t.chance(40) {
		return
	}
	delay := t.between(0, 3*second)
	if l := t.w.leader(); l != nil && t.chance(70) {
		delay = (due-l.now().UnixMilli())*milli + t.between(-150*milli, 100*milli)
	}
	t.w.after(min(max(delay, 0), 5*second), func() { t.cancel(a, due) })
}

func (t *timed) cancel(a *scheduled, due int64) {
	m := t.w.anyLeader()
	if m == nil || t.w.stopped {
		return
	}
	c := &cancelling{t: t, a: a, due: due, m: m, life: m.life, began: t.w.now, barrier: m.shard.Barrier()}
	m.turn()
	c.poll()
}

// poll goes on when there is something to go on with. Who waits too long, or whose member died, never hears.
func (c *cancelling) poll() {
	w := c.t.w
	if !c.m.up || c.m.life != c.life || w.now-c.began > cancelPatience {
		return
	}
	if c.m.paused || !c.step() {
		w.after(c.t.between(2*milli, 40*milli), c.poll)
	}
}

// step says whether the cancel is answered.
func (c *cancelling) step() bool {
	switch {
	case c.barrier != nil:
		select {
		case err := <-c.barrier:
			if c.barrier = nil; err != nil {
				return true
			}
			return c.look()
		default:
			return false
		}
	case !c.ended:
		return false
	case errors.Is(c.err, timer.ErrCancelled) && c.tries == 1:
		return c.look()
	}
	c.answered(c.err)
	return true
}

// look finds the message and submits the deed.
func (c *cancelling) look() bool {
	b, err := c.m.shard.CancelTimer(topic, c.a.id, c.due)
	if err != nil {
		c.answered(err)
		return true
	}
	c.tries++
	c.ended = false
	b.Done = func(b *shard.Batch) { c.ended, c.err = true, b.Err }
	c.m.shard.Submit(b)
	c.m.turn()
	return false
}

func (c *cancelling) answered(err error) {
	w := c.t.w
	says := cancelAnswer{c.a, err}
	if w.current(c.m) { // else what it says may not have been looked at yet
		c.t.judgeCancel(says)
	}
	c.t.answers = append(c.t.answers, says)
}

// judgeCancel: an answer is true from the moment on at which it is given.
func (t *timed) judgeCancel(says cancelAnswer) {
	w, a := t.w, says.a
	states := t.log.states(a.id)
	if says.err == nil {
		if w.covered(Cancelled); states[gone] == 0 {
			w.violate("the cancel of %s is answered as done, and it is not cancelled: %v", a.id, states)
		} else if a.sent == 1 && states[fired] > 0 {
			w.violate("the cancel of %s is answered as done, and it was fired", a.id)
		}
		return
	}
	if a.acked == 0 || a.sent > 1 {
		return // it may never have been parked, or more than once
	}
	switch {
	case errors.Is(says.err, timer.ErrTooLate):
		if w.covered(TooLate); states[pending] > 0 {
			w.violate("the cancel of %s is answered as too late, and it is pending", a.id)
		}
	case errors.Is(says.err, timer.ErrCancelled), errors.Is(says.err, shard.ErrNotScheduled):
		if states[gone] == 0 {
			w.violate("the cancel of %s is answered [%v], and it is not cancelled: %v", a.id, says.err, states)
		}
	}
}
