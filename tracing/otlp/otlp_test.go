package otlp

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	brokermessage "github.com/contrailmq/contrail/broker/message"
	store "github.com/contrailmq/contrail/tracing/clickhouse"
	"github.com/contrailmq/contrail/tracing/engine/enginetest"
	"github.com/contrailmq/contrail/tracing/trail"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

const at = int64(1_790_000_000_000_000)

// receiver is an OTLP receiver in this process, by HTTP and gRPC.
type receiver struct {
	collector.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans []*tracev1Span
}

// tracev1Span is a span with its resource's attributes.
type tracev1Span struct {
	*v1.Span
	resource map[string]string
}

func (r *receiver) Export(_ context.Context, in *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range in.ResourceSpans {
		about := map[string]string{}
		for _, a := range rs.Resource.Attributes {
			about[a.Key] = a.Value.GetStringValue()
		}
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				r.spans = append(r.spans, &tracev1Span{s, about})
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	b, err := io.ReadAll(q.Body)
	var in collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(b, &in)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	out, _ := r.Export(q.Context(), &in)
	b, _ = proto.Marshal(out)
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(b)
}

// lines tell each span in one line.
func (r *receiver) lines() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		all = append(all, fmt.Sprintf("%s %s<%s %s %d", hex.EncodeToString(s.TraceId), hex.EncodeToString(s.SpanId), hex.EncodeToString(s.ParentSpanId), s.Name, s.EndTimeUnixNano-s.StartTimeUnixNano))
	}
	sort.Strings(all)
	return all
}

