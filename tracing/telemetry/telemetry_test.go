package telemetry

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/contrailmq/contrail/tracing/otlp"
)

var update = flag.Bool("update", false, "write testdata/metrics.txt")

// receiver is an OTLP receiver in this process, by HTTP and gRPC.
type receiver struct {
	collector.UnimplementedTraceServiceServer
	mu       sync.Mutex
	spans    []*v1.Span
	resource map[string]string
	token    string        // of the header x-token
	hold     chan struct{} // requests wait for it
}

func (r *receiver) Export(ctx context.Context, in *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	if r.hold != nil {
		<-r.hold
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m, ok := metadata.FromIncomingContext(ctx); ok {
		r.token = strings.Join(m.Get("x-token"), ",")
	}
	for _, rs := range in.ResourceSpans {
		r.resource = texts(rs.Resource.Attributes)
		for _, ss := range rs.ScopeSpans {
			r.spans = append(r.spans, ss.Spans...)
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
	if err != nil || q.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(q.URL.Path, err), http.StatusBadRequest)
		return
	}
	out, _ := r.Export(q.Context(), &in)
	r.mu.Lock()
	r.token = q.Header.Get("X-Token")
	r.mu.Unlock()
	b, _ = proto.Marshal(out)
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(b)
}

func texts(attributes []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range attributes {
		switch v := a.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			out[a.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			out[a.Key] = fmt.Sprint(v.IntValue)
		}
	}
	return out
}

func setup(t *testing.T, o Options) (shutdown func()) {
	t.Helper()
	stop, err := Setup(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	shutdown = func() {
		once.Do(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := stop(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(shutdown)
	return shutdown
}

// operations tells one of each.
func operations(began time.Time) {
	Recovered(began, "data/log", 77, nil)
	EngineStarted(began, "lib.so", errors.New("no such file"))
	Shipped(began, 100, 2000, 3, nil)
	Sealed(began, 5, nil)
	Served(began, "GET", "/api/v1/topics/:topic", 503)
	Served(began, "GET", "/api/v1/node", 200)
}

func overHTTP(t *testing.T, r *receiver) string {
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return server.URL
}

func overGRPC(t *testing.T, r *receiver) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, r)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return "http://" + l.Addr().String()
}

func TestOperationsArrive(t *testing.T) {
	for protocol, serve := range map[string]func(*testing.T, *receiver) string{ProtocolHTTP: overHTTP, ProtocolGRPC: overGRPC} {
		t.Run(protocol, func(t *testing.T) {
			r := &receiver{}
			shutdown := setup(t, Options{
				Endpoint: serve(t, r), Protocol: protocol, Headers: map[string]string{"X-Token": "secret"}, Service: []attribute.KeyValue{attribute.String("service.name", "contrail")},
			})
			began := time.Now().Add(-time.Second)
			operations(began)
			shutdown() // what waits is exported before it ends
			checkOperations(t, r, began)
		})
	}
}

func checkOperations(t *testing.T, r *receiver, began time.Time) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.resource["service.name"] != "contrail" || r.token != "secret" {
		t.Errorf("resource %v, token %q", r.resource, r.token)
	}
	want := map[string]struct {
		failed     string
		attributes map[string]string
	}{
		"contrail recover": {"", map[string]string{"contrail.log.entry": "77", "contrail.outcome": "ok"}},
		"contrail engine":  {"no such file", map[string]string{"contrail.engine.library": "lib.so", "contrail.outcome": "failed"}},
		"contrail ship":    {"", map[string]string{"contrail.block.rows": "100", "contrail.block.bytes": "2000", "contrail.block.tries": "3"}},
		"contrail seal":    {"", map[string]string{"contrail.segment": "5"}},
		"GET /api/v1/topics/:topic": {"Service Unavailable", map[string]string{
			"http.route": "/api/v1/topics/:topic", "http.response.status_code": "503", "http.request.method": "GET"}},
		"GET /api/v1/node": {"", map[string]string{"http.response.status_code": "200"}},
	}
	for _, s := range r.spans {
		w, ok := want[s.Name]
		if !ok {
			t.Errorf("%s came twice or is not known", s.Name)
			continue
		}
		delete(want, s.Name)
		got := texts(s.Attributes)
		for k, v := range w.attributes {
			if got[k] != v {
				t.Errorf("%s: %s is %q, want %q", s.Name, k, got[k], v)
			}
		}
		failed := s.Status.GetCode() == v1.Status_STATUS_CODE_ERROR
		if failed != (w.failed != "") || s.Status.GetMessage() != w.failed || int64(s.StartTimeUnixNano) != began.UnixNano() || s.EndTimeUnixNano < s.StartTimeUnixNano+1e9 || len(s.ParentSpanId) > 0 {
			t.Errorf("%s: %v", s.Name, s)
		}
	}
	if len(want) > 0 {
		t.Errorf("did not arrive: %v", want)
	}
}

// Without an endpoint nothing is made and nothing is sent, whatever the environment says of exporters; metrics are told.
func TestNothingLeavesWithoutAnEndpoint(t *testing.T) {
	r := &receiver{}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", overHTTP(t, r))
	registry := prometheus.NewRegistry()
	shutdown := setup(t, Options{Registerer: registry})
	if _, span := otel.Tracer("x").Start(t.Context(), "y"); span.IsRecording() {
		t.Error("a span is recorded")
	}
	operations(time.Now())
	if families := gathered(t, registry); families["contrail_operation_duration_seconds"] == nil {
		t.Errorf("no metrics: %v", families)
	}
	shutdown()
	operations(time.Now()) // nobody is told
	if len(r.spans) > 0 {
		t.Errorf("%d spans were sent", len(r.spans))
	}
}

func gathered(t *testing.T, g prometheus.Gatherer) map[string]*dto.MetricFamily {
	t.Helper()
	all, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*dto.MetricFamily{}
	for _, f := range all {
		out[f.GetName()] = f
	}
	return out
}

// The names are a promise; the SDK's own are here so that an update of it that changes them is seen.
func TestNamesDoNotChange(t *testing.T) {
	t.Setenv("OTEL_GO_X_OBSERVABILITY", "true")
	r, registry := &receiver{}, prometheus.NewRegistry()
	address := overHTTP(t, r)
	setup(t, Options{Endpoint: address, Protocol: ProtocolHTTP, Registerer: registry})
	operations(time.Now())
	if err := otel.GetTracerProvider().(*sdk.TracerProvider).ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	gathered(t, registry) // what counts scrapes shows with the next one
	var names []string
	families := gathered(t, registry)
	if h := families["otel_sdk_exporter_operation_duration_seconds"].GetMetric(); len(h) == 0 || h[0].Histogram.Bucket[0].GetUpperBound() != requestBounds[0] {
		t.Errorf("bounds made for ms: %v", h)
	}
	for name, f := range families {
		labels := map[string]bool{}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				labels[l.GetName()] = true
			}
		}
		var all []string
		for l := range labels {
			all = append(all, l)
		}
		slices.Sort(all)
		names = append(names, strings.TrimSpace(fmt.Sprintf("%s %s %s", name, strings.ToLower(f.GetType().String()), strings.Join(all, ","))))
	}
	slices.Sort(names)
	got := strings.Join(names, "\n") + "\n"
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("names changed (go test -update writes them):\n%s", got)
	}
}

func TestDurationsAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	setup(t, Options{Registerer: registry})
	operations(time.Now().Add(-2 * time.Second))
	families := gathered(t, registry)
	var counted []string
	for _, m := range families["contrail_operation_duration_seconds"].Metric {
		labels := map[string]string{}
		for _, l := range m.Label {
			labels[l.GetName()] = l.GetValue()
		}
		h := m.Histogram
		if h.GetSampleSum() < 2 || h.GetSampleSum() > 60 {
			t.Errorf("%v took %v s", labels, h.GetSampleSum())
		}
		counted = append(counted, fmt.Sprint(labels["operation"], " ", labels["outcome"], " ", h.GetSampleCount()))
	}
	slices.Sort(counted)
	if want := []string{"engine failed 1", "recover ok 1", "seal ok 1", "ship ok 1"}; !slices.Equal(counted, want) {
		t.Errorf("%q, want %q", counted, want)
	}
	if n := len(families["http_server_request_duration_seconds"].Metric); n != 2 {
		t.Errorf("%d routes", n)
	}
}

// A receiver that hangs: who tells does not wait, and each span is exported, failed or dropped, and counted.
func TestDropsAreCounted(t *testing.T) {
	r, registry := &receiver{hold: make(chan struct{})}, prometheus.NewRegistry()
	shutdown := setup(t, Options{Endpoint: overHTTP(t, r), Protocol: ProtocolHTTP, Registerer: registry})
	const made = queueMax + batchMax + 1000
	began := time.Now()
	for i := range made {
		Sealed(began, uint64(i), nil)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("telling took %v while the receiver hung", took)
	}
	dropped := spansOf(t, registry, "process", "dropped")
	if dropped < 1000-batchMax || dropped > made-queueMax {
		t.Errorf("%v dropped", dropped)
	}
	close(r.hold)
	shutdown()
	r.mu.Lock()
	defer r.mu.Unlock()
	if float64(len(r.spans))+dropped != made {
		t.Errorf("%d spans arrived, %v were dropped, %d were made", len(r.spans), dropped, made)
	}
}

