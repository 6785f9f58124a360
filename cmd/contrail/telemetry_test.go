package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/tracing/engine/enginetest"
)

// TestMain runs the trail's engine instead when this process was started as its child.
func TestMain(m *testing.M) {
	enginetest.Child()
	os.Exit(m.Run())
}

// otlpServer is an OTLP receiver by HTTP.
type otlpServer struct {
	mu    sync.Mutex
	spans []*v1.Span
	token map[string]bool // values of x-token that were seen
}

func (o *otlpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	var in collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(b, &in)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.token[r.Header.Get("X-Token")] = true
	for _, rs := range in.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			o.spans = append(o.spans, ss.Spans...)
		}
	}
	b, _ = proto.Marshal(&collector.ExportTraceServiceResponse{})
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(b)
}

func (o *otlpServer) find(name string) *v1.Span {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.spans {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// await waits for a span.
func (o *otlpServer) await(t *testing.T, name string) *v1.Span {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if s := o.find(name); s != nil {
			return s
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var names []string
	for _, s := range o.spans {
		names = append(names, s.Name)
	}
	t.Fatalf("no span %q; there are %q", name, names)
	return nil
}

// freePort is one that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// started is a node of broker and console in this process. Its store of the trail is away, so that no engine is needed: rows
// are derived and teed before they are written.
func started(t *testing.T, change func(*config)) (n *node, stop func()) {
	t.Helper()
	c := defaultConfig()
	c.GRPC.Listen = ""
	c.Dir, c.Roles, c.Trail.Engine = t.TempDir(), []string{roleBroker, roleConsole}, "clickhouse://127.0.0.1:1/trail"
	c.Remoting.Listen, c.Console.Listen = "127.0.0.1:0", freePort(t)
	if change != nil {
		change(&c)
	}
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n = &node{conf: c, log: slog.New(slog.DiscardHandler)}
	err := n.start(ctx)
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			stopping, cancel := context.WithTimeout(context.Background(), drainFor)
			defer cancel()
			for _, f := range slices.Backward(n.stops) {
				if err := f(stopping); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Cleanup(stop)
	if err != nil {
		t.Fatal(err)
	}
	return n, stop
}

// exchange sends a message and hands it to a group.
func exchange(t *testing.T, n *node, id, traceparent string) {
	t.Helper()
	client, done := service.NewClient(netip.MustParseAddrPort("10.0.0.2:2"), "remoting"), make(chan int, 1)
	properties := message.AppendProperty(nil, message.PropUniqKey, id)
	if traceparent != "" {
		properties = message.AppendProperty(properties, "traceparent", traceparent)
	}
	p := n.brokers.first().svc.Parcel(client)
	p.Add(&service.SendHeader{
		ProducerGroup: []byte("pg"), Topic: []byte("orders"), DefaultTopic: []byte("TBW102"), DefaultTopicQueueNums: 1, QueueID: 0, Properties: properties,
	}, []byte("body"), service.Token{})
	p.Submit(func(p *service.Parcel) { done <- p.Results[0].Code; p.Release() })
	if code := <-done; code != 0 {
		t.Fatal(code)
	}
	n.brokers.first().svc.Pull(&service.PullRequest{Client: client, Group: "billing", Topic: "orders", MaxMessages: 1}, func(r *service.PullResult) { done <- r.Messages; r.Release() })
	if got := <-done; got != 1 {
		t.Fatalf("%d messages", got)
	}
	n.brokers.first().notes.Flush()
}

func get(t *testing.T, n *node, path string) *http.Response {
	t.Helper()
	r, err := http.Get("http://" + n.conf.Console.Listen + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Body.Close() })
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, r.Status)
	}
	return r
}

// scrape reads /metrics as Prometheus does.
func scrape(t *testing.T, n *node) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(get(t, n, "/metrics").Body)
	if err != nil {
		t.Fatal(err)
	}
	if f := families["promhttp_metric_handler_errors_total"]; f != nil {
		for _, m := range f.Metric {
			if m.Counter.GetValue() != 0 {
				t.Errorf("gathering failed: %v", m)
			}
		}
	}
	return families
}

