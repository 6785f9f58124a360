package derivetest

import (
	"maps"
	"slices"
	"strings"

	"github.com/contrailmq/contrail/tracing/trail"
)

// Rows is a Block that keeps copies of its rows.
type Rows struct {
	Messages    []trail.StoredMessage
	Deliveries  []trail.StoredDelivery
	Settlements []trail.StoredSettlement
	Steps       []trail.StoredStep
	Happenings  []trail.Happening
}

// Rows implements trail.Block.
func (r *Rows) Rows() int {
	return len(r.Messages) + len(r.Deliveries) + len(r.Settlements) + len(r.Steps) + len(r.Happenings)
}

// Bytes implements trail.Block.
func (r *Rows) Bytes() int { return 200 * r.Rows() }

// Reset implements trail.Block.
func (r *Rows) Reset() { *r = Rows{} }

func own(texts ...*string) {
	for _, s := range texts {
		*s = strings.Clone(*s)
	}
}

// Message implements trail.Sink.
func (r *Rows) Message(m *trail.StoredMessage) {
	c := *m
	own(&c.ID, &c.OffsetID, &c.Topic, &c.RealTopic, &c.OriginTopic, &c.ResentFrom, &c.ResentBy, &c.Tag, &c.ProducerGroup, &c.OriginID, &c.TraceIn, &c.ParentIn, &c.RawTrace, &c.StoreKey)
	c.Keys = nil
	for _, k := range m.Keys {
		c.Keys = append(c.Keys, strings.Clone(k))
	}
	r.Messages = append(r.Messages, c)
}

// Delivery implements trail.Sink.
func (r *Rows) Delivery(d *trail.StoredDelivery) {
	c := *d
	c.Skipped = slices.Clone(d.Skipped)
	r.Deliveries = append(r.Deliveries, c)
}

// Settlement implements trail.Sink.
func (r *Rows) Settlement(s *trail.StoredSettlement) { r.Settlements = append(r.Settlements, *s) }

// Step implements trail.Sink.
func (r *Rows) Step(s *trail.StoredStep) {
	c := *s
	own(&c.ID, &c.Topic, &c.Group, &c.Client, &c.Addr, &c.Detail)
	r.Steps = append(r.Steps, c)
}

// Happening implements trail.Sink.
func (r *Rows) Happening(h *trail.Happening) {
	c := *h
	c.Detail = maps.Clone(h.Detail)
	r.Happenings = append(r.Happenings, c)
}
