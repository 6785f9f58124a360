package derive

import (
	"github.com/contrailmq/contrail/broker/entry"
)

// Outcomes of single messages: popped ones, and ones that were sent back.
const (
	OutcomeSentBack = "sent-back"         // the consumer could not consume it: a copy is in the retry topic, or among the dead letters
	OutcomeChanged  = "invisible-changed" // another time until it comes again: gRPC consumers say so that they could not consume it
	OutcomeExpired  = "lease-expired"     // not acknowledged in time: as sent-back, or it is gone
)

// consumed derives what became of messages that were handed out one by one.
func (d *Deriver) consumed(k entry.Kind, body []byte) error {
	switch k {
	case entry.KindPopAck:
		if err := entry.DecodePopAcks(body, &d.acks); err != nil {
			return err
		}
		d.popAcks(&d.acks)
	case entry.KindPopChange:
		c := &d.change
		if err := entry.DecodePopChange(body, c); err != nil {
			return err
		}
		d.settleOne(c.Topic, c.Group, c.Client, c.QueueID, c.Offset, c.AtMillis, OutcomeChanged)
	case entry.KindPopRevive:
		r := &d.revival
		if err := entry.DecodePopRevive(body, r); err != nil {
			return err
		}
		for _, m := range r.Messages {
			d.settleOne(r.Topic, r.Group, "", r.QueueID, m.Offset, r.AtMillis, OutcomeExpired)
		}
	case entry.KindSentBack:
		return entry.DecodeSentBacks(body, func(b *entry.SentBack) error {
			d.settleOne(b.Topic, b.Group, b.Client, b.QueueID, b.Offset, b.AtMillis, OutcomeSentBack)
			return nil
		})
	}
	return nil
}

// popAcks derives acknowledgements: those of neighbours are one row.
func (d *Deriver) popAcks(r *entry.PopAcks) {
	p := d.place(r.Topic, r.Group, r.QueueID)
	for i := 0; i < len(r.Acks); {
		from := r.Acks[i].Offset
		to := from + 1
		for i++; i < len(r.Acks) && r.Acks[i].Offset == to; i++ {
			to++
		}
		d.settle(r.Topic, r.Group, r.Client, r.QueueID, r.AtMillis, OutcomeAcknowledged, from, to)
		d.settled.AgainTo = min(max(p.acked, from), to) // what another ack passed may be here for the first time, which does no harm
		p.acked = max(p.acked, to)
		d.out.Settlement(&d.settled)
	}
}

func (d *Deriver) settleOne(topic, group, client string, queue int32, offset, millis int64, outcome string) {
	d.settle(topic, group, client, queue, millis, outcome, offset, offset+1)
	d.out.Settlement(&d.settled)
}

func (d *Deriver) settle(topic, group, client string, queue int32, millis int64, outcome string, from, to int64) {
	s := &d.settled
	s.Broker, s.Topic, s.QueueID, s.From, s.To, s.Group = d.o.Broker, topic, queue, from, to, group
	s.Outcome, s.Client, s.Node, s.AtMicros, s.Position, s.AgainTo = outcome, client, d.leader, millis*1000, d.record.Pos, from
}