func TestSpansOfMessagesAndOfTheProcessArrive(t *testing.T) {
	messages, process := &otlpServer{token: map[string]bool{}}, &otlpServer{token: map[string]bool{}}
	m, p := httptest.NewServer(messages), httptest.NewServer(process)
	defer m.Close()
	defer p.Close()
	n, stop := started(t, func(c *config) {
		c.Trail.OTLP.Endpoint, c.Trail.OTLP.Sample, c.Trail.OTLP.Headers = m.URL, 0, map[string]string{"x-token": "trail"}
		c.Telemetry.Endpoint, c.Telemetry.Headers = p.URL, map[string]string{"x-token": "process"}
	})
	exchange(t, n, "ID-1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") // taken: its producer sampled it
	store, deliver := messages.await(t, "store orders"), messages.await(t, "deliver orders")
	if hex.EncodeToString(store.TraceId) != "4bf92f3577b34da6a3ce929d0e0e4736" || hex.EncodeToString(store.ParentSpanId) != "00f067aa0ba902b7" ||
		hex.EncodeToString(deliver.ParentSpanId) != hex.EncodeToString(store.SpanId) {
		t.Errorf("store %v\ndeliver %v", store, deliver)
	}
	get(t, n, "/api/v1/topics/orders")
	process.await(t, "contrail recover")
	process.await(t, "GET /api/v1/topics/:topic")
	families := scrape(t, n)
	for sink, want := range map[string]float64{"trail": 2, "process": 2} {
		if got := counted(families, "contrail_otlp_spans_total", "sink", sink, "outcome", "exported"); got < want {
			t.Errorf("%v spans of %s exported, want %v", got, sink, want)
		}
		if got := counted(families, "contrail_otlp_spans_total", "sink", sink, "outcome", "dropped", "node_id", "node-1"); got != 0 {
			t.Errorf("%v spans of %s dropped", got, sink)
		}
	}
	stop() // the block that waits for its store is given up
	if s := process.find("contrail ship"); s == nil || s.Status.GetCode() != v1.Status_STATUS_CODE_ERROR {
		t.Errorf("the block that was given up: %v", s)
	}
	if !messages.token["trail"] || !process.token["process"] || len(messages.token)+len(process.token) != 2 {
		t.Errorf("headers %v %v", messages.token, process.token)
	}
	for _, s := range process.spans {
		if strings.Contains(s.Name, "orders") {
			t.Errorf("a span of the message's way is made by the process: %s", s.Name)
		}
	}
}

// With the embedded engine: its start is told when it is up, and each block that it took.
func TestEngineAndBlocksAreTold(t *testing.T) {
	if testing.Short() {
		t.Skip("needs the ClickHouse engine")
	}
	process := &otlpServer{token: map[string]bool{}}
	p := httptest.NewServer(process)
	defer p.Close()
	n, stop := started(t, func(c *config) {
		c.Trail.Engine, c.Telemetry.Endpoint = trailEmbedded, p.URL
	})
	process.await(t, "contrail engine")
	exchange(t, n, "ID-1", "")
	process.await(t, "contrail ship")
	stop()
	for name, least := range map[string]uint64{"contrail engine": 10_000_000, "contrail ship": 100_000} { // ns; no process starts faster
		s := process.find(name)
		if s.Status.GetCode() == v1.Status_STATUS_CODE_ERROR || s.EndTimeUnixNano-s.StartTimeUnixNano < least {
			t.Errorf("%v", s)
		}
	}
}

// counted gives the sum of a counter's series that have the labels; -1: there is none.
func counted(families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	sum, found := 0.0, false
	for _, m := range families[name].GetMetric() {
		has := map[string]string{}
		for _, l := range m.Label {
			has[l.GetName()] = l.GetValue()
		}
		match := true
		for i := 0; i+1 < len(labels); i += 2 {
			match = match && has[labels[i]] == labels[i+1]
		}
		if match {
			sum, found = sum+m.Counter.GetValue(), true
		}
	}
	if !found {
		return -1
	}
	return sum
}

// Receivers that take a connection and never answer: messages go on, and the stop is in time and good.
func TestAReceiverThatHangsHoldsUpNothing(t *testing.T) {
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hanging.Close()
	defer close(release)
	n, stop := started(t, func(c *config) {
		c.Trail.OTLP.Endpoint, c.Trail.OTLP.Sample, c.Telemetry.Endpoint = hanging.URL, 1, hanging.URL
	})
	exchange(t, n, "ID-1", "")
	time.Sleep(1500 * time.Millisecond) // until both have a batch on its way
	exchange(t, n, "ID-2", "")
	began := time.Now()
	stop() // fails the test on an error
	if took := time.Since(began); took > 3*farewell {
		t.Errorf("the stop took %v", took)
	}
}