// ship makes spans of rows and exports them to an address.
func ship(t *testing.T, address string, change func(*Options), rows func(trail.Sink)) *Sink {
	t.Helper()
	e, err := Exporter(context.Background(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Exporter: e, Ratio: 1, Batch: 7}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	rows(s)
	cancel() // what waits is exported before it ends
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return s
}

// story is the lives of a few messages.
func story(b trail.Sink) {
	for i := range 8 {
		m := trail.StoredMessage{StoreKey: "7F00000100002A9F", Message: trail.Message{
			ID: fmt.Sprintf("ID%d", i), OffsetID: fmt.Sprintf("7F00000100002A9F%016X", i), Topic: "orders", Tag: []string{"paid", "sent"}[i%2], QueueOffset: int64(i), Position: int64(i),
			Broker: "broker-a", Node: "node-1", ReceivedMicros: at, AppendedMicros: at + 100, SyncedMicros: at + 200, AckedMicros: at + 700, Type: "normal",
		}}
		if i == 1 {
			m.TraceIn, m.ParentIn, m.TraceFlags = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1
		}
		if i == 7 {
			m.Topic, m.QueueOffset, m.ID, m.ReconsumeTimes, m.OriginTopic = "%RETRY%billing", 0, "ID0", 1, "orders"
		}
		b.Message(&m)
	}
	d := trail.StoredDelivery{Delivery: trail.Delivery{Broker: "broker-a", Topic: "orders", From: 0, To: 4, Group: "billing", Client: "c", Node: "node-1", RequestedMicros: at + 1000, SentMicros: at + 1900, WaitedMicros: 300, Messages: 4}}
	b.Delivery(&d)
	d.From, d.To, d.AgainTo, d.SentMicros = 2, 6, 4, at+2500
	b.Delivery(&d)
	d.Group, d.From, d.To, d.AgainTo, d.Filtered, d.Skipped, d.Subscription = "audit", 0, 7, 0, 3, []int64{1}, "paid || x"
	b.Delivery(&d)
	d = trail.StoredDelivery{Delivery: trail.Delivery{Broker: "broker-a", Topic: "%RETRY%billing", From: 0, To: 1, Group: "billing", Node: "node-1", RequestedMicros: at + 5000, SentMicros: at + 5100}}
	b.Delivery(&d)
	c := trail.StoredSettlement{AgainTo: 1, Settlement: trail.Settlement{Broker: "broker-a", Topic: "orders", From: 0, To: 5, Group: "billing", Outcome: "acknowledged", Node: "node-1", AtMicros: at + 9000}}
	b.Settlement(&c)
	c.Outcome = "reset"
	b.Settlement(&c)
	scheduled(b)
	transacted(b)
	p := trail.StoredStep{RecordedMicros: at, Step: trail.Step{ID: "ID1", Name: "process", Group: "billing", AtMicros: at + 2000, DurationMicros: 400, Attempt: 1, Status: "Error", Error: "TIME_OUT", Source: "client", Detail: "R"}}
	b.Step(&p)
	p.Name, p.Status, p.Error, p.Group, p.Detail = "send", "Ok", "", "shop", ""
	b.Step(&p)
	p.Name, p.DurationMicros = "process", -1
	b.Step(&p)
}

// transacted is the lives of three half messages: one is asked about and committed, one rolled back, one given up.
func transacted(b trail.Sink) {
	copied := func(id, topic string, position, micros int64, change func(*trail.Message)) {
		m := trail.StoredMessage{StoreKey: "7F00000100002A9F", Message: trail.Message{
			ID: id, Topic: topic, QueueOffset: position, Position: position, Broker: "broker-a", Node: "node-1", AppendedMicros: at + micros, AckedMicros: at + micros + 50, Type: "transaction",
		}}
		change(&m.Message)
		b.Message(&m)
	}
	half := func(m *trail.Message) { m.Timing, m.RealTopic = trail.TimingHalf, "orders" }
	step := func(name string, place, micros int64, attempt uint16) {
		b.Step(&trail.StoredStep{RecordedMicros: at + micros, Step: trail.Step{Name: name, AtMicros: at + micros, Attempt: attempt, Status: "Ok", Detail: "producer", Broker: "broker-a", Place: place}})
	}
	copied("IDT", trail.HalfTopic, 1000, 0, half)
	copied("IDU", trail.HalfTopic, 1001, 0, half)
	copied("IDV", trail.HalfTopic, 1002, 0, half)
	step(trail.StepCheck, 1000, 2_000, 1)
	step(trail.StepCheck, 1000, 3_000, 2)
	step(trail.StepCommit, 1000, 4_000, 0)
	copied("IDT", "orders", 1003, 4_000, func(m *trail.Message) { m.SysFlag = brokermessage.FlagTxCommit })
	step(trail.StepRollback, 1001, 4_000, 0)
	step(trail.StepDiscard, 1002, 4_000, 0)
	copied("IDV", trail.DiscardTopic, 1004, 4_000, func(m *trail.Message) { half(m); m.Timing = trail.TimingDiscarded })
}

// scheduled is the life of a message that is scheduled, fired, handed out, sent back, fired again and dead.
func scheduled(b trail.Sink) {
	copied := func(topic string, position, micros int64, retries int32, timing, real string) {
		m := trail.StoredMessage{StoreKey: "7F00000100002A9F", Message: trail.Message{
			ID: "IDS", Topic: topic, QueueOffset: position, Position: position, Broker: "broker-a", Node: "node-1", AppendedMicros: at + micros, AckedMicros: at + micros + 50,
			ReconsumeTimes: retries, Timing: timing, RealTopic: real, Type: "delay",
		}}
		if timing != "" {
			m.DueMicros = at + micros/10_000*10_000
		}
		if timing == trail.TimingParked {
			m.DueMicros += 10_000
		}
		if retries > 0 {
			m.OriginTopic = "orders"
		}
		b.Message(&m)
	}
	d := trail.StoredDelivery{Delivery: trail.Delivery{Broker: "broker-a", Topic: "orders", From: 200, To: 201, Group: "billing", Node: "node-1", RequestedMicros: at + 11_000, SentMicros: at + 11_100}}
	copied(trail.WheelTopic, 100, 0, 0, trail.TimingParked, "orders")
	copied("orders", 200, 10_300, 0, trail.TimingFired, "orders")
	b.Delivery(&d)
	copied(trail.ScheduleTopic, 300, 20_000, 1, trail.TimingParked, "%RETRY%billing")
	copied("%RETRY%billing", 400, 30_700, 1, trail.TimingFired, "%RETRY%billing")
	copied("%DLQ%billing", 500, 40_000, 2, "", "")
	b.Message(&trail.StoredMessage{StoreKey: "7F00000100002A9F", Message: trail.Message{
		ID: "IDS", Topic: "%RETRY%billing", QueueOffset: 600, Position: 600, Broker: "broker-a", Node: "node-1", ReceivedMicros: at + 50_000, AppendedMicros: at + 50_010, AckedMicros: at + 50_100,
		OriginTopic: "orders", ResentFrom: "AAAA", ResentBy: "li.wei", Type: "normal",
	}})
	d.Topic, d.From, d.To, d.SentMicros = "%RETRY%billing", 600, 601, at+51_000
	b.Delivery(&d)
}

// A wait that is cancelled ends then. What was cancelled elsewhere is not taken for it.
func TestACancelEndsTheWait(t *testing.T) {
	c := &collecting{}
	runWith(t, Options{Exporter: c, Ratio: 1}, func(b trail.Sink) {
		b.Message(&trail.StoredMessage{Message: trail.Message{ID: "A", Broker: "broker-a", Topic: trail.WheelTopic, Position: 100, AppendedMicros: at, Timing: trail.TimingParked, RealTopic: "orders", DueMicros: at + 9_000_000}})
		for _, broker := range []string{"broker-b", "broker-a"} {
			b.Step(&trail.StoredStep{Step: trail.Step{Name: trail.StepCancel, Client: "shop-7", AtMicros: at + 500, Broker: broker, Place: 100}})
		}
	})
	if got := names(c); !slices.Equal(got, []string{"recall orders", "schedule orders", "store orders"}) {
		t.Fatalf("%q", got)
	}
	for _, p := range c.spans {
		if d := p.EndTime().Sub(p.StartTime()); p.Name() == "schedule orders" && d != 500*time.Microsecond {
			t.Errorf("waited %s", d)
		}
		if p.Name() == "recall orders" && !slices.Contains(p.Attributes(), attribute.String("messaging.client.id", "shop-7")) {
			t.Errorf("%v", p.Attributes())
		}
	}
}

// What a receiver gets is what the view shows.
func TestSpansAreThoseOfTheView(t *testing.T) {
	c := enginetest.Options(t)
	s, err := store.Open(context.Background(), store.Options{Addr: c.Addr[0], Database: c.Auth.Database, KeepFor: 20_000 * 24 * time.Hour, Dial: func(ctx context.Context) (net.Conn, error) { return c.DialContext(ctx, "") }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	block := s.NewBlock()
	story(block)
	if err := s.Write(context.Background(), "t", block); err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rows, err := conn.Query(context.Background(), "SELECT concat(TraceId, ' ', SpanId, '<', ParentSpanId, ' ', SpanName, ' ', toString(Duration)) AS line FROM otel_traces ORDER BY line")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var want []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		want = append(want, line)
	}
	r := &receiver{}
	server := httptest.NewServer(r)
	defer server.Close()
	sink := ship(t, server.URL+"/v1/traces", nil, story)
	if got := r.lines(); !reflect.DeepEqual(got, want) || len(want) < 20 {
		t.Errorf("receiver\n%s\nview\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if st := sink.Stats(); st != (Stats{Exported: uint64(len(want))}) {
		t.Errorf("stats %+v", st)
	}
}

func TestSpansGoByGRPCToo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r, server := &receiver{}, grpc.NewServer()
	collector.RegisterTraceServiceServer(server, r)
	go func() { _ = server.Serve(l) }()
	defer server.Stop()
	sink := ship(t, "grpc://"+l.Addr().String(), nil, story)
	if n := len(r.lines()); n < 20 || sink.Stats().Exported != uint64(n) {
		t.Errorf("%d spans, stats %+v", n, sink.Stats())
	}
	for _, s := range r.spans {
		if s.resource["service.name"] != "contrail" || s.resource["rocketmq.broker"] != "broker-a" {
			t.Errorf("resource %v", s.resource)
		}
		if s.Name == "process orders" && (s.Status.Code != v1.Status_STATUS_CODE_ERROR || s.Status.Message != "TIME_OUT" || s.Kind != v1.Span_SPAN_KIND_CONSUMER) {
			t.Errorf("failed processing: %v", s.Span)
		}
	}
}

// collecting is an exporter that keeps spans, or fails.
type collecting struct {
	mu    sync.Mutex
	spans []trace.ReadOnlySpan
	err   error
}

func (c *collecting) ExportSpans(_ context.Context, spans []trace.ReadOnlySpan) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.spans = append(c.spans, spans...)
	}
	return c.err
}

