package sim

import (
	"github.com/contrailmq/contrail/broker/timer"
)

// checkTimer holds a member's timer against the log, when it has applied all of it.
func (w *world) checkTimer(m *member) {
	t := w.timed
	if t == nil || m.read != uint64(len(w.truth.entries)) || m.read != m.shard.Committed() || m.failed() != nil {
		return
	}
	l, have := &t.log, m.shard.Timers()
	if have.Counts() != l.counts || have.Cursor() != l.cursor || have.Rolled() != l.rolled {
		w.violate("%s counts %+v, fired: %v, rolled up to %d; the log says %+v, %v, %d", m, have.Counts(), have.Cursor(), have.Rolled(), l.counts, l.cursor, l.rolled)
	}
}

// nothingDue says that the leader has fired all that is due by its clock.
func (w *world) nothingDue(l *member) bool {
	next, ok, err := l.shard.Timers().Next()
	return err == nil && (!ok || next > l.now().UnixMilli())
}

// checkTimed: what was answered holds in the end, what is due is fired, and each member's pending messages are the log's.
func (w *world) checkTimed() {
	t := w.timed
	if t == nil {
		return
	}
	for _, a := range t.acked {
		if !t.log.has(a) {
			w.violate("scheduled message %s, parked at position %d and due at %d as answered, is lost: %+v", a.id, a.acked, a.out, t.log.states(a.id))
		}
	}
	for _, says := range t.answers {
		t.judgeCancel(says)
	}
	now := w.leader().now().UnixMilli()
	for _, c := range t.log.pending {
		if c.due <= now {
			w.violate("%s is due at %d and was not fired at %d", c.id, c.due, now)
		}
	}
}

// has says that a message stands where its answer said, in one of the states.
func (l *timedLog) has(a *scheduled) bool {
	for _, c := range l.copies[a.id] {
		if c.first == a.acked && c.due == a.out {
			return true
		}
	}
	return false
}

// checkPending compares all that is pending.
func (w *world) checkPending(m *member) {
	if w.timed == nil || m.failed() != nil {
		return
	}
	have, _, err := m.shard.Timers().Due(nil, timer.DueMax, 1<<20)
	if err != nil {
		if !m.mayRefuse(err) {
			w.violate("%s: what is pending: %v", m, err)
		}
		return
	}
	want := w.timed.log.pending
	if len(have) != len(want) {
		w.violate("%s has %d pending messages, the log %d", m, len(have), len(want))
		return
	}
	for i, e := range have {
		if e.Place() != want[i].place() {
			w.violate("%s has a pending message %v, the log %v", m, e.Place(), want[i].place())
		}
	}
}