func TestWithoutAnEndpointNothingIsSent(t *testing.T) {
	all := &otlpServer{token: map[string]bool{}}
	s := httptest.NewServer(all)
	defer s.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL)
	n, stop := started(t, nil)
	exchange(t, n, "ID-1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	get(t, n, "/api/v1/topics/orders")
	if families := scrape(t, n); counted(families, "contrail_otlp_spans_total") != -1 || families["http_server_request_duration_seconds"] == nil {
		t.Errorf("%v", families["contrail_otlp_spans_total"])
	}
	stop()
	if len(all.spans) != 0 {
		t.Errorf("%d spans were sent", len(all.spans))
	}
}

// documented reads the tables of docs/metrics.md: `family` | labels | meaning. A row stands for all spellings in it.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for line := range strings.SplitSeq(string(b), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[1], "`") {
			continue
		}
		labels := strings.FieldsFunc(cells[2], func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(labels)
		if strings.TrimSpace(cells[3]) == "" {
			t.Errorf("no meaning: %s", line)
		}
		for i, name := range strings.Split(cells[1], "`") {
			if i%2 == 1 {
				if out[name] != nil {
					t.Errorf("%s is there twice", name)
				}
				out[name] = append([]string{}, labels...)
			}
		}
	}
	return out
}

// The page lists exactly what the lists of names hold, which tests of their packages hold against the registries; and a real
// node tells nothing that is not on it.
func TestEveryMetricIsDocumented(t *testing.T) {
	docs, listed := documented(t), map[string]bool{}
	for _, file := range []string{"../../broker/metrics/testdata/metrics.txt", "../../tracing/telemetry/testdata/metrics.txt", "../../broker/grpcapi/testdata/metrics.txt"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			words := strings.Fields(line) // name, kind, labels
			listed[words[0]] = true
			want := []string{}
			if len(words) == 3 {
				want = strings.Split(words[2], ",")
			}
			if got, ok := docs[words[0]]; !ok || !sameLabels(got, want) {
				t.Errorf("docs/metrics.md: %s has labels %v, want %v (there: %v)", words[0], got, want, ok)
			}
		}
	}
	for name := range docs {
		if !listed[name] {
			t.Errorf("docs/metrics.md: %s is not served", name)
		}
	}
	n, _ := started(t, func(c *config) { c.GRPC.Listen = freePort(t) })
	exchange(t, n, "ID-1", "")
	get(t, n, "/api/v1/topics/orders")
	callGRPC(t, n)
	seen := 0
	for name, f := range scrape(t, n) {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "promhttp_") {
			continue // the client library's, which the page names by their prefix
		}
		seen++
		delete(listed, name)
		got, ok := docs[name]
		if !ok {
			t.Errorf("%s is not on the page", name)
		}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if !slices.Contains([]string{"cluster", "node_type", "node_id"}, l.GetName()) && !slices.Contains(got, l.GetName()) && !slices.Contains(got, l.GetName()+"?") {
					t.Errorf("%s: label %s is not on the page", name, l.GetName())
				}
			}
		}
	}
	if seen < 40 || listed["grpc_server_call_started_total"] || listed["grpc_server_call_duration_seconds"] {
		t.Errorf("%d families; not served: %v", seen, listed)
	}
}

// callGRPC asks for a route.
func callGRPC(t *testing.T, n *node) {
	t.Helper()
	c, err := grpc.NewClient(n.conf.GRPC.Listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-mq-client-id", "somebody")
	if _, err := pb.NewMessagingServiceClient(c).QueryRoute(ctx, &pb.QueryRouteRequest{Topic: &pb.Resource{Name: "orders"}}); err != nil {
		t.Fatal(err)
	}
}

// sameLabels compares a row of the page with what is served; a label that only some series have ends in a question mark.
func sameLabels(page, served []string) bool {
	for _, l := range page {
		if !strings.HasSuffix(l, "?") && !slices.Contains(served, l) {
			return false
		}
	}
	return !slices.ContainsFunc(served, func(l string) bool { return !slices.Contains(page, l) && !slices.Contains(page, l+"?") })
}

func TestOutIsToldByTopicAndGroup(t *testing.T) {
	n, _ := started(t, nil)
	exchange(t, n, "ID-1", "")
	families := scrape(t, n)
	labels := []string{"topic", "orders", "consumer_group", "billing", "is_retry", "false", "is_system", "false", "cluster", "DefaultCluster"}
	if got := counted(families, "rocketmq_messages_out_total", labels...); got != 1 {
		t.Errorf("%v messages out", got)
	}
	if got := counted(families, "rocketmq_throughput_out_total", labels...); got < 50 {
		t.Errorf("%v bytes out", got)
	}
	sizes := families["rocketmq_message_size_bytes"]
	if sizes == nil || fmt.Sprint(sizes.Metric[0].Histogram.GetSampleCount()) != "1" {
		t.Errorf("sizes %v", sizes)
	}
}