func (c *collecting) Shutdown(context.Context) error { return nil }

func runWith(t *testing.T, o Options, rows func(trail.Sink)) *Sink {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	rows(s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return s
}

// many sends n messages, hands all out and has them acknowledged.
func many(n int, flags uint8) func(trail.Sink) {
	return func(b trail.Sink) {
		for i := range n {
			m := trail.StoredMessage{Message: trail.Message{Broker: "broker-a", ID: fmt.Sprint("ID", i), Topic: "orders", QueueOffset: int64(i), AppendedMicros: at}}
			if flags < 0xFF {
				m.TraceIn, m.ParentIn, m.TraceFlags = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", flags
			}
			b.Message(&m)
		}
		b.Delivery(&trail.StoredDelivery{Delivery: trail.Delivery{Broker: "broker-a", Topic: "orders", To: int64(n), Group: "g", SentMicros: at}})
		b.Settlement(&trail.StoredSettlement{Settlement: trail.Settlement{Broker: "broker-a", Topic: "orders", To: int64(n), Group: "g", Outcome: "acknowledged", AtMicros: at}})
	}
}

func TestAMessageIsSampledWithAllOfItsSpansOrNone(t *testing.T) {
	c := &collecting{}
	runWith(t, Options{Exporter: c, Ratio: 0.1, Queue: 100_000}, many(10_000, 0xFF))
	of := map[string]int{}
	for _, s := range c.spans {
		of[s.SpanContext().TraceID().String()]++
	}
	if len(of) < 850 || len(of) > 1150 {
		t.Errorf("%d of 10 000 messages were sampled", len(of))
	}
	for id, n := range of {
		if n != 3 {
			t.Fatalf("trace %s has %d spans, want 3", id, n)
		}
	}
}

func TestRatiosAtBothEnds(t *testing.T) {
	for ratio, want := range map[float64]int{0: 0, 1: 300} {
		c := &collecting{}
		runWith(t, Options{Exporter: c, Ratio: ratio}, many(100, 0xFF))
		if len(c.spans) != want {
			t.Errorf("ratio %v: %d spans, want %d", ratio, len(c.spans), want)
		}
	}
}

func TestTheIncomingDecisionIsHonoured(t *testing.T) {
	for _, c := range []struct {
		flags  uint8
		honour bool
		want   int
	}{{1, true, 30}, {0, true, 0}, {0, false, 0}, {0xFF, true, 0}} {
		e := &collecting{}
		runWith(t, Options{Exporter: e, Ratio: 0, Honour: c.honour}, many(10, c.flags))
		if len(e.spans) != c.want {
			t.Errorf("%+v: %d spans", c, len(e.spans))
		}
	}
}

func TestWhatDoesNotFitIsDroppedAndCounted(t *testing.T) {
	c := &collecting{}
	s := runWith(t, Options{Exporter: c, Ratio: 1, Queue: 100}, many(1000, 0xFF))
	if st := s.Stats(); st.Exported != 100 || st.Dropped != 2900 || len(c.spans) != 100 {
		t.Errorf("%+v", st)
	}
}

func TestWhatTheReceiverRefusesIsCounted(t *testing.T) {
	s := runWith(t, Options{Exporter: &collecting{err: errors.New("no")}, Ratio: 1}, many(100, 0xFF))
	if st := s.Stats(); st.Failed != 300 || st.Exported != 0 {
		t.Errorf("%+v", st)
	}
}

func TestTheOldestMessagesAreForgotten(t *testing.T) {
	c := &collecting{}
	s := runWith(t, Options{Exporter: c, Ratio: 1, Remember: 40}, many(100, 0xFF))
	if len(c.spans) != 100+40+40 {
		t.Errorf("%d spans, want the stores and two for each of the newest 40", len(c.spans))
	}
	if n := len(s.memory.queues); n != 1 || len(s.memory.byID) != 40 {
		t.Errorf("%d queues and %d identities are remembered", n, len(s.memory.byID))
	}
	s.Step(&trail.StoredStep{Step: trail.Step{ID: "ID3", Name: "send", AtMicros: at}})
	if st := s.Stats(); st.Unmatched != 1 {
		t.Errorf("%+v", st)
	}
}

func TestAddressesAndRatiosAreChecked(t *testing.T) {
	for _, a := range []string{"", "host:4317", "ftp://host", "http://"} {
		if _, err := Exporter(context.Background(), a, nil); err == nil {
			t.Errorf("%q was taken", a)
		}
	}
	for _, o := range []Options{{}, {Exporter: &collecting{}, Ratio: 1.1}, {Exporter: &collecting{}, Ratio: -1}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
