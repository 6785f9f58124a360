package sim

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/shard"
)

const (
	producers = 3
	readers   = 4
	queues    = 4
	topic     = "orders"
	inFlight  = 3 // tries of one producer
)

var host = netip.MustParseAddrPort("10.1.2.3:10911")

// client is a producer, or one who commits and reads offsets.
type client struct {
	w        *world
	name     string
	topic    string // a producer's
	pause    int64  // the longest between two steps
	next     int    // message or value
	flying   map[*try]bool
	again    []string        // messages whose outcome was not known
	floor    map[place]int64 // by queue: the newest acknowledged offset
	number   int
	reading  *reading
	writing  *writing
	producer shard.Producer
}

// try is a batch on its way.
type try struct {
	c     *client
	m     *member
	life  int
	ids   []string
	at    []place         // of each message
	floor map[place]int64 // what had been acknowledged before it was sent
	batch *shard.Batch
}

func (w *world) leader() *member {
	var leader *member
	for _, m := range w.members {
		if m.leads() && (leader == nil || m.shard.Status().Term > leader.shard.Status().Term) {
			leader = m
		}
	}
	return leader
}

// anyLeader is somebody who says to lead; a stale one says so, too.
func (w *world) anyLeader() *member {
	var all []*member
	for _, m := range w.members {
		if m.leads() {
			all = append(all, m)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all[w.rng.IntN(len(all))]
}

func (w *world) addProducer(i int, name, topic string, pause int64) {
	c := &client{w: w, name: fmt.Sprintf("%s%d", name, i), topic: topic, pause: pause, flying: map[*try]bool{}, floor: map[place]int64{}}
	c.producer.Producer = entry.Producer{Ref: uint32(len(w.clients) + 1), Group: c.name, Addr: "1.2.3.4:5"}
	w.clients = append(w.clients, c)
	c.loop(c.produce)
}

func (c *client) loop(do func()) {
	c.w.after(c.w.between(milli, max(c.pause, 100*milli)), func() {
		if !c.w.stopped {
			do()
			c.loop(do)
		}
	})
}

func (c *client) produce() {
	m := c.w.anyLeader()
	if m == nil || len(c.flying) >= inFlight || c.w.now < c.w.quietUntil && !c.w.calm {
		return
	}
	if !m.has(c.topic, queues) {
		m.turn()
		return
	}
	t := &try{c: c, m: m, life: m.life, floor: map[place]int64{}}
	for q, off := range c.floor {
		t.floor[q] = off
	}
	t.make(c.pick())
	c.flying[t] = true
	m.shard.Submit(t.batch)
	m.turn()
}

// pick is what is sent next: something new, or again what may not have been stored.
func (c *client) pick() []string {
	if len(c.again) > 0 && c.w.chance(50) {
		id := c.again[0]
		c.again = c.again[1:]
		c.w.covered(Resent)
		return []string{id}
	}
	ids := make([]string, c.w.between(1, 5))
	for i := range ids {
		c.next++
		ids[i] = fmt.Sprintf("%s-%d", c.name, c.next)
	}
	return ids
}

func (t *try) make(ids []string) {
	rng := t.c.w.rng
	t.ids = ids
	b := &shard.Batch{Done: t.done}
	e, _ := t.m.shard.Catalog().Topic(t.c.topic)
	index := t.m.shard.Index().Topic(e.Name, e.CreatedPos)
	for _, id := range ids {
		t.c.w.truth.sent[id]++
		q, from := rng.Int32N(e.WriteQueues), len(b.Buf)
		t.at = append(t.at, place{e.Name, e.CreatedPos, q})
		body := id + " " + strings.Repeat("x", rng.IntN(2000))
		props := message.AppendProperty(nil, message.PropUniqKey, id)
		b.Buf = message.Append(b.Buf, &message.Draft{
			Topic: []byte(e.Name), Body: []byte(body), Properties: props, QueueID: q, BornHost: host, StoreHost: host,
		})
		b.Items = append(b.Items, shard.Item{From: from, To: len(b.Buf), Queue: index.Queue(q), Producer: &t.c.producer})
	}
	t.batch = b
}

// done is the answer to a try.
func (t *try) done(b *shard.Batch) {
	c, w := t.c, t.c.w
	if !c.flying[t] {
		return // the member died meanwhile: nobody heard the answer
	}
	delete(c.flying, t)
	switch {
	case b.Err == nil:
		t.acked(b)
	case definite(b.Err):
		w.covered(Refused)
		for _, id := range t.ids {
			w.unsent(id, b.Err.Error())
		}
		c.again = append(c.again, t.ids...)
	default:
		t.uncertain()
	}
}

// unsent takes a try back of which it is certain that it was not stored.
func (w *world) unsent(id, why string) {
	if w.truth.sent[id]--; w.truth.sent[id] < w.truth.stored[id] {
		w.violate("message %s was refused (%s) and is stored", id, why)
	}
}

func (t *try) uncertain() {
	t.c.w.covered(Uncertain)
	t.c.again = append(t.c.again, t.ids...)
}

func (t *try) acked(b *shard.Batch) {
	c, w := t.c, t.c.w
	if w.lastAck > 0 {
		w.result.LongestMs = max(w.result.LongestMs, (w.now-w.lastAck)/milli)
	}
	w.lastAck = w.now
	for i := range b.Items {
		it, at := &b.Items[i], t.at[i]
		if it.Gone {
			w.covered(Gone)
			w.truth.gone = append(w.truth.gone, goneMessage{t.ids[i], at.created})
			w.unsent(t.ids[i], "its topic is gone")
			continue
		}
		w.covered(Acked)
		if before, ok := t.floor[at]; ok && it.Offset <= before {
			w.violate("%s: message %s got offset %d, one acknowledged before it was sent has %d", at, t.ids[i], it.Offset, before)
		}
		c.floor[at] = max(c.floor[at], it.Offset)
		w.truth.acked = append(w.truth.acked, ackedMessage{t.ids[i], at, it.Offset})
	}
}

// lost makes everything uncertain that a member had not answered when it died.
func (w *world) lost(m *member) {
	w.lostTimed(m)
	for _, x := range w.machines {
		x.lost(m)
	}
	for _, c := range w.clients {
		var gone []*try
		for t := range c.flying {
			if t.m == m {
				gone = append(gone, t)
			}
		}
		sortTries(gone)
		for _, t := range gone {
			delete(c.flying, t)
			t.uncertain()
		}
		if c.reading != nil && c.reading.m == m {
			c.reading = nil
		}
		if c.writing != nil && c.writing.m == m {
			w.judge.maybe(c.number, c.writing)
			c.writing = nil
		}
	}
}

// sortTries: a map has no order, and a run must be repeatable.
func sortTries(ts []*try) {
	for i := range ts {
		for j := i; j > 0 && ts[j].ids[0] < ts[j-1].ids[0]; j-- {
			ts[j], ts[j-1] = ts[j-1], ts[j]
		}
	}
}
