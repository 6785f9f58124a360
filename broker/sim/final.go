package sim

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
)

const (
	servePatience = 8 * second  // until somebody is answered after faults ended
	quietPatience = 30 * second // until all members have the same
)

// finish ends all faults, waits for service, stops the clients, waits until all members are equal, and checks everything.
func (w *world) finish() {
	if w.result.Violation != "" {
		return
	}
	w.heal()
	acked := w.result.Coverage[Acked]
	w.run(w.now+servePatience, func() bool { return w.result.Coverage[Acked] > acked })
	if w.result.Coverage[Acked] == acked && w.result.Violation == "" {
		w.violate("nobody was answered for %d s after faults ended: %s", servePatience/second, w.states())
	}
	w.run(w.now+second, never)
	w.stopped = true
	w.run(w.now+quietPatience, w.equal)
	if w.result.Violation != "" {
		return
	}
	if !w.equal() {
		w.violate("members are not equal %d s after the last message: %s", quietPatience/second, w.states())
		return
	}
	w.checkAcked()
	w.checkGone()
	w.checkRegisters()
	w.checkTimed()
	for _, m := range w.machines {
		m.final()
	}
	for _, m := range w.members {
		if m.up && !m.wiped && !m.leaving {
			w.checkMember(m)
		}
	}
}

func (w *world) heal() {
	w.calm = true
	w.say("faults end")
	w.net.usual = 0
	w.net.heal()
	for _, m := range w.members {
		m.disk.Capacity = 0
		m.slow, m.slowSeal = false, false
		m.disks.heal()
		m.resume()
		if m.up && m.sealing {
			m.later(milli, m.seal)
		}
		if m.failed() != nil {
			m.crash(true)
		}
		if !m.up {
			w.restart(m, w.between(10*milli, 100*milli))
		}
	}
}

func (w *world) states() (out []string) {
	for _, m := range w.members {
		if m.gone {
			continue
		}
		if !m.up {
			out = append(out, m.String()+" is down")
			continue
		}
		s := m.shard.Status()
		text := "applied"
		if err := m.failed(); err != nil {
			text = err.Error()
		}
		out = append(out, m.String()+": "+text+" "+utoa(s.Applied)+" commit "+utoa(s.Commit)+" term "+utoa(s.Term)+" lead "+utoa(s.Lead))
	}
	return out
}

// equal says that somebody leads, everything is answered, and all members that live have applied the same.
func (w *world) equal() bool {
	l := w.leader()
	if l == nil {
		return false
	}
	for _, c := range w.clients {
		if len(c.flying) > 0 {
			return false
		}
	}
	if w.timed != nil && (!w.timed.quiet() || !w.nothingDue(l)) {
		return false
	}
	for _, m := range w.machines {
		if !m.rests(l) {
			return false
		}
	}
	for _, m := range w.members {
		if m.gone || m.wiped || m.leaving {
			continue
		}
		if !m.up || m.shard.Committed() != l.shard.Committed() || m.read != uint64(len(w.truth.entries)) || m.shard.Seals() || l.shard.Offsets().Dirty() {
			return false
		}
	}
	return true
}

// checkAcked: what was acknowledged stands where the answer said.
func (w *world) checkAcked() {
	for _, a := range w.truth.acked {
		q := w.truth.queues[a.place]
		if a.offset >= int64(len(q)) {
			w.violate("acknowledged message %s at offset %d of %s is lost: the queue ends at %d", a.id, a.offset, a.place, len(q))
		} else if q[a.offset] != a.id {
			w.violate("acknowledged message %s at offset %d of %s is lost: %s stands there", a.id, a.offset, a.place, q[a.offset])
		}
	}
}

// checkMember: the member's index leads to exactly the messages of the truth, and its state is the others'.
func (w *world) checkMember(m *member) {
	w.checkPending(m)
	for _, name := range slices.Sorted(maps.Keys(w.truth.made)) {
		t, created := m.shard.Index().Lookup(name), w.truth.made[name]
		if t == nil {
			continue
		}
		for _, q := range t.Queues() {
			from, end, _ := q.Bounds()
			p := place{name, created, q.ID}
			if want := int64(len(w.truth.queues[p])); end != want {
				w.violate("%s: %s ends at %d, the truth at %d", m, p, end, want)
			}
			for off := from; off < end && w.result.Violation == ""; {
				off = w.checkRows(m, q, p, off)
			}
		}
	}
	for _, other := range w.members {
		if other != m && other.up && !other.wiped && !other.leaving && m.failed() == nil && other.failed() == nil {
			w.checkSame(m, other)
		}
	}
}

// checkSame: what two members keep is the same, byte for byte where it is saved so.
func (w *world) checkSame(a, b *member) {
	switch {
	case !reflect.DeepEqual(a.shard.Offsets().Save(), b.shard.Offsets().Save()):
		w.violate("%s and %s have different offsets", a, b)
	case !bytes.Equal(a.shard.Txn().Save(), b.shard.Txn().Save()):
		w.violate("%s and %s have different transactions", a, b)
	case !bytes.Equal(a.shard.Deliveries().Save(), b.shard.Deliveries().Save()):
		w.violate("%s and %s have different deliveries", a, b)
	}
}

func (w *world) checkRows(m *member, q *queue.Queue, p place, off int64) int64 {
	queue := q.ID
	rows, err := q.Rows(nil, off, 64)
	if err != nil || len(rows) == 0 {
		w.violate("%s: queue %d at %d: %d rows, %v", m, queue, off, len(rows), err)
		return off
	}
	for _, r := range rows {
		raw, err := m.shard.Message(nil, r.Pos, int(r.Size))
		if err != nil {
			if !m.mayRefuse(err) {
				w.violate("%s: queue %d at %d: %v", m, queue, off, err)
			}
			return off + 1
		}
		v, err := message.Parse(raw)
		if err != nil || v.QueueOffset() != off || v.QueueID() != queue || idOf(v) != w.truth.queues[p][off] {
			if !m.damaged {
				w.violate("%s: queue %d at %d: %q stands there, the truth says %s (%v)", m, queue, off, idOf(v), w.truth.queues[p][off], err)
			}
		}
		off++
	}
	return off
}

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }
