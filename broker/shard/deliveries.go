package shard

import (
	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/offset"
)

// Deliveries are the leases and what was sent back, as applied.
func (s *Shard) Deliveries() *delivery.Table { return s.deliveries }

// delivered are decoded records, used again and again.
type delivered struct {
	lease  entry.PopLease
	acks   entry.PopAcks
	change entry.PopChange
	revive entry.PopRevive
}

// applyDelivery takes what becomes of messages on their way to consumers. A group's consumer offset follows from it.
func (s *Shard) applyDelivery(k entry.Kind, body []byte) error {
	d := &s.delivered
	switch k {
	case entry.KindPopLease:
		r := &d.lease
		if err := entry.DecodePopLease(body, r); err != nil {
			return err
		}
		low, err := s.deliveries.Lease(r)
		return s.follow(entry.Offset{Group: r.Group, Topic: r.Topic, QueueID: r.QueueID, Client: r.Client, Offset: low}, r.PopMillis, err)
	case entry.KindPopAck:
		r := &d.acks
		if err := entry.DecodePopAcks(body, r); err != nil {
			return err
		}
		low, err := s.deliveries.Ack(r)
		return s.follow(entry.Offset{Group: r.Group, Topic: r.Topic, QueueID: r.QueueID, Client: r.Client, Offset: low}, r.AtMillis, err)
	case entry.KindPopChange:
		if err := entry.DecodePopChange(body, &d.change); err != nil {
			return err
		}
		_, err := s.deliveries.Change(&d.change) // what is in flight stays so, and with it the offset
		return err
	case entry.KindPopRevive:
		r := &d.revive
		if err := entry.DecodePopRevive(body, r); err != nil {
			return err
		}
		low, err := s.deliveries.Revive(r)
		return s.follow(entry.Offset{Group: r.Group, Topic: r.Topic, QueueID: r.QueueID, Offset: low}, r.AtMillis, err)
	}
	return entry.DecodeSentBacks(body, s.sendBack)
}

// follow commits the consumer offset that a record led to.
func (s *Shard) follow(o entry.Offset, millis int64, err error) error {
	if err != nil {
		return err
	}
	o.AtMicros = millis * 1000
	s.commit(entry.KindOffsets, &o)
	return nil
}

func (s *Shard) sendBack(r *entry.SentBack) error {
	c, _ := s.offsets.Applied(offset.Key{Group: r.Group, Topic: r.Topic, QueueID: r.QueueID})
	return s.deliveries.SendBack(r, c.Offset)
}

// SendBackDeed records that a message was sent back; the copy belongs into its batch. It is refused with delivery.ErrSentBack.
func (s *Shard) SendBackDeed(r *entry.SentBack) *Deed {
	d := &Deed{Keys: []uint64{KeyOf(sentBackKey{delivery.Key{Group: r.Group, Topic: r.Topic, QueueID: r.QueueID}, r.Offset})}}
	d.Holds = func(now int64) error {
		r.AtMillis = now / 1000
		d.Commands = []Command{{entry.KindSentBack, entry.AppendSentBack(nil, r)}}
		return s.deliveries.CanSendBack(r)
	}
	return d
}

type sentBackKey struct {
	delivery.Key
	offset int64
}

// commit applies a group's offset.
func (s *Shard) commit(k entry.Kind, o *entry.Offset) {
	s.offsets.Apply(o)
	at := delivery.Key{Group: o.Group, Topic: o.Topic, QueueID: o.QueueID}
	if k == entry.KindOffsetReset {
		s.deliveries.ResetQueue(at)
		return
	}
	s.deliveries.Passed(at, o.Offset)
}
