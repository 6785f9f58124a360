package otlp

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/contrailmq/contrail/tracing/trail"
)

// Options of a Sink.
type Options struct {
	Exporter sdk.SpanExporter
	Ratio    float64 // of messages: 0 none, 1 all
	Honour   bool    // messages that brought a context are taken when it says sampled, and only then
	Queue    int     // spans that wait for export; 0: 16 384
	Batch    int     // spans per export; 0: 512
	Remember int     // messages whose ranges may still come; 0: 65 536
	Timeout  time.Duration
	Logger   *slog.Logger
}

// Defaults and limits.
const (
	queueDefault    = 16_384
	batchDefault    = 512
	rememberDefault = 65_536
	timeoutDefault  = 10 * time.Second
)

func (o Options) withDefaults() (Options, error) {
	for n, v := range map[*int]int{&o.Queue: queueDefault, &o.Batch: batchDefault, &o.Remember: rememberDefault} {
		if *n <= 0 {
			*n = v
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = timeoutDefault
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Exporter == nil {
		return o, errors.New("otlp: no exporter")
	}
	if math.IsNaN(o.Ratio) || o.Ratio < 0 || o.Ratio > 1 {
		return o, fmt.Errorf("otlp: ratio %v: from 0 to 1 are possible", o.Ratio)
	}
	return o, nil
}

// Stats are totals since New.
type Stats struct {
	Exported  uint64 // spans that the receiver took
	Dropped   uint64 // spans that did not fit into the queue
	Failed    uint64 // spans that the receiver did not take
	Unmatched uint64 // rows of sampled messages that were forgotten, or never seen
}

// Sink makes spans of rows. It implements trail.Sink.
type Sink struct {
	o         Options
	limit     uint64 // hashes below it are sampled
	memory    *memory
	early     *early
	spans     chan sdk.ReadOnlySpan
	resources map[string]*resource.Resource

	exported, dropped, failed, unmatched atomic.Uint64
}

// New makes a Sink; Run exports what it makes.
func New(o Options) (*Sink, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Sink{o: o, memory: newMemory(o.Remember), early: newEarly(), spans: make(chan sdk.ReadOnlySpan, o.Queue), resources: map[string]*resource.Resource{}}
	s.limit = uint64(o.Ratio * (1 << 63) * 2)
	if o.Ratio == 1 {
		s.limit = math.MaxUint64
	}
	return s, nil
}

// Stats says how the export does.
func (s *Sink) Stats() Stats {
	return Stats{s.exported.Load(), s.dropped.Load(), s.failed.Load(), s.unmatched.Load()}
}

// sampled decides by the message alone, so that every node decides alike.
func (s *Sink) sampled(id string, broughtContext, sampledIn bool) bool {
	if s.o.Honour && broughtContext {
		return sampledIn
	}
	hash := trail.DeriveSpanID(id, "", 0, "sample")
	h := binary.LittleEndian.Uint64(hash[:])
	return h < s.limit || s.limit == math.MaxUint64
}

func spanID(id, group string, attempt uint16, step string) trace.SpanID {
	return trace.SpanID(trail.DeriveSpanID(id, group, attempt, step))
}

// Message makes the span of a store and remembers the message. Deliveries that waited for it become spans.
func (s *Sink) Message(m *trail.StoredMessage) {
	s.stored(m)
	for _, d := range s.early.saw(queueKey{m.Broker, m.Topic, m.QueueID}, m.QueueOffset) {
		s.delivered(d)
	}
}

func (s *Sink) stored(m *trail.StoredMessage) {
	if !s.sampled(m.ID, m.TraceIn != "", m.TraceFlags&1 != 0) {
		return
	}
	k := &known{
		id: strings.Clone(m.ID), topic: strings.Clone(m.Topic), tag: strings.Clone(m.Tag), broker: m.Broker, queue: m.QueueID, offset: m.QueueOffset,
		attempt: uint16(m.ReconsumeTimes + 1), trace: traceID(&m.Message),
	}
	_, _ = hex.Decode(k.parent[:], []byte(m.ParentIn)) // empty: stays zero
	if m.Timing == trail.TimingRolled {
		s.memory.rolled(waitKey{k.id, m.Owner(), k.attempt}, placeKey{m.Broker, m.Position})
		return
	}
	if m.Timing == trail.TimingDiscarded {
		return // the step says so
	}
	c := s.copyOf(k, m)
	s.memory.add(k)
	begin, end := m.ReceivedMicros, m.AckedMicros
	if begin <= 0 {
		begin = m.AppendedMicros
	}
	st := s.stub(k, k.store, c.parent, c.step, c.kind, begin, max(begin, end), m.Node,
		attribute.String("messaging.operation.type", c.operation), attribute.Int("messaging.message.body.size", int(m.BodyBytes)),
		attribute.String("messaging.rocketmq.message.type", m.Type), attribute.String("messaging.rocketmq.message.tag", k.tag),
		attribute.String("messaging.rocketmq.message.keys", strings.Join(m.Keys, " ")), attribute.String("messaging.client.id", m.ProducerClient),
		attribute.String("network.peer.address", m.ProducerAddr), attribute.String("rocketmq.producer_group", strings.Clone(m.ProducerGroup)),
		attribute.String("rocketmq.offset_message_id", strings.Clone(m.OffsetID)), attribute.String("messaging.consumer.group.name", c.owner))
	st.Name = c.step + " " + c.name
	if m.Timing == trail.TimingFired {
		st.Attributes = append(st.Attributes, attribute.Int64("rocketmq.schedule.lateness_ms", m.LateMicros()/1000))
	}
	if c.step == stepDead {
		st.Status = sdk.Status{Code: codes.Error, Description: errorDead}
	}
	for _, e := range []struct {
		name   string
		micros int64
	}{{"append", m.AppendedMicros}, {"sync", m.SyncedMicros}, {"ack", m.AckedMicros}} {
		if e.micros > 0 {
			st.Events = append(st.Events, sdk.Event{Name: e.name, Time: time.UnixMicro(e.micros)})
		}
	}
	s.send(st)
}

func traceID(m *trail.Message) (t trace.TraceID) {
	if m.TraceIn == "" {
		return trace.TraceID(trail.DerivedTraceID(m.ID))
	}
	_, _ = hex.Decode(t[:], []byte(m.TraceIn))
	return t
}

// Delivery makes a span per sampled message of the range, when its messages came.
func (s *Sink) Delivery(d *trail.StoredDelivery) {
	held, lost := s.early.hold(d)
	if s.unmatched.Add(uint64(lost)); !held {
		s.delivered(d)
	}
}

func (s *Sink) delivered(d *trail.StoredDelivery) {
	begin := d.RequestedMicros + d.WaitedMicros
	for _, k := range s.memory.within(queueKey{d.Broker, d.Topic, d.QueueID}, d.From, d.To) {
		if slices.Contains(d.Skipped, k.offset) || (int(d.Filtered) > len(d.Skipped) && !takes(d.Subscription, k.tag)) {
			continue
		}
		attempt, step := k.attempt, trail.StepDeliver
		if d.Attempt > 1 {
			attempt = d.Attempt
		}
		if k.offset < d.AgainTo || k.resent {
			step += "#" + strconv.FormatInt(d.SentMicros, 10)
		}
		s.send(s.stub(k, spanID(k.id, d.Group, attempt, step), k.store, trail.StepDeliver, trace.SpanKindServer, begin, max(begin, d.SentMicros), d.Node,
			attribute.String("messaging.operation.type", "receive"), attribute.String("messaging.consumer.group.name", d.Group),
			attribute.String("messaging.client.id", d.Client), attribute.Int("messaging.batch.message_count", int(d.Messages)),
			attribute.String("network.peer.address", d.Addr), attribute.Int64("rocketmq.waited_us", d.WaitedMicros)))
	}
}

// takes says whether a tag expression takes a tag: for ranges whose list of skipped offsets is full.
func takes(expression, tag string) bool {
	if expression == "" || expression == "*" {
		return true
	}
	for t := range strings.SplitSeq(expression, "||") {
		if strings.TrimSpace(t) == tag {
			return true
		}
	}
	return false
}

// Settlement makes a span per sampled message that a commit acknowledged.
func (s *Sink) Settlement(c *trail.StoredSettlement) {
	if c.Outcome != "acknowledged" || c.From < 0 {
		return
	}
	for _, k := range s.memory.within(queueKey{c.Broker, c.Topic, c.QueueID}, c.From, c.To) {
		step := trail.StepAck
		if k.offset < c.AgainTo || k.resent {
			step += "#" + strconv.FormatInt(c.AtMicros, 10)
		}
		s.send(s.stub(k, spanID(k.id, c.Group, k.attempt, step), k.store, trail.StepAck, trace.SpanKindServer, c.AtMicros, c.AtMicros, c.Node,
			attribute.String("messaging.operation.type", "settle"), attribute.String("messaging.consumer.group.name", c.Group),
			attribute.String("messaging.client.id", c.Client), attribute.Int64("rocketmq.settled_to", c.To)))
	}
}

// Step makes the span of what a client reported, or of what the broker did with a copy that waits.
func (s *Sink) Step(r *trail.StoredStep) {
	if r.Place > 0 {
		s.ofPlace(r)
		return
	}
	if r.AtMicros == 0 || (r.Name == trail.StepProcess && r.DurationMicros < 0) {
		return
	}
	k := s.memory.byID[r.ID]
	if k == nil {
		if s.sampled(r.ID, false, false) {
			s.unmatched.Add(1)
		}
		return
	}
	kind, parent, step, operation := trace.SpanKindClient, k.store, r.Name, ""
	switch r.Name {
	case trail.StepSend:
		kind, parent, operation = trace.SpanKindProducer, k.parent, "send"
	case trail.StepProcess:
		kind, operation = trace.SpanKindConsumer, "process"
		if r.Attempt > 0 {
			parent = spanID(k.id, r.Group, r.Attempt, trail.StepDeliver)
		}
		if r.Detail != "" {
			step += "#" + r.Detail
		}
	}
	attributes := []attribute.KeyValue{
		attribute.String("messaging.operation.type", operation), attribute.String("messaging.client.id", strings.Clone(r.Client)),
		attribute.String("network.peer.address", strings.Clone(r.Addr)), attribute.String("error.type", r.Error), attribute.String("rocketmq.detail", strings.Clone(r.Detail)),
	}
	if r.Name == trail.StepProcess {
		attributes = append(attributes, attribute.String("messaging.consumer.group.name", strings.Clone(r.Group)))
	}
	st := s.stub(k, spanID(k.id, r.Group, r.Attempt, step), parent, r.Name, kind, r.AtMicros, r.AtMicros+max(0, r.DurationMicros), "", attributes...)
	st.Status = statusOf(r)
	s.send(st)
}

// Happening makes no span.
func (s *Sink) Happening(*trail.Happening) {}

// stub is a span with what all of them have. Empty attributes are left out.
func (s *Sink) stub(k *known, id, parent trace.SpanID, operation string, kind trace.SpanKind, begin, end int64, node string, more ...attribute.KeyValue) *tracetest.SpanStub {
	attributes := append([]attribute.KeyValue{
		attribute.String("messaging.system", "rocketmq"), attribute.String("messaging.operation.name", operation), attribute.String("messaging.destination.name", k.topic),
		attribute.String("messaging.destination.partition.id", strconv.Itoa(int(k.queue))), attribute.String("messaging.message.id", k.id),
		attribute.Int64("messaging.rocketmq.queue_offset", k.offset),
	}, more...)
	attributes = slices.DeleteFunc(attributes, func(a attribute.KeyValue) bool { return a.Value.Type() == attribute.STRING && a.Value.AsString() == "" })
	st := &tracetest.SpanStub{
		Name: operation + " " + k.topic, SpanKind: kind, StartTime: time.UnixMicro(begin), EndTime: time.UnixMicro(end), Attributes: attributes,
		SpanContext:          trace.NewSpanContext(trace.SpanContextConfig{TraceID: k.trace, SpanID: id, TraceFlags: trace.FlagsSampled}),
		Resource:             s.resource(k.broker, node),
		InstrumentationScope: instrumentation.Scope{Name: "contrail"},
	}
	if parent.IsValid() {
		st.Parent = trace.NewSpanContext(trace.SpanContextConfig{TraceID: k.trace, SpanID: parent, TraceFlags: trace.FlagsSampled, Remote: true})
	}
	return st
}

func (s *Sink) resource(broker, node string) *resource.Resource {
	key := broker + "\x00" + node
	r := s.resources[key]
	if r == nil {
		attributes := []attribute.KeyValue{attribute.String("service.name", "contrail"), attribute.String("rocketmq.broker", broker)}
		if node != "" {
			attributes = append(attributes, attribute.String("service.instance.id", node))
		}
		r = resource.NewSchemaless(attributes...)
		s.resources[key] = r
	}
	return r
}

func (s *Sink) send(st *tracetest.SpanStub) {
	select {
	case s.spans <- st.Snapshot():
	default:
		s.dropped.Add(1)
	}
}
