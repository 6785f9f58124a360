package service

import (
	"context"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/queue"
)

// queueOf finds a queue of an existing topic.
func (s *Service) queueOf(topic string, queueID int32) (*queue.Queue, *Error) {
	e, ok := s.shard.Catalog().Topic(topic)
	if !ok {
		return nil, topicMissing(topic)
	}
	if queueID < 0 || queueID >= max(e.ReadQueues, e.WriteQueues) {
		return nil, Refuse(CodeInvalidParameter, "queueId[%d] is illegal, topic:[%s] has %d queues", queueID, topic, max(e.ReadQueues, e.WriteQueues))
	}
	return s.topicQueues(e).Queue(queueID), nil
}

// QueryOffset is a group's committed offset (code 14). A group without one gets 0 in a young queue, so that it starts at the
// beginning; else CodeQueryNotFound. RocketMQ answers that for an empty queue, too: a consumer then asks for the queue's end, and skips
// what comes in between, such as the first message of a queue that was added.
func (s *Service) QueryOffset(group, topic string, queueID int32, setZeroIfNotFound bool) (int64, *Error) {
	return s.asLeader(func() (int64, *Error) { return s.queryOffset(group, topic, queueID, setZeroIfNotFound) })
}

// readPatience is how long a read waits for a majority to confirm that this member still leads.
const readPatience = 2 * time.Second

// asLeader reads when it is certain that no other member has been voted in since, and answered something newer: a majority says
// so after the read was asked for. A group of one is always certain.
func (s *Service) asLeader(read func() (int64, *Error)) (int64, *Error) {
	if !s.grouped() {
		return read()
	}
	ctx, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	if err := s.shard.Barrier(ctx); err != nil {
		return 0, s.refuse(err)
	}
	n, refused := read()
	if err := s.refuseToLead(); err != nil {
		return 0, err
	}
	return n, refused
}

func (s *Service) queryOffset(group, topic string, queueID int32, setZeroIfNotFound bool) (int64, *Error) {
	if c, ok := s.shard.Offsets().Get(offset.Key{Group: group, Topic: topic, QueueID: queueID}); ok && c.Offset >= 0 {
		return c.Offset, nil
	}
	q, err := s.queueOf(topic, queueID)
	if err == nil && setZeroIfNotFound {
		if from, _, _ := q.Bounds(); from == 0 {
			return 0, nil
		}
	}
	return 0, Refuse(CodeQueryNotFound, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first")
}

// CommitOffset stores a group's offset (code 15, or a pull's piggy-back). With done it is answered when it is stored; done may
// be nil (one-way), then it is stored soon.
func (s *Service) CommitOffset(o entry.Offset, done func(*Error)) {
	err := s.refuseToLead() // a member that does not lead must not note it: it would be stored when it leads, after newer ones
	if err == nil {
		err = s.checkCommit(&o)
	}
	if err != nil || s.ResetWaits(o.Group, o.Topic, o.QueueID) { // the latter is about messages from before the reset
		if done != nil {
			done(err)
		}
		return
	}
	if offset.IsReset(o.Client) {
		o.Client = "client " + o.Client
	}
	if o.AtMicros == 0 {
		o.AtMicros = nowMicros()
	}
	if done == nil {
		s.shard.NoteOffset(&o)
		return
	}
	// Noted first, or an earlier one-way commit that still waits would be stored after this one.
	s.shard.NoteOffset(&o)
	go func() {
		done(s.refuse(s.shard.Do(context.Background(), entry.KindOffsets, entry.AppendOffset(nil, &o))))
	}()
}

func (s *Service) checkCommit(o *entry.Offset) *Error {
	q, err := s.queueOf(o.Topic, o.QueueID)
	if err != nil {
		return err
	}
	if err := checkName("group", o.Group, GroupMax); err != nil {
		return err
	}
	if _, end, _ := q.Bounds(); o.Offset < 0 || o.Offset > end {
		return Refuse(CodeInvalidParameter, "offset %d of group [%s] in %s queue %d: must be from 0 to %d", o.Offset, o.Group, o.Topic, o.QueueID, end)
	}
	if k := (offset.Key{Group: o.Group, Topic: o.Topic, QueueID: o.QueueID}); !s.shard.Offsets().Room(k) {
		return Refuse(CodeSystemError, "offset of group [%s] in %s queue %d not stored: there are %d offsets, which is the limit", o.Group, o.Topic, o.QueueID, offset.Max)
	}
	return nil
}

// MaxOffset is the next offset that the queue will give (code 30).
func (s *Service) MaxOffset(topic string, queueID int32) (int64, *Error) {
	return s.asLeader(func() (int64, *Error) { return s.maxOffset(topic, queueID) })
}

func (s *Service) maxOffset(topic string, queueID int32) (int64, *Error) {
	q, err := s.queueOf(topic, queueID)
	if err != nil {
		return 0, err
	}
	_, end, _ := q.Bounds()
	return end, nil
}

// MinOffset is the first offset kept (code 31).
func (s *Service) MinOffset(topic string, queueID int32) (int64, *Error) {
	return s.asLeader(func() (int64, *Error) { return s.minOffset(topic, queueID) })
}

func (s *Service) minOffset(topic string, queueID int32) (int64, *Error) {
	q, err := s.queueOf(topic, queueID)
	if err != nil {
		return 0, err
	}
	from, _, _ := q.Bounds()
	return from, nil
}

// OffsetByTime finds the offset at a store time, ms (code 29). boundary is LOWER (default) or UPPER.
func (s *Service) OffsetByTime(topic string, queueID int32, millis int64, boundary string) (int64, *Error) {
	return s.asLeader(func() (int64, *Error) { return s.offsetByTime(topic, queueID, millis, boundary) })
}

func (s *Service) offsetByTime(topic string, queueID int32, millis int64, boundary string) (int64, *Error) {
	q, err := s.queueOf(topic, queueID)
	if err != nil {
		return 0, err
	}
	from, end, _ := q.Bounds()
	if from == end {
		return end, nil
	}
	at, e := q.OffsetByTime(millis, boundary == "UPPER")
	return at, s.unreadable(e)
}

// EarliestStoreTime is the store time, ms, of the oldest message kept (code 32); -1 when there is none.
func (s *Service) EarliestStoreTime(topic string, queueID int32) (int64, *Error) {
	q, err := s.queueOf(topic, queueID)
	if err != nil {
		return 0, err
	}
	from, end, _ := q.Bounds()
	if from == end {
		return -1, nil
	}
	return s.storeTime(q, from)
}

// storeTime is the store time, ms, of one offset; 0 when it is gone.
func (s *Service) storeTime(q *queue.Queue, at int64) (int64, *Error) {
	rows, err := q.Rows(nil, at, 1)
	if err != nil || len(rows) == 0 {
		return 0, s.unreadable(err)
	}
	return rows[0].Millis, nil
}

func (s *Service) unreadable(err error) *Error {
	if err == nil {
		return nil
	}
	s.opts.Log.Error("index not readable", "err", err)
	return &Error{CodeSystemError, "the broker could not read its index, see its log", err}
}
