package shard

import (
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/timer"
)

// rebuilder indexes the messages of a sealed segment again. Unlike apply it knows the catalog as it became later, so
// messages of deleted topics, and of older topics with a name that is in use again, are left out.
type rebuilder struct {
	index   *queue.Index
	catalog *catalog.State
	writer  queue.Writer
	dataPos int64
	parked  timer.Open // in the segment
}

func (r *rebuilder) entry(rec seglog.Record) error {
	if pb.EntryType(rec.Type) != pb.EntryNormal {
		return nil
	}
	b, err := entry.Decode(rec.Data)
	if err != nil {
		return err
	}
	r.dataPos = rec.Pos + seglog.RecordHeaderSize
	return b.Messages(r.message)
}

func (r *rebuilder) message(at int, v message.View, _ entry.Origin) error {
	pos := r.dataPos + int64(at)
	e, ok := r.catalog.Topic(string(v.Topic()))
	if !ok || pos < e.CreatedPos {
		return nil
	}
	t := r.index.Topic(e.Name, e.CreatedPos)
	q := t.Queue(v.QueueID())
	if minOffset, end, _ := q.Bounds(); minOffset == end && end != v.QueueOffset() {
		q.Restore(v.QueueOffset(), 0) // the first of its messages that is kept
	}
	if timer.Parks(e.Name) {
		if parked, ok := parkedEntry(v, pos); ok {
			if err := r.parked.Add(parked); err != nil {
				return err
			}
		}
	}
	return r.writer.Add(q, v.QueueOffset(), queue.Row{Pos: pos, Size: uint32(len(v)), Millis: v.StoreTime(), TagHash: keys(&r.writer, t, v, pos)})
}

// seal writes the sidecar of the segment that was indexed.
func (r *rebuilder) seal(seq uint64) error {
	parked := r.parked
	r.parked = timer.Open{}
	r.writer.SetTimers(&parked)
	return r.index.Seal(seq)
}
