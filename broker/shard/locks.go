package shard

import (
	"context"
	"encoding/json"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/group"
)

// Lock asks for queues on behalf of an ordered consumer, and gives those that it holds now. Who holds which is in the log, so a failover
// neither loses nor doubles a lock. A lock that is fresh, and one that another client holds, cost no record: only a read barrier.
func (s *Shard) Lock(ctx context.Context, name, client string, queues []group.QueueRef) ([]group.QueueRef, error) {
	if err := s.Barrier(ctx); err != nil {
		return nil, err
	}
	if !s.LocksSettled(group.LockFreshMillis, name, client, queues) {
		if err := s.Do(ctx, entry.KindQueueLocks, s.LockBody(group.LockForMillis, name, client, queues)); err != nil {
			return nil, err
		}
	}
	return s.locks.Held(s.LockNow(), name, client, queues), nil
}

// LocksSettled says that a record would change nothing that matters to who asks; a barrier must have been passed before. While another
// record is on its way it may be the client's own, which gave the queues back and did not wait for the answer.
func (s *Shard) LocksSettled(fresh int64, name, client string, queues []group.QueueRef) bool {
	return s.locking.Load() == 0 && s.locks.Settled(s.LockNow(), fresh, name, client, queues)
}

func (s *Shard) noteCommand(c command) {
	if c.kind == entry.KindQueueLocks {
		s.locking.Add(1)
	}
}

func (s *Shard) answerCommand(c command, err error) {
	if c.kind == entry.KindQueueLocks {
		s.locking.Add(-1)
	}
	c.done <- err
}

// Unlock gives back what the client holds of the queues.
func (s *Shard) Unlock(ctx context.Context, name, client string, queues []group.QueueRef) error {
	return s.Do(ctx, entry.KindQueueLocks, s.LockBody(0, name, client, queues))
}

// LockBody is the body of a command that locks queues for so many ms; 0 gives them back.
func (s *Shard) LockBody(millis int64, name, client string, queues []group.QueueRef) []byte {
	b, err := json.Marshal(group.LockRecord{Now: s.LockNow(), For: millis, Group: name, Client: client, Queues: queues})
	if err != nil { // strings and numbers only
		panic(err)
	}
	return b
}

// LockNow is the clock of locks, ms. It is of use only while this member leads.
func (s *Shard) LockNow() int64 { return max(s.lockNow.Load(), s.locks.Clock()) }

// Locks are the queue locks as applied.
func (s *Shard) Locks() *group.Locks { return s.locks }

// passLockTime is called with each tick: a leader's ticks are its clock of locks, because they never come faster than time goes by, and
// nobody can set them. Time in which nobody leads does not count.
func (s *Shard) passLockTime() {
	if s.leaderTerm != 0 {
		s.lockNow.Store(s.LockNow() + TickEvery.Milliseconds())
	}
}

// beginLockTime goes on with the newest record's time.
func (s *Shard) beginLockTime() {
	if s.opts.Planted.ForgetLocks {
		s.locks.Reset()
	}
	s.lockNow.Store(s.locks.Clock())
}
