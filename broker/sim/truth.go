package sim

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/vfs"
)

// truth is the log as the first member that applied an entry showed it, and what follows from it.
type truth struct {
	entries []truthEntry     // entry i+1
	made    map[string]int64 // topics that are there now: the position that made each
	queues  map[place][]string
	sent    map[string]int // message → tries
	stored  map[string]int // message → copies
	all     []Stored
	acked   []ackedMessage
	gone    []goneMessage
	commits map[int64]uint64 // value of a register → entry
	refused map[int64]bool   // values that were said not to be stored
	certain map[offsetKey]uint64
	noted   map[offset.Commit]uint64
}

type truthEntry struct {
	term uint64
	pos  int64
	hash uint64
}

type ackedMessage struct {
	id     string
	place  place
	offset int64
}

type offsetKey struct {
	group string
	queue int32
}

var hashSeed = maphash.MakeSeed() // compared within one process only

func (t *truth) init() {
	t.made = map[string]int64{}
	t.queues, t.sent, t.stored = map[place][]string{}, map[string]int{}, map[string]int{}
	t.commits, t.refused, t.certain = map[int64]uint64{}, map[int64]bool{}, map[offsetKey]uint64{}
	t.noted = map[offset.Commit]uint64{}
}

// observe compares what a member shows newly with the truth, and adds to it.
func (w *world) observe(m *member) {
	if !m.up {
		return
	}
	if s := m.shard.Status(); s.Leads {
		w.led(m, s.Term)
	}
	w.checkWorks(m)
	m.disks.watched = true
	defer func() { m.disks.watched = false }()
	for m.read < m.shard.Committed() || w.conf.Planted.ReadPastCommit {
		next, err := m.entries(m.read+1, func(r entry.Record) error { return w.compare(m, r) })
		if errors.Is(err, seglog.ErrCompacted) {
			m.read = m.shard.First() - 1
			continue
		}
		if err != nil {
			if !m.mayRefuse(err) {
				w.violate("%s: %v", m, err)
			}
			return
		}
		if next == m.read+1 {
			return
		}
		m.read = next - 1
	}
	w.checkTimer(m)
	w.compareMachines(m)
}

// mayRefuse says whether a member may fail to show something: its disk failed or decayed. It must not show anything wrong.
func (m *member) mayRefuse(err error) bool {
	var damage *seglog.CorruptError
	return errors.Is(err, errDisk) || m.damaged && errors.As(err, &damage) || m.shard.Failed() != nil
}

// checkWorks: only its disk keeps a member from applying what is in the log.
func (w *world) checkWorks(m *member) {
	var damage *seglog.CorruptError
	if err := m.failed(); err != nil && !errors.Is(err, errDisk) && !errors.Is(err, vfs.ErrNoSpace) && !(m.damaged && errors.As(err, &damage)) {
		w.violate("%s stops: %v", m, err)
	}
}

func (w *world) led(m *member, term uint64) {
	if other, ok := w.leaders[term]; ok && other != m.id {
		w.violate("members %d and %d both lead in term %d", other+1, m.id+1, term)
	} else if !ok {
		w.leaders[term] = m.id
		w.covered(Terms)
		w.say("%s leads in term %d", m, term)
	}
}

func (w *world) compare(m *member, r entry.Record) error {
	t := &w.truth
	e := truthEntry{r.Term, r.Pos, maphash.Bytes(hashSeed, r.Data)}
	if r.Index <= uint64(len(t.entries)) {
		if known := t.entries[r.Index-1]; known != e {
			return fmt.Errorf("entry %d is term %d at %d here, another member showed term %d at %d, bytes equal %t", r.Index, e.term, e.pos, known.term, known.pos, e.hash == known.hash)
		}
		w.show(m, r)
		return nil
	}
	if r.Index != uint64(len(t.entries))+1 {
		return fmt.Errorf("entry %d is shown after %d", r.Index, len(t.entries))
	}
	t.entries = append(t.entries, e)
	w.show(m, r)
	return w.add(r)
}

func (w *world) show(m *member, r entry.Record) {
	if w.conf.Entries != nil {
		w.conf.Entries(m.id, r)
	}
}

