package delivery

import (
	"encoding/binary"
	"slices"

	"github.com/contrailmq/contrail/broker/canon"
)

const saveVersion = 1

// What is known of a queue.
const (
	hasLeases  = 1
	hasOrdered = 2
	hasSent    = 4
)

// Save gives the state in its only form (package canon); nil if there is nothing and never was.
//
//	version 1 | popped acked changed retried deadLettered gone sentBacks | names: count, ascending
//	queues: count, each by key: group | topic | queue id | what is known of it [| next [| leases] [| ordered]] [| sent back]
//	leases: count, each by handle: ±start | ±pop | invisible | client | messages*2+sparse [| gap of each] | acked
//	ordered: start | pop | invisible | client | attempt | messages, each: gap | ±until | times*2+leased
//	sent back: count, gap of each
//
// ± is the difference to the one before, a gap what lies between an offset and the one before it.
func (t *Table) Save() []byte {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.counts == (Counts{}) && len(t.at) == 0 {
		return nil
	}
	w := &writer{t: t, b: []byte{saveVersion}, at: map[string]uint64{}}
	c := &t.counts
	w.uints(c.Popped, c.Acked, c.Changed, c.Retried, c.DeadLettered, c.Gone, c.SentBacks)
	var all []*queue
	for _, q := range t.queues {
		if q != nil {
			all = append(all, q)
		}
	}
	slices.SortFunc(all, func(a, b *queue) int { return compareKeys(a.key, b.key) })
	w.names(all)
	w.uints(int64(len(all)))
	for _, q := range all {
		w.queue(q)
	}
	return w.b
}

type writer struct {
	t       *Table
	b       []byte
	at      map[string]uint64
	clients []uint64 // a client's number here to its saved one
}

func (w *writer) uints(vs ...int64) {
	for _, v := range vs {
		w.b = binary.AppendUvarint(w.b, uint64(v))
	}
}

func (w *writer) int(v int64) { w.b = binary.AppendVarint(w.b, v) }

func (w *writer) name(s string) { w.b = binary.AppendUvarint(w.b, w.at[s]) }

// names writes every name that is used, once.
func (w *writer) names(all []*queue) {
	for _, q := range all {
		w.at[q.key.Group], w.at[q.key.Topic] = 0, 0
		if q.ordered != nil {
			w.at[q.ordered.attempt] = 0
		}
	}
	for name := range w.t.clients.at {
		w.at[name] = 0
	}
	names := make([]string, 0, len(w.at))
	for name := range w.at {
		names = append(names, name)
	}
	slices.Sort(names)
	w.uints(int64(len(names)))
	for i, name := range names {
		w.at[name] = uint64(i)
		w.b = canon.AppendName(w.b, name)
	}
	w.clients = make([]uint64, len(w.t.clients.all))
	for name, i := range w.t.clients.at {
		w.clients[i] = w.at[name]
	}
}

func (w *writer) queue(q *queue) {
	w.name(q.key.Group)
	w.name(q.key.Topic)
	what := int64(0)
	if len(q.leases) > 0 {
		what |= hasLeases
	}
	if q.ordered != nil {
		what |= hasOrdered
	}
	if len(q.sent) > 0 {
		what |= hasSent
	}
	w.uints(int64(uint32(q.key.QueueID)), what)
	if q.popped() {
		w.uints(q.next)
	}
	if len(q.leases) > 0 {
		w.leases(q)
	}
	if q.ordered != nil {
		w.ordered(q.ordered)
	}
	if len(q.sent) > 0 {
		w.uints(int64(len(q.sent)))
		w.gaps(q.sent)
	}
}

func (w *writer) gaps(offsets []int64) {
	last := int64(-1)
	for _, offset := range offsets {
		w.uints(offset - last - 1)
		last = offset
	}
}

func (w *writer) leases(q *queue) {
	w.uints(int64(len(q.leases)))
	var last slot
	for _, i := range q.leases {
		s := w.t.slots[i]
		w.int(s.start - last.start)
		w.int(s.pop - last.pop)
		w.uints(s.invisible)
		w.b = binary.AppendUvarint(w.b, w.clients[s.client])
		if s.sparse {
			w.uints(int64(s.count)*2 + 1)
			before := int64(-1)
			for _, delta := range w.t.sparse[i] {
				w.uints(int64(delta) - before - 1)
				before = int64(delta)
			}
		} else {
			w.uints(int64(s.count) * 2)
		}
		w.b = binary.AppendUvarint(w.b, s.acked)
		last = s
	}
}

func (w *writer) ordered(b *batch) {
	s := &w.t.slots[b.slot]
	w.uints(s.start, s.pop, s.invisible)
	w.b = binary.AppendUvarint(w.b, w.clients[s.client])
	w.name(b.attempt)
	w.uints(int64(len(b.items)))
	last, until := int64(-1), s.pop
	for i := range b.items {
		it := &b.items[i]
		w.uints(it.offset - last - 1)
		w.int(it.until - until)
		times := int64(it.times) * 2
		if it.leased {
			times++
		}
		w.uints(times)
		last, until = it.offset, it.until
	}
}
