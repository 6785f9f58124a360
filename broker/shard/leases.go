package shard

import (
	"errors"

	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/offset"
)

// Why deeds of leases do not hold.
var (
	ErrPlanOver    = errors.New("the queue changed since the pop was planned")
	ErrNothingOver = errors.New("all was acknowledged meanwhile")
	ErrNoEffect    = errors.New("nothing of it has any effect")
)

// PopPosition is where a group pops next in a queue.
type PopPosition struct {
	Offset int64
	Known  bool // else the group never consumed of it
}

// PopPosition gives it as far as is known.
func (s *Shard) PopPosition(k delivery.Key) PopPosition {
	if st, ok := s.deliveries.Get(k); ok && st.InFlight > 0 {
		return PopPosition{st.Next, true}
	}
	c, ok := s.offsets.Get(offset.Key(k))
	return PopPosition{c.Offset, ok && c.Offset >= 0}
}

// PlannedLease is a lease, and from where it was planned.
type PlannedLease struct {
	Lease    *entry.PopLease
	Position PopPosition
}

func (p *PlannedLease) key() delivery.Key {
	return delivery.Key{Group: p.Lease.Group, Topic: p.Lease.Topic, QueueID: p.Lease.QueueID}
}

// LeaseDeed leases what one pop takes of some queues. It is refused with ErrPlanOver.
func (s *Shard) LeaseDeed(planned []PlannedLease) *Deed {
	d := &Deed{}
	for i := range planned {
		d.Keys = append(d.Keys, KeyOf(planned[i].key()))
		d.Commands = append(d.Commands, Command{entry.KindPopLease, entry.AppendPopLease(nil, planned[i].Lease)})
	}
	d.Holds = func(int64) error {
		for i := range planned {
			if !s.planHolds(&planned[i]) {
				return ErrPlanOver
			}
		}
		return nil
	}
	return d
}

// planHolds says whether a queue is as a lease of it was planned. An ordered one may give again what was in flight then: when nothing is any
// more, that was acknowledged, and the group's place alone does not tell.
func (s *Shard) planHolds(p *PlannedLease) bool {
	k := p.key()
	if s.PopPosition(k) != p.Position || s.deliveries.CanLease(p.Lease) != nil {
		return false
	}
	st, _ := s.deliveries.Get(k)
	return s.opts.Planted.PlanByPlace || st.InFlight > 0 || !p.Position.Known || p.Lease.From >= p.Position.Offset
}

// SettleDeed records what clients say of messages that a group popped of a queue: take gives all that came until the deed is formed. Each
// one's Err says whether it has an effect. The deed is refused with ErrNoEffect when nothing has.
func (s *Shard) SettleDeed(k delivery.Key, take func() []*delivery.Settle) *Deed {
	d := &Deed{Keys: []uint64{KeyOf(k)}}
	d.Holds = func(now int64) error {
		c, _ := s.offsets.Applied(offset.Key(k))
		all := take()
		acks, changes := s.deliveries.Settle(k, now/1000, max(c.Offset, 0), all)
		if s.opts.Planted.Unasked == entry.KindPopAck {
			acks = acksUnasked(k, now/1000, all)
		}
		d.Commands = d.Commands[:0]
		for i := range acks {
			d.Commands = append(d.Commands, Command{entry.KindPopAck, entry.AppendPopAcks(nil, &acks[i])})
		}
		for i := range changes {
			d.Commands = append(d.Commands, Command{entry.KindPopChange, entry.AppendPopChange(nil, &changes[i])})
		}
		if len(d.Commands) == 0 {
			return ErrNoEffect
		}
		return nil
	}
	return d
}

// Revival takes messages out of leases of one queue that are over, and brings their copies. Batch is what to submit when Deed was called.
type Revival struct {
	Batch
	records []entry.PopRevive
	copies  []revivedCopy // of Items
}

// revivedCopy is of which message an item is a copy.
type revivedCopy struct {
	record int
	offset int64
}

// Lease goes on with a lease.
func (r *Revival) Lease(l *delivery.Lease) {
	r.records = append(r.records, entry.PopRevive{Group: l.Group, Topic: l.Topic, QueueID: l.QueueID, Start: l.Start, PopMillis: l.PopMillis})
}

// Copy takes a message of the lease: its copy goes to where it and d say.
func (r *Revival) Copy(offset int64, to entry.PopTo, it Item, d *message.Draft) {
	r.Put(it, d)
	r.copies = append(r.copies, revivedCopy{len(r.records) - 1, offset})
	r.take(offset, to)
}

// Drop takes a message of the lease that is not there any more.
func (r *Revival) Drop(offset int64) { r.take(offset, entry.ToNothing) }

func (r *Revival) take(offset int64, to entry.PopTo) {
	last := &r.records[len(r.records)-1]
	last.Messages = append(last.Messages, entry.Revived{Offset: offset, To: to})
}

// Revive gives a revival its deed: what was acknowledged until it is formed is left out. It is refused with ErrNothingOver when nothing is left.
func (s *Shard) Revive(k delivery.Key, r *Revival) *Deed {
	r.Deed = &Deed{Keys: []uint64{KeyOf(k)}, Holds: func(now int64) error { return s.stillOver(r, now/1000) }}
	for i := range r.records { // what the entry may need is known before it is formed
		r.Deed.Commands = append(r.Deed.Commands, Command{entry.KindPopRevive, entry.AppendPopRevive(nil, &r.records[i])})
	}
	return r.Deed
}

func (s *Shard) stillOver(r *Revival, now int64) error {
	left := map[revivedCopy]bool{}
	commands := r.Deed.Commands[:0]
	for i := range r.records {
		p := &r.records[i]
		if p.AtMillis = now; s.opts.Planted.Unasked != entry.KindPopRevive && !s.deliveries.StillOver(p) {
			continue
		}
		for _, v := range p.Messages {
			left[revivedCopy{i, v.Offset}] = true
		}
		commands = append(commands, Command{entry.KindPopRevive, entry.AppendPopRevive(nil, p)})
	}
	r.Deed.Commands = commands
	items := r.Items[:0]
	for i, it := range r.Items {
		if left[r.copies[i]] {
			items = append(items, it)
		}
	}
	if r.Items = items; len(commands) == 0 {
		return ErrNothingOver
	}
	return nil
}