// add takes a new entry into the truth.
func (w *world) add(r entry.Record) error {
	b, err := entry.Decode(r.Data)
	if err != nil {
		return err
	}
	w.covered(Entries)
	if err := b.Commands(func(k entry.Kind, body []byte) error { return w.addCommand(k, body, r) }); err != nil {
		return err
	}
	err = b.Messages(func(_ int, v message.View, _ entry.Origin) error {
		return w.addMessage(idOf(v), v)
	})
	for _, m := range w.machines {
		if err == nil {
			err = m.finish(r)
		}
	}
	if err == nil && w.timed != nil {
		err = w.timed.log.end(r, w.truth.created(topic) != noTopic)
	}
	return err
}

func (w *world) addCommand(k entry.Kind, body []byte, r entry.Record) error {
	if w.timed != nil {
		if err := w.timed.log.command(k, body, r); err != nil {
			return err
		}
	}
	for _, m := range w.machines {
		if err := m.command(k, body, r); err != nil {
			return fmt.Errorf("entry %d: %w", r.Index, err)
		}
	}
	switch k {
	case entry.KindTopicPut, entry.KindTopicDelete:
		return w.topicSaid(k, body, r.Pos)
	case entry.KindOffsets:
		return entry.DecodeOffsets(body, func(o *entry.Offset) error {
			switch {
			case o.Group == notedGroup:
				return w.notedSaid(o, r)
			case o.Topic == registerTopic:
				return w.registerSaid(o, r)
			}
			return nil
		})
	}
	return nil
}

func (w *world) registerSaid(o *entry.Offset, r entry.Record) error {
	if w.truth.refused[o.Offset] {
		return fmt.Errorf("entry %d holds commit %d, which was refused", r.Index, o.Offset)
	}
	if at, twice := w.truth.commits[o.Offset]; twice {
		return fmt.Errorf("entry %d holds commit %d, which entry %d holds, too", r.Index, o.Offset, at)
	}
	w.truth.commits[o.Offset] = r.Index
	return nil
}

func (w *world) addMessage(id string, v message.View) error {
	if err := w.explain(id, v); err != nil {
		return err
	}
	t := &w.truth
	name := string(v.Topic())
	p := place{name, t.created(name), v.QueueID()}
	if p.created == noTopic {
		return fmt.Errorf("message %s is stored in topic %s, which is not there", id, name)
	}
	if want := int64(len(t.queues[p])); v.QueueOffset() != want {
		return fmt.Errorf("%s: message %s has offset %d, expected %d", p, id, v.QueueOffset(), want)
	}
	t.queues[p] = append(t.queues[p], id)
	if name == topic {
		t.all = append(t.all, Stored{id, p.queue, v.QueueOffset(), v.Position()})
	}
	return nil
}

// explain asks who knows why a message is stored.
func (w *world) explain(id string, v message.View) error {
	if w.timed != nil && strings.HasPrefix(id, timedName) {
		if timer.Parks(string(v.Topic())) {
			return w.timed.log.park(id, v)
		}
		return w.timed.log.comes(id, v)
	}
	for _, m := range w.machines {
		if known, err := m.message(id, v); known || err != nil {
			return err
		}
	}
	return w.truth.store(id)
}

// store counts a message that comes as it was sent.
func (t *truth) store(id string) error {
	if t.sent[id] == 0 {
		return fmt.Errorf("message %q was never sent", id)
	}
	if t.stored[id]++; t.stored[id] > t.sent[id] {
		return fmt.Errorf("message %s is stored %d times and was sent %d times", id, t.stored[id], t.sent[id])
	}
	return nil
}

// idOf is the message's name, which its body begins with.
func idOf(v message.View) string {
	id, _, _ := bytes.Cut(v.Body(), []byte{' '})
	return string(id)
}

// Stored is one message in the log.
type Stored struct {
	ID       string
	Queue    int32
	Offset   int64
	Position int64
}

// Truth is what a run's log held, for who compares something else with it: all messages, in the order of the log.
type Truth struct {
	Topic    string
	Messages []Stored
}

func (t *truth) told() Truth { return Truth{topic, t.all} }
