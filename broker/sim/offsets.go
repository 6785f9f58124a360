package sim

import (
	"errors"
	"fmt"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/shard"
)

// Clients write to registers (the offsets of two groups) and read them, wherever somebody says to lead. A value is written once, so
// a read tells which write it saw. Registers are linearizable: a read sees the newest write, in the order of the log, that was
// done or seen before it began, or a later one. porcupine.go judges the same histories without knowing the log.

const registers = 2

// registerTopic is never made and never deleted: offsets need none.
const registerTopic = "registers"

type reading struct {
	m     *member
	done  <-chan error
	key   offsetKey
	floor uint64 // the newest entry that is certain to be seen
	call  int64
}

type writing struct {
	m     *member
	done  <-chan error
	key   offsetKey
	value int64
	call  int64
}

func (w *world) addCommitter(i int) {
	c := &client{w: w, name: fmt.Sprintf("c%d", i), number: i, flying: map[*try]bool{}}
	w.clients = append(w.clients, c)
	c.loop(c.commitOrRead)
}

func (c *client) register() offsetKey {
	i := c.w.rng.IntN(registers)
	return offsetKey{fmt.Sprintf("g%d", i), int32(i)}
}

func (c *client) commitOrRead() {
	c.collect()
	m := c.w.anyLeader()
	if m == nil || c.reading != nil || c.writing != nil {
		return
	}
	key := c.register()
	if c.w.chance(50) {
		c.write(m, key)
	} else {
		c.read(m, key)
	}
	if m.leads() {
		c.noteSome(m)
	}
	c.collect()
}

func (c *client) write(m *member, key offsetKey) {
	c.w.values++
	o := entry.Offset{Group: key.group, Topic: registerTopic, QueueID: key.queue, Offset: c.w.values, Client: c.name, AtMicros: m.now().UnixMicro()}
	c.writing = &writing{m, m.shard.Command(entry.KindOffsets, entry.AppendOffset(nil, &o)), key, o.Offset, c.w.now}
	m.turn()
}

func (c *client) read(m *member, key offsetKey) {
	r := &reading{m: m, key: key, floor: c.w.truth.certain[key], call: c.w.now}
	if c.w.conf.SkipBarrier {
		c.sawRead(r)
		return
	}
	r.done = m.shard.Barrier()
	c.reading = r
	m.turn()
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
			c.wrote(wr, err)
		default:
		}
	}
}

// certainly makes a write one that every later read must see.
func (w *world) certainly(key offsetKey, index uint64) {
	w.truth.certain[key] = max(w.truth.certain[key], index)
}

func (c *client) wrote(wr *writing, err error) {
	w := c.w
	index, stored := w.truth.commits[wr.value]
	switch {
	case err == nil && !stored:
		w.violate("commit %d was acknowledged and is not in the log", wr.value)
	case err == nil:
		w.covered(Writes)
		w.certainly(wr.key, index)
		w.judge.wrote(c.number, wr, w.now)
	case definite(err):
		w.truth.refused[wr.value] = true
		if stored {
			w.violate("commit %d was refused (%v) and is in the log", wr.value, err)
		}
	default:
		w.judge.maybe(c.number, wr)
	}
}

// definite says that what got this answer was not stored.
func definite(err error) bool {
	for _, refusal := range []error{shard.ErrNotLeader, shard.ErrBusy, shard.ErrNoSpace, shard.ErrBehind} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

func (c *client) sawRead(r *reading) {
	w := c.w
	got, ok := r.m.shard.Offsets().Get(offset.Key{Group: r.key.group, Topic: registerTopic, QueueID: r.key.queue})
	if !r.m.leads() {
		return
	}
	w.covered(Reads)
	index := uint64(0)
	if ok {
		if index = w.truth.commits[got.Offset]; index == 0 {
			w.violate("%s reads commit %d of %s, which is not in the log", r.m, got.Offset, r.key.group)
		}
	}
	if index < r.floor {
		w.violate("%s reads commit %d of %s from entry %d, although entry %d was certain before", r.m, got.Offset, r.key.group, index, r.floor)
	}
	w.certainly(r.key, index)
	w.judge.read(c.number, r, got.Offset, w.now)
}
