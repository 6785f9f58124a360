package sim

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/shard"
)

// In every third run clients of a group pop messages of a topic, of its retry topic and of several queues at once. They acknowledge in time,
// late, twice, or never, and ask for another time when the first one is about over. The leader revives what is over, until it is a dead letter.
// leases_log.go holds the log against the rules, and the answers against the log.

const (
	leaseName    = "k" // names of these messages begin with it
	leaseTopic   = "tasks"
	leaseGroup   = "kg"
	leaseRetry   = "%RETRY%" + leaseGroup + "_" + leaseTopic
	leaseDead    = "%DLQ%" + leaseGroup
	leaseTimes   = 3 // revivals of a message
	leaseClients = 3
)

// leases is all about leases.
type leases struct {
	w *world
	dice
	log     leaseLog
	flying  flying
	answers []leaseAnswer
	resets  bool // offsets are reset now and then
}

// handle is what a client has of a message that it popped.
type handle struct {
	key    delivery.Key
	ack    entry.PopAck
	client string
}

// leaseAnswer is what a client was told of a message.
type leaseAnswer struct {
	handle
	says leaseSays
	err  error // of a refusal
}

type leaseSays int

const (
	saysLeased leaseSays = iota // or given another time: the handle is the new one
	saysAcked
	saysSettled // by this handle, it is not in flight any more
	saysRefused
)

func (w *world) addLeases() {
	if !w.has(FocusLeases, 0, 5) {
		return
	}
	s := &leases{w: w, dice: dice{rand.New(rand.NewPCG(w.conf.Seed, 0x90b))}, flying: flying{}}
	s.log.init(s)
	w.machines = append(w.machines, s)
	for i := range leaseClients {
		s.loop(fmt.Sprint(leaseName, i))
	}
	if s.resets = s.chance(40); s.resets {
		s.resetSometimes()
	}
}

// resetSometimes moves the group to another place in a queue now and then: all that is in flight there is forgotten.
func (s *leases) resetSometimes() {
	s.w.after(s.between(20*milli, second), func() {
		if m := s.w.anyLeader(); m != nil && !s.w.stopped {
			name, id := leaseTopic, s.Int32N(queues)
			if s.chance(30) {
				name, id = leaseRetry, 0
			}
			s.reset(m, name, id)
			m.turn()
		}
		s.resetSometimes()
	})
}

func (s *leases) reset(m *member, name string, id int32) {
	t := m.shard.Index().Lookup(name)
	if t == nil {
		return
	}
	_, end, _ := t.Queue(id).Bounds()
	m.shard.Command(entry.KindOffsetReset, entry.AppendOffset(nil, &entry.Offset{
		Group: leaseGroup, Topic: name, QueueID: id, Offset: max(end-s.between(0, 10), 0), Client: "reset", AtMicros: m.now().UnixMicro(),
	}))
}

func (s *leases) loop(client string) {
	s.w.after(s.between(20*milli, 300*milli), func() {
		if m := s.w.anyLeader(); !s.w.stopped {
			if m != nil {
				s.step(m, client)
			}
			s.loop(client)
		}
	})
}

func (s *leases) step(m *member, client string) {
	all := m.has(leaseRetry, 1)
	all = m.has(leaseDead, 1) && all
	if !m.has(leaseTopic, queues) || !all {
		m.turn()
		return
	}
	var planned []shard.PlannedLease
	for range s.between(1, 2) {
		name, id := leaseTopic, s.Int32N(queues)
		if s.chance(35) {
			name, id = leaseRetry, 0
		}
		if p, ok := s.plan(m, client, m.shard.Index().Lookup(name).Queue(id)); ok && !slices.ContainsFunc(planned, func(o shard.PlannedLease) bool { return keyOf(o.Lease) == keyOf(p.Lease) }) {
			planned = append(planned, p)
		}
	}
	if len(planned) > 0 {
		s.pop(m, planned)
		m.turn()
	}
}

