package shard

import (
	"context"
	"errors"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/timer"
)

// ErrNotScheduled is a cancel of a message that is not parked and was not, as far as is known.
var ErrNotScheduled = errors.New("no scheduled message has this key and due time")

// CancelTimer has a scheduled message not be delivered, and returns when that is certain: it is found by its real topic, its UNIQ_KEY and
// its due time, ms; client is who asks for it, kept in the log. timer.ErrCancelled: it is cancelled already; ErrNotScheduled; timer.ErrTooLate: its time is over,
// and it was delivered unless it had been cancelled or was never there.
func (s *Shard) CancelTimer(ctx context.Context, topic, uniqKey string, due int64, client string) error {
	if err := s.Barrier(ctx); err != nil {
		return err
	}
	for try := 0; ; try++ {
		b, err := s.cancelDeed(topic, uniqKey, due, client)
		if err != nil {
			return err
		}
		err = s.Decide(ctx, b)
		if !errors.Is(err, timer.ErrCancelled) || try >= cancelAgainMax { // else it may have been parked again, elsewhere
			return err
		}
	}
}

// cancelAgainMax is how often a message is looked for again when it is not where it was found.
const cancelAgainMax = 2

// cancelDeed is the deed that cancels a scheduled message, or why there is nothing to cancel, as far as is known after a barrier.
func (s *Shard) cancelDeed(topic, uniqKey string, due int64, client string) (*Batch, error) {
	e, err := s.scheduled(topic, uniqKey, due)
	if err != nil && !s.Leads() { // its state may have been emptied
		return nil, ErrNotLeader
	}
	if err != nil {
		return nil, err
	}
	place := e.Place()
	return &Batch{Deed: &Deed{
		Keys: []uint64{placeKey(place)}, Holds: func(int64) error { return s.timers.MayCancel(place) },
		Commands: []Command{{entry.KindTimerCancel, entry.AppendTimerCancel(nil, place, client)}},
	}}, nil
}

// scheduled finds the pending entry of a message, or says why there is none.
func (s *Shard) scheduled(topic, uniqKey string, due int64) (timer.Entry, error) {
	pending, cancelled, err := s.timers.Find(due, timer.KeyHash([]byte(topic), []byte(uniqKey)))
	if err != nil {
		return timer.Entry{}, err
	}
	none := ErrNotScheduled
	if due <= s.timers.Cursor().Due {
		none = timer.ErrTooLate
	}
	for i, e := range append(pending, cancelled...) {
		switch is, err := s.isParked(&e, topic, uniqKey); {
		case err != nil:
			return e, err
		case is && i < len(pending):
			return e, nil
		case is:
			none = timer.ErrCancelled
		}
	}
	return timer.Entry{}, none
}

// isParked says whether an entry is that of a message: hashes may collide.
func (s *Shard) isParked(e *timer.Entry, topic, uniqKey string) (bool, error) {
	parked := parkedReader{s: s}
	v, err := parked.message([]timer.Entry{*e})
	if err != nil {
		return false, err
	}
	run := v.Properties()
	return string(message.Property(run, message.PropRealTopic)) == topic && string(message.Property(run, message.PropUniqKey)) == uniqKey, nil
}
