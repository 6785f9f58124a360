package service

import (
	"math"
	"slices"
	"time"

	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/queue"
)

// TimeSpan is how far a group is in a queue, as times of storage in ms; -1: there is no message.
type TimeSpan struct {
	QueueID        int32
	Oldest, Newest int64
	Consumed       int64 // of the last message that the group consumed; Oldest when it consumed none
	Delay          int64 // ms since the next one was stored; 0: there is none
}

// TimeSpans tells of each queue of a topic (code 303).
func (s *Service) TimeSpans(group, topic string) ([]TimeSpan, *Error) {
	e, ok := s.shard.Catalog().Topic(topic)
	if !ok {
		return nil, Refuse(CodeTopicNotExist, "topic[%s] not exist", topic)
	}
	now := time.Now().UnixMilli()
	out := make([]TimeSpan, 0, e.WriteQueues)
	for id := range e.WriteQueues {
		committed := int64(-1)
		if c, ok := s.shard.Offsets().Get(offset.Key{Group: group, Topic: topic, QueueID: id}); ok {
			committed = c.Offset
		}
		span, err := s.timeSpan(s.topicQueues(e).Queue(id), committed, now)
		if err != nil {
			return nil, err
		}
		out = append(out, span)
	}
	return out, nil
}

func (s *Service) timeSpan(q *queue.Queue, committed, now int64) (t TimeSpan, err *Error) {
	from, end, _ := q.Bounds()
	t = TimeSpan{QueueID: q.ID, Oldest: -1, Newest: -1}
	at := func(n int64) int64 {
		if err != nil || n < from || n >= end {
			return -1
		}
		var millis int64
		millis, err = s.storeTime(q, n)
		return millis
	}
	t.Oldest, t.Newest = at(from), at(end-1)
	if t.Consumed = t.Oldest; committed > 0 {
		t.Consumed = at(committed - 1)
	}
	if next := at(max(committed, from)); next > 0 {
		t.Delay = max(0, now-next)
	}
	return t, err
}

// CorrectionOffsets is the least offset that any group has committed in each queue of a topic, but for some groups (code 308). It is the
// largest number where compare has committed less.
func (s *Service) CorrectionOffsets(topic, compare string, without []string) map[int32]int64 {
	out := map[int32]int64{}
	for _, group := range s.shard.Offsets().OfTopic(topic) {
		if slices.Contains(without, group) {
			continue
		}
		for _, c := range s.shard.Offsets().Group(group) {
			if c.Topic == topic && c.Offset >= s.queueBegin(topic, c.QueueID) {
				if least, ok := out[c.QueueID]; !ok || c.Offset < least {
					out[c.QueueID] = c.Offset
				}
			}
		}
	}
	for _, c := range s.shard.Offsets().Group(compare) {
		if least, ok := out[c.QueueID]; ok && c.Topic == topic && least > c.Offset {
			out[c.QueueID] = math.MaxInt64
		}
	}
	return out
}

func (s *Service) queueBegin(topic string, id int32) int64 {
	q, err := s.queueOf(topic, id)
	if err != nil {
		return math.MaxInt64
	}
	from, _, _ := q.Bounds()
	return from
}

// Verified tells that a message was handed to a client outside its queues (code 309): it may be consumed once more.
func (s *Service) Verified(topic, group, text string) { s.happened("verify", topic, group, text) }
