package shard

import (
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/queue"
)

// Unread is messages that retention took from a queue before a group had consumed them: offsets [From, To).
type Unread struct {
	Group, Topic string
	QueueID      int32
	From, To     int64
}

// bounds is where queues begin now.
func (s *Shard) bounds() map[*queue.Queue]int64 {
	out := map[*queue.Queue]int64{}
	for _, t := range s.index.Topics() {
		for _, q := range t.Queues() {
			out[q], _, _ = q.Bounds()
		}
	}
	return out
}

// tellUnread tells, for each group that has an offset in a queue, what of the queue went that lay before it. Members take segments away by
// themselves, at about the same time; the leader tells.
func (s *Shard) tellUnread(before map[*queue.Queue]int64) {
	if s.leaderTerm == 0 || s.opts.Unread == nil {
		return
	}
	for q, was := range before {
		first, _, _ := q.Bounds()
		if first == was {
			continue
		}
		for _, group := range s.offsets.OfTopic(q.Topic) {
			c, ok := s.offsets.Get(offset.Key{Group: group, Topic: q.Topic, QueueID: q.ID})
			if from := max(c.Offset, was); ok && from < first {
				s.opts.Unread(Unread{group, q.Topic, q.ID, from, first})
			}
		}
	}
}
