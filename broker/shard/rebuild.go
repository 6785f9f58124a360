package shard

import (
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
)

// rebuilder indexes the messages of a sealed segment again. Unlike apply it knows the catalog as it became later, so
// messages of deleted topics, and of older topics with a name that is in use again, are left out.
type rebuilder struct{ applier }

func (r *rebuilder) message(at int, v message.View, _ entry.Origin) error {
	pos := r.dataPos + int64(at)
	e, ok := r.s.catalog.Topic(string(v.Topic()))
	if !ok || pos < e.CreatedPos {
		return nil
	}
	q := r.s.index.Topic(e.Name, e.CreatedPos).Queue(v.QueueID())
	if minOffset, end, _ := q.Bounds(); minOffset == end && end != v.QueueOffset() {
		q.Restore(v.QueueOffset(), 0) // the first of its messages that is kept
	}
	return r.s.writer.Add(q, v.QueueOffset(), queue.Row{Pos: pos, Size: uint32(len(v)), Millis: v.StoreTime(), TagHash: r.keys(v, pos)})
}