func spansOf(t *testing.T, g prometheus.Gatherer, sink, outcome string) float64 {
	t.Helper()
	f := gathered(t, g)["contrail_otlp_spans_total"]
	if f == nil {
		t.Fatal("no contrail_otlp_spans_total")
	}
	for _, m := range f.Metric {
		labels := map[string]string{}
		for _, l := range m.Label {
			labels[l.GetName()] = l.GetValue()
		}
		if labels["sink"] == sink && labels["outcome"] == outcome {
			return m.Counter.GetValue()
		}
	}
	t.Fatalf("no sink %s, outcome %s", sink, outcome)
	return 0
}

func TestSinksAreWatched(t *testing.T) {
	registry := prometheus.NewRegistry()
	setup(t, Options{Registerer: registry})
	Watch("trail", func() otlp.Stats { return otlp.Stats{Exported: 1, Dropped: 2, Failed: 3, Unmatched: 4} })
	for outcome, want := range map[string]float64{"exported": 1, "dropped": 2, "failed": 3, "unmatched": 4} {
		if got := spansOf(t, registry, "trail", outcome); got != want {
			t.Errorf("%s: %v, want %v", outcome, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ endpoint, protocol, want string }{
		{"http://h:4318", ProtocolHTTP, "http://h:4318/v1/traces"}, {"https://h:4318/", ProtocolHTTP, "https://h:4318/v1/traces"},
		{"http://h/own/path", ProtocolHTTP, "http://h/own/path"}, {"http://h:4317", ProtocolGRPC, "grpc://h:4317"}, {"https://h:4317/", ProtocolGRPC, "grpcs://h:4317"},
	} {
		if got, err := Address(c.endpoint, c.protocol); err != nil || got != c.want {
			t.Errorf("%s by %s: %q %v, want %q", c.endpoint, c.protocol, got, err, c.want)
		}
	}
	for _, c := range []struct{ endpoint, protocol, want string }{
		{"h:4317", ProtocolGRPC, `endpoint: "h:4317"; possible are http://host:port and https://host:port`}, {"", ProtocolGRPC, `endpoint: ""`},
		{"http://h:4317/x", ProtocolGRPC, "with grpc there is no path"}, {"http://h:4317", "udp", `protocol: "udp"; possible are grpc, http`},
		{"http://me:secret@h:4317", ProtocolHTTP, "possible are"}, {"http://h:4317?key=secret", ProtocolHTTP, "possible are"}, {"http://h:x/secret", ProtocolHTTP, "possible are"},
	} {
		_, err := Address(c.endpoint, c.protocol)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s by %s: %v", c.endpoint, c.protocol, err)
		}
		if _, err := Setup(t.Context(), Options{Endpoint: c.endpoint, Protocol: c.protocol}); err == nil && c.endpoint != "" {
			t.Errorf("%s was taken", c.endpoint)
		}
	}
}

// A receiver that is away for hours does not fill the log.
func TestFailuresAreLoggedOnceAMinute(t *testing.T) {
	var out bytes.Buffer
	c := &complaints{log: slog.New(slog.NewTextHandler(&out, nil))}
	for range 100 {
		c.Handle(errors.New("refused"))
	}
	if n := strings.Count(out.String(), "refused"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}
