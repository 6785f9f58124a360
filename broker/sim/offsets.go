package sim

import (
	"fmt"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/offset"
)

// One client commits growing values for a key of its own and reads them back, wherever somebody says to lead. Values are
// linearizable: a read gives the newest that a completed operation saw, or a later one, in the order of the log.

type reading struct {
	m     *member
	done  <-chan error
	floor int64 // the newest value that was certain when the read began
}

type writing struct {
	m     *member
	done  <-chan error
	value int64
}

func (w *world) addCommitter(i int) {
	c := &client{w: w, name: fmt.Sprintf("c%d", i), key: offsetKey{fmt.Sprintf("g%d", i), int32(i)}}
	w.clients = append(w.clients, c)
	c.loop(c.commitOrRead)
}

func (c *client) commitOrRead() {
	c.collect()
	m := c.w.anyLeader()
	if m == nil {
		return
	}
	if _, ok := m.shard.Catalog().Topic(topic); !ok {
		return
	}
	if c.w.chance(50) && c.writing == nil {
		c.next++
		o := entry.Offset{Group: c.key.group, Topic: topic, QueueID: c.key.queue, Offset: int64(c.next), Client: c.name, AtMicros: m.now().UnixMicro()}
		c.writing = &writing{m, m.shard.Command(entry.KindOffsets, entry.AppendOffset(nil, &o)), int64(c.next)}
		m.turn()
	} else if c.reading == nil {
		c.reading = &reading{m, m.shard.Barrier(), int64(c.certain)}
		m.turn()
	}
	c.noteSome(m)
	c.collect()
}

// noteSome commits as consumers do: soon stored, and perhaps lost with the leader. Such commits must not be seen after it.
func (c *client) noteSome(m *member) {
	if c.w.chance(30) {
		q := m.shard.Index().Lookup(topic).Queue(3)
		_, end, _ := q.Bounds()
		m.shard.NoteOffset(&entry.Offset{Group: "noted", Topic: topic, QueueID: 3, Offset: end, Client: c.name, AtMicros: m.now().UnixMicro()})
	}
}

// collect takes answers that came.
func (c *client) collect() {
	if r := c.reading; r != nil {
		select {
		case err := <-r.done:
			c.reading = nil
			if err == nil && r.m.up {
				c.sawRead(r)
			}
		default:
		}
	}
	if wr := c.writing; wr != nil {
		select {
		case err := <-wr.done:
			c.writing = nil
			if err == nil {
				c.certain = max(c.certain, int(wr.value))
			}
		default:
		}
	}
}

func (c *client) sawRead(r *reading) {
	got, _ := r.m.shard.Offsets().Get(offset.Key{Group: c.key.group, Topic: topic, QueueID: c.key.queue})
	if !r.m.shard.Leads() {
		return
	}
	c.w.result.Reads++
	if got.Offset < r.floor {
		c.w.violate("%s reads commit %d of %s, although %d was certain before", r.m, got.Offset, c.key.group, r.floor)
	}
	if got.Offset > int64(c.next) {
		c.w.violate("%s reads commit %d of %s, the newest tried is %d", r.m, got.Offset, c.key.group, c.next)
	}
	c.certain = max(c.certain, int(got.Offset))
}
