package service

import (
	"math"
	"strconv"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
)

// WaitingMax is how many scheduled messages or open transactions one list holds.
const WaitingMax = 1000

// Scheduled lists those that are due next. A member that does not lead tells what it has applied.
func (s *Service) Scheduled(limit int) (inspect.ScheduledList, *Error) {
	n := s.shard.Timers().Counts()
	list := inspect.ScheduledList{Pending: n.Pending(), Scheduled: n.Scheduled, Fired: n.Fired, Cancelled: n.Cancelled, Messages: []inspect.Scheduled{}}
	due, _, err := s.shard.Timers().Due(nil, math.MaxInt64, min(max(limit, 0), WaitingMax))
	if err != nil {
		return list, s.unreadable(err)
	}
	for _, e := range due {
		v, err := s.stored(e.Pos, int(e.Size))
		if err != nil { // fired meanwhile, and gone
			continue
		}
		run := v.Properties()
		m := inspect.Scheduled{
			Broker: s.opts.Broker, Topic: text(run, message.PropRealTopic), UniqKey: text(run, message.PropUniqKey), Keys: text(run, message.PropKeys),
			Tags: text(run, message.PropTags), Due: e.Due, Stored: v.StoreTime(), Position: e.Pos, Attempts: v.ReconsumeTimes(), Bytes: int32(v.BodySize()),
		}
		m.QueueID, m.Level = digits(run, message.PropRealQueueID), digits(run, message.PropDelay)
		m.Handle = RecallHandle(m.Topic, m.Broker, m.Due, m.UniqKey)
		list.Messages = append(list.Messages, m)
	}
	return list, nil
}

// Transactions lists the oldest that are open, of one producer group or, with "", of all.
func (s *Service) Transactions(group string, limit int) inspect.TransactionList {
	n := s.shard.Txn().Counts()
	list := inspect.TransactionList{
		Open: int64(n.Open), Begun: n.Put, Committed: n.Committed, RolledBack: n.RolledBack, GivenUp: n.Parked, Checks: n.ChecksAsked, Halves: []inspect.Transaction{},
	}
	for _, h := range s.shard.Txn().Open(group, min(max(limit, 0), WaitingMax)) {
		t := inspect.Transaction{
			Broker: s.opts.Broker, Group: h.Group, Offset: h.Offset, Position: h.Position, Stored: h.StoredMillis, Checks: h.Checks, LastCheck: h.LastCheckMillis,
		}
		t.NextCheck, t.GiveUp = s.opts.Transactions.Next(&h)
		if v, err := s.stored(h.Position, int(h.Size)); err == nil {
			run := v.Properties()
			t.Topic, t.UniqKey, t.Keys = text(run, message.PropRealTopic), text(run, message.PropUniqKey), text(run, message.PropKeys)
			t.Bytes = int32(v.BodySize())
		}
		list.Halves = append(list.Halves, t)
	}
	return list
}

// stored reads a message whose place and size are known. It may be stored again, under a fresh checksum: one that decayed is refused, and the
// log is mended.
func (s *Service) stored(position int64, size int) (message.View, error) {
	v, err := s.shard.StoredReader().Message(position, int32(size))
	if err != nil {
		s.opts.Log.Error("a message cannot be read", "position", position, "err", err)
	}
	return v, err
}

func text(run []byte, name string) string { return string(message.Property(run, name)) }

func digits(run []byte, name string) int32 {
	n, _ := strconv.ParseInt(text(run, name), 10, 32)
	return int32(n)
}
