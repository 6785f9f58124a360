package service

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/seglog"
)

// Limits of queries.
const (
	queryMessages = 32
	queryMax      = 256
	queryBytes    = 8 << 20
	queryLooks    = 4096 // candidates looked at
)

// at reads the stored message at a position, or says that there is none.
func (s *Service) at(position int64) (message.View, error) {
	index, _, err := s.shard.Contains(position)
	if err != nil {
		return nil, err
	}
	if index > s.shard.Applied() {
		return nil, seglog.ErrUnavailable
	}
	var head [4]byte
	if err := s.shard.ReadAt(head[:], position); err != nil {
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:])))
	if size < 90 || size > seglog.DataMax {
		return nil, errMoved
	}
	raw := make([]byte, size)
	if err := s.shard.ReadAt(raw, position); err != nil {
		return nil, err
	}
	v, err := message.Parse(raw)
	if err != nil || v.Position() != position {
		return nil, errMoved
	}
	return v, s.really(index, position)
}

// really checks that a message begins at position: bytes inside a body may look like one.
func (s *Service) really(index uint64, position int64) error {
	found := errors.New("found")
	_, err := s.shard.Read(index, 1, func(r entry.Record) error {
		b, err := entry.Decode(r.Data)
		if err != nil {
			return err
		}
		return b.Messages(func(at int, _ message.View, _ entry.Origin) error {
			if r.DataPos+int64(at) == position {
				return found
			}
			return nil
		})
	})
	if errors.Is(err, found) {
		return nil
	}
	return errMoved
}

// ViewByPosition returns one stored message (code 33); topic, when not empty, must be the message's.
func (s *Service) ViewByPosition(topic string, position int64) ([]byte, *Error) {
	v, err := s.at(position)
	if err == nil && topic != "" && string(v.Topic()) != topic {
		err = fmt.Errorf("it belongs to topic %s", v.Topic())
	}
	if err != nil {
		return nil, &Error{CodeSystemError, fmt.Sprintf("can not find message by the offset, %d", position), err}
	}
	return v, nil
}

// Query returns concatenated stored messages by key (code 12), newest last, with the index's last update (ms, position).
func (s *Service) Query(ctx context.Context, q QueryRequest) (body []byte, lastMillis, lastPosition int64, refused *Error) {
	limit := q.MaxMessages
	if limit <= 0 {
		limit = queryMessages
	}
	limit = min(limit, queryMax)
	var found []message.View
	size, looks := 0, 0
	err := s.shard.Index().Find(q.Topic, q.Key, limit, func(pos int64) (bool, bool) {
		looks++
		v, err := s.at(pos)
		if err != nil || !q.matches(v) {
			return false, looks < queryLooks && ctx.Err() == nil
		}
		found = append(found, v)
		size += len(v)
		return true, size < queryBytes && ctx.Err() == nil
	})
	if err != nil {
		return nil, 0, 0, s.unreadable(err)
	}
	if len(found) == 0 {
		return nil, nowMicros() / 1000, s.shard.Log().EndPos(), Refuse(CodeQueryNotFound, "can not find message, maybe time range not correct")
	}
	for i := len(found) - 1; i >= 0; i-- {
		body = append(body, found[i]...)
	}
	return body, nowMicros() / 1000, s.shard.Log().EndPos(), nil
}

// matches verifies a candidate: hashes may collide.
func (q *QueryRequest) matches(v message.View) bool {
	if string(v.Topic()) != q.Topic || v.StoreTime() < q.BeginMillis || q.EndMillis > 0 && v.StoreTime() > q.EndMillis {
		return false
	}
	if string(message.Property(v.Properties(), message.PropUniqKey)) == q.Key {
		return true
	}
	if q.Unique {
		return false
	}
	for _, k := range bytes.Fields(message.Property(v.Properties(), message.PropKeys)) {
		if string(k) == strings.TrimSpace(q.Key) {
			return true
		}
	}
	return false
}
