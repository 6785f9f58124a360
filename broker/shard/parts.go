package shard

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"slices"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/offset"
)

// part is a piece of the state in one way of writing it down. Its number stands for both, for ever: who adds a field, or writes one
// differently, gives the part a new number (DESIGN.md), so that a member of the older version has nothing to compare it with.
type part uint16

// Parts. What belongs to one member alone is in none.
const (
	partProgress part = 1 // applied, term, times, members
	partTopics   part = 2
	partGroups   part = 3
	partOffsets  part = 4
	partQueues   part = 5
	partLocks    part = 6
	partTimers   part = 7
	partTxn      part = 8
	partDelivery part = 9
)

var partNames = map[part]string{
	partProgress: "progress and members", partTopics: "topics", partGroups: "groups", partOffsets: "offsets", partQueues: "queues", partLocks: "queue locks",
	partTimers: "timers", partTxn: "transactions", partDelivery: "deliveries",
}

func (p part) String() string {
	if name, ok := partNames[p]; ok {
		return name
	}
	return fmt.Sprintf("part %d", uint16(p))
}

const hashBytes = sha256.Size

// hashes are those of all parts.
func (c *checkpoint) hashes() (out []partHash) {
	for _, p := range []struct {
		part  part
		write func(*canon)
	}{
		{partProgress, c.writeProgress}, {partTopics, func(w *canon) { each(w, c.Topics, writeTopic) }},
		{partGroups, func(w *canon) { each(w, c.Groups, writeGroup) }}, {partOffsets, func(w *canon) { each(w, c.Offsets, writeOffset) }},
		{partQueues, func(w *canon) { each(w, c.Queues, writeQueueEnd) }},
		{partLocks, c.writeLocks},
		{partTimers, func(w *canon) { w.names(string(c.Timers)) }},
		{partTxn, func(w *canon) { w.names(string(c.Txn)) }},
		{partDelivery, func(w *canon) { w.names(string(c.Deliveries)) }},
	} {
		w := &canon{h: sha256.New()}
		p.write(w)
		out = append(out, partHash{p.part, w.h.Sum(w.b[:0])})
	}
	return out
}

// canon writes values so that equal bytes mean equal values: numbers little endian in 8 bytes, and before each list or name how long
// it is.
type canon struct {
	h hash.Hash
	b []byte
}

func (w *canon) number(v uint64) {
	w.b = binary.LittleEndian.AppendUint64(w.b[:0], v)
	w.h.Write(w.b)
}

func (w *canon) numbers(vs ...int64) {
	for _, v := range vs {
		w.number(uint64(v))
	}
}

func (w *canon) ids(list []uint64) {
	w.number(uint64(len(list)))
	for _, id := range list {
		w.number(id)
	}
}

func (w *canon) bools(vs ...bool) {
	for _, v := range vs {
		if v {
			w.number(1)
		} else {
			w.number(0)
		}
	}
}

func (w *canon) names(vs ...string) {
	for _, v := range vs {
		w.number(uint64(len(v)))
		w.b = append(w.b[:0], v...)
		w.h.Write(w.b)
	}
}

func (w *canon) table(m map[string]string) {
	w.number(uint64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.names(k, m[k])
	}
}

func each[T any](w *canon, list []T, write func(*canon, *T)) {
	w.number(uint64(len(list)))
	for i := range list {
		write(w, &list[i])
	}
}

func (c *checkpoint) writeProgress(w *canon) {
	w.number(c.Applied)
	w.number(c.Term)
	w.numbers(c.LastMicros, c.Born)
	m := c.members()
	for _, ids := range [][]uint64{m.GetVoters(), m.GetVotersOutgoing(), m.GetLearners(), m.GetLearnersNext()} {
		w.ids(ids)
	}
	w.bools(m.GetAutoLeave())
}

func writeTopic(w *canon, t *catalog.Entry) {
	w.names(t.Name, t.FilterType)
	w.numbers(int64(t.ReadQueues), int64(t.WriteQueues), int64(t.Perm), int64(t.SysFlag), t.CreatedPos)
	w.bools(t.Order)
	w.table(t.Attributes)
}

func writeGroup(w *canon, g *catalog.Group) {
	w.names(g.Name)
	w.bools(g.ConsumeEnable, g.ConsumeFromMinEnable, g.ConsumeBroadcastEnable, g.ConsumeMessageOrderly, g.NotifyIDsChangedEnable)
	w.numbers(int64(g.RetryQueues), int64(g.RetryMaxTimes), g.BrokerID, g.WhichBrokerWhenSlow, int64(g.SysFlag), int64(g.ConsumeTimeoutMinutes))
	writeRetry(w, g.RetryPolicy)
	each(w, g.SubscriptionDataSet, func(w *canon, s *catalog.GroupSubscribed) {
		w.names(s.Topic, s.ExpressionType, s.Expression)
		w.numbers(s.Version)
	})
	w.table(g.Attributes)
}

func writeRetry(w *canon, p *catalog.RetryPolicy) {
	if w.bools(p != nil); p == nil {
		return
	}
	w.names(p.Type)
	e, c := p.Exponential, p.Customized
	if w.bools(e != nil, c != nil); e != nil {
		w.numbers(e.InitialMillis, e.MaxMillis, e.Multiplier)
	}
	if c != nil {
		w.numbers(int64(len(c.NextMillis)))
		w.numbers(c.NextMillis...)
	}
}

func writeOffset(w *canon, o *offset.Saved) {
	w.names(o.Group, o.Topic, o.Client)
	w.numbers(int64(o.QueueID), o.Offset, o.AtMicros)
}

func writeQueueEnd(w *canon, q *queueEnd) {
	w.names(q.Topic)
	w.numbers(int64(q.ID), q.End, q.Last)
}

func (c *checkpoint) writeLocks(w *canon) {
	w.numbers(c.LockClock)
	each(w, c.Locks, func(w *canon, l *group.Lock) {
		w.names(l.Group, l.Queue.Topic, l.Queue.Broker, l.Client)
		w.numbers(int64(l.Queue.QueueID), l.Until)
	})
}
