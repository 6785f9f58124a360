package sim

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/seglog"
)

// truth is the log as the first member that applied an entry showed it, and what follows from it.
type truth struct {
	entries []truthEntry // entry i+1
	queues  map[int32][]string
	sent    map[string]int // message → tries
	stored  map[string]int // message → copies
	acked   []ackedMessage
	commits map[offsetKey][]committed // in log order
}

type truthEntry struct {
	term uint64
	pos  int64
	hash uint64
}

type ackedMessage struct {
	id     string
	queue  int32
	offset int64
}

type offsetKey struct {
	group string
	queue int32
}

type committed struct {
	value int64
	index uint64
}

var hashSeed = maphash.MakeSeed() // compared within one process only

func (t *truth) init() {
	t.queues, t.sent, t.stored = map[int32][]string{}, map[string]int{}, map[string]int{}
	t.commits = map[offsetKey][]committed{}
}

// observe compares what a member shows newly with the truth, and adds to it.
func (w *world) observe(m *member) {
	if !m.up {
		return
	}
	if s := m.shard.Status(); s.Leads {
		w.led(m, s.Term)
	}
	for m.read < m.shard.Committed() || w.conf.Planted.ReadPastCommit {
		next, err := m.entries(m.read+1, func(r entry.Record) error { return w.compare(m, r) })
		if errors.Is(err, seglog.ErrCompacted) {
			m.read = m.shard.First() - 1
			continue
		}
		if err != nil {
			var damage *seglog.CorruptError
			if m.damaged && errors.As(err, &damage) || m.shard.Failed() != nil {
				return // it may refuse, it must not show anything wrong
			}
			w.violate("%s: %v", m, err)
			return
		}
		if next == m.read+1 {
			return
		}
		m.read = next - 1
	}
}

func (w *world) led(m *member, term uint64) {
	if other, ok := w.leaders[term]; ok && other != m.id {
		w.violate("members %d and %d both lead in term %d", other+1, m.id+1, term)
	} else if !ok {
		w.leaders[term] = m.id
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
		return nil
	}
	if r.Index != uint64(len(t.entries))+1 {
		return fmt.Errorf("entry %d is shown after %d", r.Index, len(t.entries))
	}
	t.entries = append(t.entries, e)
	return w.add(r)
}

// add takes a new entry into the truth.
func (w *world) add(r entry.Record) error {
	b, err := entry.Decode(r.Data)
	if err != nil {
		return err
	}
	if err := b.Commands(func(k entry.Kind, body []byte) error { return w.addCommand(k, body, r.Index) }); err != nil {
		return err
	}
	return b.Messages(func(_ int, v message.View, _ entry.Origin) error {
		return w.addMessage(idOf(v), v)
	})
}

func (w *world) addCommand(k entry.Kind, body []byte, index uint64) error {
	if k != entry.KindOffsets {
		return nil
	}
	return entry.DecodeOffsets(body, func(o *entry.Offset) error {
		key := offsetKey{o.Group, o.QueueID}
		w.truth.commits[key] = append(w.truth.commits[key], committed{o.Offset, index})
		return nil
	})
}

func (w *world) addMessage(id string, v message.View) error {
	t := &w.truth
	if t.sent[id] == 0 {
		return fmt.Errorf("message %q was never sent", id)
	}
	if t.stored[id]++; t.stored[id] > t.sent[id] {
		return fmt.Errorf("message %s is stored %d times and was sent %d times", id, t.stored[id], t.sent[id])
	}
	q := v.QueueID()
	if want := int64(len(t.queues[q])); v.QueueOffset() != want {
		return fmt.Errorf("queue %d: message %s has offset %d, expected %d", q, id, v.QueueOffset(), want)
	}
	t.queues[q] = append(t.queues[q], id)
	return nil
}

// idOf is the message's name, which its body begins with.
func idOf(v message.View) string {
	id, _, _ := bytes.Cut(v.Body(), []byte{' '})
	return string(id)
}
