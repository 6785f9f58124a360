package service

import (
	"context"

	"github.com/contrailmq/contrail/broker/group"
)

// LockQueues gives a client of a consumer group the queues that are free or its own, and says which it holds now.
func (s *Service) LockQueues(ctx context.Context, name, client string, queues []group.QueueRef) ([]group.QueueRef, *Error) {
	held, err := s.shard.Lock(ctx, name, client, queues)
	return held, s.refuse(err)
}

// UnlockQueues takes back what the client holds of them.
func (s *Service) UnlockQueues(ctx context.Context, name, client string, queues []group.QueueRef) *Error {
	return s.refuse(s.shard.Unlock(ctx, name, client, queues))
}
