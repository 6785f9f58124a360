package service

import (
	"context"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/txn"
)

// What clients name by other means than the place in the log: gRPC's name a transaction by its message's id, and a popped message by its place in a queue.

// FindHalf finds the newest half message of a topic by its UNIQ_KEY: its offset in the half queue and its position. It may be decided already.
func (s *Service) FindHalf(ctx context.Context, topic, id string) (offset, position int64, found bool, refused *Error) {
	if refused = s.refuseToLead(); refused != nil {
		return 0, 0, false, refused
	}
	looks := 0
	err := s.shard.Index().Find(txn.HalfTopic, id, 1, func(pos int64) (bool, bool) {
		looks++
		v, err := s.at(pos)
		if err != nil || string(message.Property(v.Properties(), message.PropUniqKey)) != id || string(message.Property(v.Properties(), message.PropRealTopic)) != topic {
			return false, looks < queryLooks && ctx.Err() == nil
		}
		offset, position, found = v.QueueOffset(), pos, true
		return true, false
	})
	if err != nil {
		return 0, 0, false, s.unreadable(err)
	}
	return offset, position, found, nil
}

// PositionOf is where a queue's message stands in the log.
func (s *Service) PositionOf(topic string, queueID int32, offset int64) (int64, *Error) {
	q, refused := s.queueOf(topic, queueID)
	if refused != nil {
		return 0, refused
	}
	rows, err := q.Rows(make([]queue.Row, 0, 1), offset, 1)
	if err != nil {
		return 0, s.unreadable(err)
	}
	if len(rows) == 0 {
		return 0, Refuse(CodeNoMessage, "no message at offset %d of %s queue %d", offset, topic, queueID)
	}
	return rows[0].Pos, nil
}