func keyOf(r *entry.PopLease) delivery.Key {
	return delivery.Key{Group: r.Group, Topic: r.Topic, QueueID: r.QueueID}
}

// plan is what a pop takes of a queue.
func (s *leases) plan(m *member, client string, q *queue.Queue) (p shard.PlannedLease, ok bool) {
	k := delivery.Key{Group: leaseGroup, Topic: q.Topic, QueueID: q.ID}
	p.Position = m.shard.PopPosition(k)
	room, err := m.shard.Deliveries().CanPop(k, int(s.between(1, 4)))
	from, end, _ := q.Bounds()
	if p.Position.Known {
		from = min(max(from, p.Position.Offset), end)
	}
	if err != nil || room.Messages == 0 || from == end {
		return p, false
	}
	r := &entry.PopLease{
		Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Client: client, From: from, Next: min(end, from+int64(room.Messages)),
		PopMillis: m.millis(), InvisibleMillis: s.between(200, 1500),
	}
	for offset := r.From; offset < r.Next; offset++ {
		if !s.chance(3) { // else it does not match
			r.Offsets = append(r.Offsets, offset)
		}
	}
	p.Lease = r
	return p, true
}

func (s *leases) pop(m *member, planned []shard.PlannedLease) {
	s.flying.takes(m)
	m.shard.Submit(&shard.Batch{Deed: m.shard.LeaseDeed(planned), Done: func(b *shard.Batch) {
		if s.flying.lands(m); b.Err != nil {
			if errors.Is(b.Err, shard.ErrPlanOver) {
				s.w.covered(PlansOver)
			}
			return
		}
		for _, p := range planned {
			for _, offset := range p.Lease.Offsets {
				h := handle{keyOf(p.Lease), entry.PopAck{Start: p.Lease.From, PopMillis: p.Lease.PopMillis, Offset: offset}, p.Lease.Client}
				s.told(m, leaseAnswer{handle: h, says: saysLeased})
				s.consume(h, p.Lease.InvisibleMillis)
			}
		}
	}})
}

// consume is what a client does with a message that it has for so many ms.
func (s *leases) consume(h handle, millis int64) {
	full := millis * milli
	switch n := s.IntN(100); {
	case n < 50:
		s.later(s.between(0, full), func(m *member) { s.settle(m, h, 0) })
	case n < 65: // about when its time is over, or later
		s.later(full+s.between(-50*milli, second), func(m *member) { s.settle(m, h, 0) })
	case n < 80:
		s.later(full+s.between(-100*milli, 150*milli), func(m *member) { s.settle(m, h, s.between(100, 1500)) })
	}
	if s.chance(15) { // an answer was lost, or two threads do the same
		s.later(s.between(0, 2*full), func(m *member) { s.settle(m, h, 0) })
	}
}

func (s *leases) later(micros int64, do func(*member)) {
	s.w.after(max(micros, 0), func() {
		if m := s.w.anyLeader(); m != nil && !s.w.stopped {
			do(m)
			m.turn()
		}
	})
}

// settle is what the service does with an ack or, with visible, a change of the invisible time.
func (s *leases) settle(m *member, h handle, visible int64) {
	c, _ := m.shard.Offsets().Applied(offsetOf(h.key))
	if again, err := m.shard.Deliveries().CanAck(h.key, h.ack, max(c.Offset, 0)); again && err == nil {
		s.told(m, leaseAnswer{handle: h, says: saysSettled})
		return
	}
	if s.resets && s.chance(3) { // just then
		s.reset(m, h.key.Topic, h.key.QueueID)
	}
	e := &delivery.Settle{Ack: h.ack, Client: h.client, VisibleMillis: visible}
	s.flying.takes(m)
	m.shard.Submit(&shard.Batch{
		Deed: m.shard.SettleDeed(h.key, func() []*delivery.Settle { return []*delivery.Settle{e} }),
		Done: func(b *shard.Batch) {
			if s.flying.lands(m); b.Err == nil || errors.Is(b.Err, shard.ErrNoEffect) {
				s.settled(m, h, e)
			}
		},
	})
}

