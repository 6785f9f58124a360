package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/shard"
)

// In every sixth run clients of a group pop the queues of a topic in order: one batch of a queue at a time. They acknowledge message by message,
// late, or never, ask for more time, and ask again with the same attempt when they heard no answer. ordered_log.go holds the log against the rules.

const (
	orderedName    = "o" // names of these messages begin with it
	orderedTopic   = "steps"
	orderedGroup   = "og"
	orderedClients = 3
)

// orders is all about ordered pops.
type orders struct {
	w *world
	dice
	log     orderedLog
	flying  flying
	answers []leaseAnswer
}

type orderedClient struct {
	o       *orders
	name    string
	number  int
	attempt string // the last one, which may be asked again
	queue   int32
}

func (w *world) addOrdered() {
	if !w.has(FocusOrdered, 3) {
		return
	}
	o := &orders{w: w, dice: dice{rand.New(rand.NewPCG(w.conf.Seed, 0x0d))}, flying: flying{}}
	o.log.init(o)
	w.machines = append(w.machines, o)
	for i := range orderedClients {
		c := &orderedClient{o: o, name: fmt.Sprint(orderedName, i)}
		c.loop()
	}
}

func (c *orderedClient) loop() {
	c.o.w.after(c.o.between(20*milli, 200*milli), func() {
		if m := c.o.w.anyLeader(); !c.o.w.stopped {
			if m != nil && m.has(orderedTopic, queues) {
				c.pop(m)
			}
			if m != nil {
				m.turn()
			}
			c.loop()
		}
	})
}

// pop takes the next batch of a queue; now and then it is the last request again.
func (c *orderedClient) pop(m *member) {
	o := c.o
	if c.attempt == "" || !o.chance(25) {
		c.number++
		c.attempt, c.queue = fmt.Sprintf("%s-%d", c.name, c.number), o.Int32N(queues)
	}
	p, ok := o.plan(m, c, m.shard.Index().Lookup(orderedTopic).Queue(c.queue))
	if !ok {
		return
	}
	o.flying.takes(m)
	m.shard.Submit(&shard.Batch{Deed: m.shard.LeaseDeed([]shard.PlannedLease{p}), Done: func(b *shard.Batch) {
		if o.flying.lands(m); b.Err == nil {
			o.popped(m, p.Lease)
		}
	}})
}

// plan is what the service takes of a queue: what is to be popped again, then new messages.
func (o *orders) plan(m *member, c *orderedClient, q *queue.Queue) (p shard.PlannedLease, ok bool) {
	k := delivery.Key{Group: orderedGroup, Topic: q.Topic, QueueID: q.ID}
	p.Position = m.shard.PopPosition(k)
	plan, err := m.shard.Deliveries().PlanOrdered(m.millis(), k, c.attempt, int(o.between(1, 4)))
	if err != nil || plan.Blocked {
		return p, false
	}
	first, end, _ := q.Bounds()
	next := min(max(first, p.Position.Offset), end)
	r := &entry.PopLease{
		Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Client: c.name, Attempt: c.attempt, Order: true, From: next, Next: next,
		PopMillis: plan.PopMillis, InvisibleMillis: o.between(200, 1200),
	}
	for _, again := range plan.Again {
		if again.Offset >= first { // else retention took it
			r.Offsets = append(r.Offsets, again.Offset)
		}
	}
	if len(r.Offsets) > 0 {
		r.From = r.Offsets[0]
	}
	for ; r.Next < min(end, next+int64(plan.Messages)); r.Next++ {
		r.Offsets = append(r.Offsets, r.Next)
	}
	p.Lease = r
	return p, len(r.Offsets) > 0
}

// popped is what a client does with a batch: message by message, until it fails.
func (o *orders) popped(m *member, r *entry.PopLease) {
	full, at := r.InvisibleMillis*milli, int64(0)
	for _, offset := range r.Offsets {
		h := handle{keyOf(r), entry.PopAck{Start: r.From, PopMillis: r.PopMillis, Offset: offset}, r.Client}
		o.told(m, leaseAnswer{handle: h, says: saysLeased})
		switch at += o.between(0, full/2); {
		case o.chance(12):
			o.later(at, func(m *member) { o.settle(m, h, o.between(50, 800)) })
		case o.chance(85):
			o.later(at, func(m *member) { o.settle(m, h, 0) })
		}
	}
}

func (o *orders) later(micros int64, do func(*member)) {
	o.w.after(micros, func() {
		if m := o.w.anyLeader(); m != nil && !o.w.stopped {
			do(m)
			m.turn()
		}
	})
}

// settle acknowledges a message or, with visible, asks for another time.
func (o *orders) settle(m *member, h handle, visible int64) {
	e := &delivery.Settle{Ack: h.ack, Client: h.client, VisibleMillis: visible}
	o.flying.takes(m)
	m.shard.Submit(&shard.Batch{
		Deed: m.shard.SettleDeed(h.key, func() []*delivery.Settle { return []*delivery.Settle{e} }),
		Done: func(b *shard.Batch) {
			if o.flying.lands(m); b.Err != nil && !errors.Is(b.Err, shard.ErrNoEffect) {
				return
			}
			switch {
			case errors.Is(e.Err, delivery.ErrSettled):
				o.told(m, leaseAnswer{handle: h, says: saysSettled})
			case e.Err != nil:
				o.told(m, leaseAnswer{h, saysRefused, e.Err})
			case visible == 0:
				o.told(m, leaseAnswer{handle: h, says: saysAcked})
			}
		},
	})
}

func (o *orders) told(m *member, says leaseAnswer) {
	if o.w.current(m) {
		o.log.judge(&says)
	}
	o.answers = append(o.answers, says)
}

func (o *orders) tend(*member) {}

func (o *orders) lost(m *member) { delete(o.flying, m) }

func (o *orders) rests(*member) bool { return len(o.flying) == 0 }
