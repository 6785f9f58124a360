package otlp

import (
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
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
	case m.Timing == trail.TimingHalf:
		c.step, c.kind, c.operation = trail.StepHalf, trace.SpanKindServer, "send"
		k.store = spanID(k.id, "", k.attempt, trail.StepHalf)
	default:
		c.kind, c.operation = trace.SpanKindServer, "send"
	}
	if m.Committed() && m.Timing != trail.TimingFired {
		c.parent = spanID(k.id, "", k.attempt, trail.StepCommit)
	}
	if m.Timing == trail.TimingParked || m.Timing == trail.TimingHalf {
		k.wait = &wait{key, placeKey{m.Broker, m.Position}, c.name, m.AppendedMicros, m.AppendedMicros, m.DueMicros, m.Node}
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

// ofPlace makes the spans of what became of a copy that waits. Of messages that are not sampled, or were forgotten, there are none: a place does
// not say which.
func (s *Sink) ofPlace(r *trail.StoredStep) {
	k := s.memory.places[placeKey{r.Broker, r.Place}]
	switch {
	case k == nil:
	case r.Name == trail.StepCancel:
		s.cancelled(k, r)
	default:
		s.decided(k, r)
	}
}

// decided makes the span of a transaction's end, or of a question about it.
func (s *Sink) decided(k *known, r *trail.StoredStep) {
	step, kind := r.Name, trace.SpanKindServer
	age := attribute.Int64("rocketmq.transaction.age_ms", max(0, r.AtMicros-k.wait.stored)/1000)
	more := []attribute.KeyValue{age, attribute.String("messaging.client.id", strings.Clone(r.Client)), attribute.String("rocketmq.transaction.decided_by", r.Detail), attribute.String("error.type", r.Error)}
	if r.Name == trail.StepCheck {
		number := strconv.Itoa(int(r.Attempt))
		step, kind, more = step+"#"+number, trace.SpanKindClient, append(more, attribute.String("rocketmq.transaction.check", number))
	}
	st := s.stub(k, spanID(k.id, "", k.attempt, step), k.store, r.Name, kind, r.AtMicros, r.AtMicros, "", more...)
	st.Status = statusOf(r)
	s.send(st)
}

func statusOf(r *trail.StoredStep) sdk.Status {
	switch r.Status {
	case "Ok":
		return sdk.Status{Code: codes.Ok}
	case "Error":
		return sdk.Status{Code: codes.Error, Description: r.Error}
	}
	return sdk.Status{}
}

// cancelled makes the spans of a wait that was cancelled and of the cancel.
func (s *Sink) cancelled(k *known, r *trail.StoredStep) {
	s.waited(k, min(r.AtMicros, k.wait.due))
	s.send(s.stub(k, spanID(k.id, k.wait.key.owner, k.attempt, trail.StepCancel), spanID(k.id, k.wait.key.owner, k.attempt, trail.StepSchedule), stepRecall,
		trace.SpanKindServer, r.AtMicros, r.AtMicros, "", attribute.String("messaging.client.id", strings.Clone(r.Client)),
		attribute.Int64("messaging.rocketmq.message.delivery_timestamp", k.wait.due/1000)))
}
