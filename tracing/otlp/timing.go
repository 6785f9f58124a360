package otlp

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/contrailmq/contrail/tracing/trail"
)

// Names of the spans of a store that is none of a producer's.
const (
	stepRetry  = "retry"
	stepDead   = "dlq"
	stepRecall = "recall"
	stepResend = "resend"
	errorDead  = "max_reconsume_exceeded"
)

// copied is how a stored copy is told as a span.
type copied struct {
	step, name, owner, operation string
	kind                         trace.SpanKind
	parent                       trace.SpanID
}

// copyOf names a copy, gives it its ids and, when it is parked, what its end will need. What is fired ends the wait of the parked copy: only
// now that span is sent, because it may be long.
func (s *Sink) copyOf(k *known, m *trail.StoredMessage) copied {
	c := copied{step: trail.StepStore, name: strings.Clone(m.UserTopic()), owner: strings.Clone(m.Owner()), kind: trace.SpanKindInternal, parent: k.parent}
	key := waitKey{k.id, c.owner, k.attempt}
	k.store = spanID(k.id, c.owner, k.attempt, trail.StepStore)
	if c.owner != "" && k.attempt > 1 {
		c.parent = spanID(k.id, c.owner, k.attempt-1, trail.StepDeliver)
	}
	switch {
	case m.Timing == trail.TimingFired:
		c.step, c.parent = trail.StepFire, spanID(k.id, c.owner, k.attempt, trail.StepSchedule)
		k.store = spanID(k.id, c.owner, k.attempt, trail.StepFire)
		s.waited(s.memory.waits[key], m.DueMicros)
	case m.ResentFrom != "":
		c.step, c.kind, c.operation, k.resent = stepResend, trace.SpanKindProducer, "send", true
	case m.Dead():
		c.step = stepDead
	case c.owner != "":
		c.step = stepRetry
	default:
		c.kind, c.operation = trace.SpanKindServer, "send"
	}
	if m.Timing == trail.TimingParked {
		k.wait = &wait{key, placeKey{m.Broker, m.Position}, c.name, m.AppendedMicros, m.DueMicros, m.Node}
		if m.ReceivedMicros > 0 {
			k.wait.begin = m.ReceivedMicros
		}
		k.topic, k.queue = strings.Clone(m.RealTopic), m.RealQueueID
	}
	return c
}

// waited makes the span of a wait that is over.
func (s *Sink) waited(k *known, end int64) {
	if k == nil {
		s.unmatched.Add(1)
		return
	}
	w := k.wait
	st := s.stub(k, spanID(k.id, w.key.owner, k.attempt, trail.StepSchedule), k.store, trail.StepSchedule, trace.SpanKindInternal, w.begin, max(w.begin, end), w.node,
		attribute.String("messaging.consumer.group.name", w.key.owner), attribute.Int64("messaging.rocketmq.message.delivery_timestamp", w.due/1000))
	st.Name = trail.StepSchedule + " " + w.origin
	s.send(st)
}

// cancelled makes the spans of a wait that was cancelled and of the cancel.
func (s *Sink) cancelled(r *trail.StoredStep) {
	k := s.memory.places[placeKey{r.Broker, r.Place}]
	if k == nil {
		return // of a message that is not sampled, or was forgotten: a place does not say which
	}
	s.waited(k, min(r.AtMicros, k.wait.due))
	s.send(s.stub(k, spanID(k.id, k.wait.key.owner, k.attempt, trail.StepCancel), spanID(k.id, k.wait.key.owner, k.attempt, trail.StepSchedule), stepRecall,
		trace.SpanKindServer, r.AtMicros, r.AtMicros, "", attribute.String("messaging.client.id", strings.Clone(r.Client)),
		attribute.Int64("messaging.rocketmq.message.delivery_timestamp", k.wait.due/1000)))
}
