package shard

import (
	"errors"
	"fmt"

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

func (r *rebuilder) entry(rec seglog.Record) error { return r.each(rec, r.message) }

// each calls f for the messages of an entry.
func (r *rebuilder) each(rec seglog.Record, f func(int, message.View, entry.Origin) error) error {
	if pb.EntryType(rec.Type) != pb.EntryNormal {
		return nil
	}
	b, err := entry.Decode(rec.Data)
	if err != nil {
		return err
	}
	r.dataPos = rec.Pos + seglog.RecordHeaderSize
	return b.Messages(f)
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
	if err := r.park(e.Name, v, pos); err != nil {
		return err
	}
	return r.writer.Add(q, v.QueueOffset(), queue.Row{Pos: pos, Size: uint32(len(v)), Millis: v.StoreTime(), TagHash: keys(&r.writer, t, v, pos)})
}

func (r *rebuilder) park(topic string, v message.View, pos int64) error {
	if !timer.Parks(topic) {
		return nil
	}
	e, ok := parkedEntry(v, pos)
	if !ok {
		return nil
	}
	return r.parked.Add(e)
}

// seal writes the sidecar of the segment that was indexed.
func (r *rebuilder) seal(seq uint64) error {
	parked := r.parked
	r.parked = timer.Open{}
	r.writer.SetTimers(&parked)
	return r.index.Seal(seq)
}

// mendTimers makes the timers of a segment anew, in memory, when its sidecar turns out to be damaged while it is read; at the next start
// the sidecar is made again. It reads the segment in the loop. What is not such damage is given back.
func (s *Shard) mendTimers(err error) error {
	var damage *queue.TimersError
	if !errors.As(err, &damage) {
		return err
	}
	for _, seg := range s.log.Segments() {
		if seg.Seq != damage.Seq {
			continue
		}
		s.opts.Log.Warn("the timers of a sidecar are damaged; they are made again from the log", "segment", seg.Name, "err", err)
		r := rebuilder{catalog: s.catalog}
		if err := s.readSegment(seg, func(rec seglog.Record) error { return r.each(rec, r.onlyPark) }); err != nil {
			return fmt.Errorf("timers of %s: %w", seg.Name, err)
		}
		return s.timers.Replace(seg.Seq, &r.parked)
	}
	return err
}

func (r *rebuilder) onlyPark(at int, v message.View, _ entry.Origin) error {
	pos := r.dataPos + int64(at)
	if e, ok := r.catalog.Topic(string(v.Topic())); ok && pos >= e.CreatedPos {
		return r.park(e.Name, v, pos)
	}
	return nil
}
