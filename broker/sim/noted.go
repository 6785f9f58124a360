package sim

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/offset"
)

// Consumers' commits are noted by the leader, seen at once, and proposed soon. They may be lost with the leader. The client's name
// holds the term in which a commit was noted: no later leader may show it or propose it, unless the log has it.

const (
	notedGroup = "noted"
	notedQueue = 3
)

func (c *client) noteSome(m *member) {
	if q := m.find(notedQueue); q != nil && c.w.chance(30) {
		_, end, _ := q.Bounds()
		if end = max(end-c.w.between(0, 3), 0); end == 0 {
			return
		}
		c.w.covered(Noted)
		name := fmt.Sprintf("%s@%d", c.name, m.shard.Status().Term)
		m.shard.NoteOffset(&entry.Offset{Group: notedGroup, Topic: topic, QueueID: notedQueue, Offset: end, Client: name, AtMicros: m.now().UnixMicro()})
		m.turn()
	}
	c.seeNoted(m)
}

// seeNoted: what a leader shows was noted in its term or stands in the log.
func (c *client) seeNoted(m *member) {
	got, ok := m.shard.Offsets().Get(offset.Key{Group: notedGroup, Topic: topic, QueueID: notedQueue})
	if !ok || !m.leads() || notedTerm(got.Client) == m.shard.Status().Term {
		return
	}
	if at, ok := c.w.truth.noted[got]; !ok || at > m.shard.Committed() {
		c.w.violate("%s leads in term %d and shows commit %d of %s, which never got into the log", m, m.shard.Status().Term, got.Offset, got.Client)
	}
}

func notedTerm(client string) uint64 {
	_, term, _ := strings.Cut(client, "@")
	n, _ := strconv.ParseUint(term, 10, 64)
	return n
}

// notedSaid takes a commit from the log into the truth.
func (w *world) notedSaid(o *entry.Offset, r entry.Record) error {
	t := &w.truth
	if noted := notedTerm(o.Client); noted != r.Term {
		return fmt.Errorf("entry %d of term %d holds commit %d, which was noted in term %d", r.Index, r.Term, o.Offset, noted)
	}
	if end := int64(len(t.queues[place{o.Topic, t.created(o.Topic), o.QueueID}])); o.Offset > end {
		return fmt.Errorf("entry %d commits offset %d, the queue ends at %d", r.Index, o.Offset, end)
	}
	t.noted[offset.Commit{Offset: o.Offset, AtMicros: o.AtMicros, Client: o.Client}] = r.Index
	return nil
}