func (s *leases) settled(m *member, h handle, e *delivery.Settle) {
	switch {
	case errors.Is(e.Err, delivery.ErrSettled):
		s.told(m, leaseAnswer{handle: h, says: saysSettled})
	case e.Err != nil:
		s.told(m, leaseAnswer{h, saysRefused, e.Err})
	case e.VisibleMillis == 0:
		s.told(m, leaseAnswer{handle: h, says: saysAcked})
	default:
		h.ack.Start, h.ack.PopMillis = h.ack.Offset, e.AtMillis
		s.told(m, leaseAnswer{handle: h, says: saysLeased})
		s.consume(h, e.VisibleMillis)
	}
}

func (s *leases) told(m *member, says leaseAnswer) {
	if says.says == saysSettled {
		s.w.covered(AckedAgain)
	}
	if s.w.current(m) {
		s.log.judge(&says)
	}
	s.answers = append(s.answers, says)
}

// tend revives what is over; it may have been read for a while when that is submitted.
func (s *leases) tend(m *member) {
	over, _, _ := m.shard.Deliveries().Due(m.millis(), 64)
	slices.SortStableFunc(over, func(a, b delivery.Lease) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.QueueID, b.QueueID))
	})
	for len(over) > 0 {
		n := 1
		for n < len(over) && over[n].Key == over[0].Key {
			n++
		}
		if r := s.revival(m, over[:n]); r != nil {
			k := over[0].Key
			m.later(s.between(0, 40*milli), func() { s.revive(m, k, r) })
		}
		over = over[n:]
	}
}

func (s *leases) revive(m *member, k delivery.Key, r *shard.Revival) {
	r.Done = func(b *shard.Batch) {
		if s.flying.lands(m); errors.Is(b.Err, shard.ErrNothingOver) {
			s.w.covered(NothingOver)
		}
	}
	m.shard.Revive(k, r)
	s.flying.takes(m)
	m.shard.Submit(&r.Batch)
	m.turn()
}

// revival is what comes of leases of one queue that are over; nil: it cannot be read.
func (s *leases) revival(m *member, over []delivery.Lease) *shard.Revival {
	r := &shard.Revival{}
	q := m.shard.Index().Lookup(over[0].Topic).Queue(over[0].QueueID)
	for i := range over {
		r.Lease(&over[i])
		for _, offset := range over[i].Offsets {
			if from, _, _ := q.Bounds(); offset < from {
				r.Drop(offset)
				continue
			}
			rows, err := q.Rows(nil, offset, 1)
			if err != nil || len(rows) == 0 {
				return nil
			}
			v, err := m.message(rows[0].Pos, int32(rows[0].Size))
			if err != nil {
				return nil
			}
			s.copyOf(m, r, offset, v)
		}
	}
	return r
}

func (s *leases) copyOf(m *member, r *shard.Revival, offset int64, v message.View) {
	to, name := delivery.Route(v.ReconsumeTimes(), leaseTimes, 0), leaseRetry
	if to == entry.ToDeadLetter {
		name = leaseDead
	}
	d := message.DraftOf(v)
	d.Topic, d.QueueID, d.ReconsumeTimes, d.PreparedOffset = []byte(name), 0, v.ReconsumeTimes()+1, 0
	r.Copy(offset, to, shard.Item{Queue: m.shard.Index().Lookup(name).Queue(0)}, &d)
}

func (s *leases) lost(m *member) { delete(s.flying, m) }

// rests: nothing is on its way, and all that was not acknowledged in time came again.
func (s *leases) rests(l *member) bool { return len(s.flying) == 0 && !s.log.anyOver(l.millis()) }
