package metrics

import (
	"flag"
	"fmt"
	"math"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/contrailmq/contrail/broker/inspect"
)

var update = flag.Bool("update", false, "write testdata/metrics.txt")

// fakeSource is a small broker.
type fakeSource struct {
	node    inspect.Node
	topics  []inspect.Topic
	groups  []inspect.Group
	clients []inspect.Client
	out     []inspect.Out
	sizes   []inspect.Sizes
}

func (f *fakeSource) InspectNode() inspect.Node        { return f.node }
func (f *fakeSource) InspectTopics() []inspect.Topic   { return slices.Clone(f.topics) }
func (f *fakeSource) InspectGroups() []inspect.Group   { return slices.Clone(f.groups) }
func (f *fakeSource) InspectClients() []inspect.Client { return f.clients }

func (f *fakeSource) InspectOut() []inspect.Out     { return f.out }
func (f *fakeSource) InspectSizes() []inspect.Sizes { return f.sizes }

func (f *fakeSource) InspectGroup(name string) (inspect.Group, bool) {
	i := slices.IndexFunc(f.groups, func(g inspect.Group) bool { return g.Name == name })
	if i < 0 {
		return inspect.Group{}, false
	}
	return f.groups[i], true
}

func example() Options {
	latency := &RPCLatency{}
	latency.Observe(310, 0, 500, false)
	latency.Observe(310, 0, 1_500, false)
	latency.Observe(11, 19, 15_000_000, true)
	latency.Observe(9999, 77, 10_000, false)
	return Options{
		Source: &fakeSource{
			node: inspect.Node{Cluster: "c", NodeID: "n1", Now: 10_000, StartedAt: 1000, Leader: true, LogBytes: 4096, BytesOut: 77, FsyncP50: 100, FsyncP99: 2000, Term: 3},
			topics: []inspect.Topic{
				{Name: "orders", MessagesIn: 10, BytesIn: 1000, Attributes: map[string]string{"message.type": "FIFO"}},
				{Name: "bad\xff", System: true},
			},
			groups: []inspect.Group{
				{Name: "billing", ConsumeType: "CONSUME_PASSIVELY", MessagesOut: 6, OldestWaiting: 4_000, Queues: []inspect.GroupQueue{
					{Topic: "orders", QueueID: 0, Max: 10, Committed: 4, Lag: 6, LastPullOff: 8}, {Topic: "orders", QueueID: 1, Max: 5, Committed: 5, LastPullOff: 5}}},
				{Name: "two", OldestWaiting: 9_000, Queues: []inspect.GroupQueue{
					{Topic: "%RETRY%two", Max: 1, Lag: 1}, {Topic: "orders", Max: 10, Committed: -1, Lag: 10}}},
				{Name: "idle"},
			},
			clients: []inspect.Client{
				{ClientID: "a", Language: "JAVA", Version: "V5_3_1", Protocol: "REMOTING", ProducerOf: []string{"p"}},
				{ClientID: "b", Language: "JAVA", Version: "V5_3_1", Protocol: "REMOTING", ProducerOf: []string{"p", "q"}, ConsumerOf: []string{"billing"}},
			},
			out: []inspect.Out{
				{Topic: "%RETRY%two", Group: "two", Messages: 1, Bytes: 9}, {Topic: "orders", Group: "billing", Messages: 6, Bytes: 77},
				{Topic: "orders", Group: "CID_RMQ_SYS_x", System: true},
			},
			sizes: []inspect.Sizes{
				{Topic: "orders", Bounds: []int64{1 << 10, 4 << 10}, Counts: []uint64{7, 2, 1}, Bytes: 20_000},
				{Topic: "gone", Bounds: []int64{1 << 10}, Counts: []uint64{7, 2}, Bytes: 5},
			},
		},
		Front: func() Front { return Front{Connections: 3, ConnectionsMax: 20_000, Malformed: 1, Frames: 9} },
		Trail: func() Trail {
			return Trail{StoreUp: true, ShippedToMicros: 5_000_000, LagMicros: 1_500_000, RowsShipped: 8, RowsNotRecorded: 2}
		},
		Waiting: func() Waiting {
			return Waiting{inspect.ScheduledList{Pending: 3, Scheduled: 9, Fired: 5, Cancelled: 1}, inspect.TransactionList{Open: 2, Begun: 7, Committed: 4, RolledBack: 1, Checks: 6}}
		},
		Latency: latency, Version: "v1", Revision: "abc",
	}
}

// scraped gives what Prometheus would read.
func scraped(t *testing.T, o Options) map[string]*dto.MetricFamily {
	t.Helper()
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if failed := families["promhttp_metric_handler_errors_total"]; failed != nil {
		for _, m := range failed.Metric {
			if m.GetCounter().GetValue() != 0 {
				t.Errorf("gathering failed: %v", m)
			}
		}
	}
	return families
}

// value gives a series' value; labels are parts of its text, name="value".
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	f := families[name]
	if f == nil {
		t.Fatalf("no %s", name)
	}
	var found []*dto.Metric
	for _, m := range f.Metric {
		text := ""
		for _, l := range m.Label {
			text += fmt.Sprintf("%s=%s,", l.GetName(), l.GetValue())
		}
		if !slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(text, l+",") }) {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s %v: %d series", name, labels, len(found))
	}
	m := found[0]
	switch {
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	case m.Counter != nil:
		return m.Counter.GetValue()
	}
	return float64(m.Histogram.GetSampleCount())
}

func TestValues(t *testing.T) {
	f := scraped(t, example())
	for _, c := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{10, "rocketmq_messages_in_total", []string{"cluster=c", "node_type=broker", "node_id=n1", "topic=orders", "message_type=fifo", "is_system=false"}},
		{1000, "rocketmq_throughput_in_total", []string{"topic=orders"}},
		{0, "rocketmq_messages_in_total", []string{"topic=bad?", "is_system=true", "message_type=normal"}},
		{6, "rocketmq_messages_out_total", []string{"consumer_group=billing", "topic=orders"}},
		{1, "rocketmq_messages_out_total", []string{"consumer_group=two", "topic=%RETRY%two", "is_retry=true", "is_system=false"}},
		{0, "rocketmq_messages_out_total", []string{"consumer_group=CID_RMQ_SYS_x", "topic=orders", "is_retry=false", "is_system=true"}},
		{77, "rocketmq_throughput_out_total", []string{"consumer_group=billing", "topic=orders", "is_retry=false"}},
		{9, "rocketmq_throughput_out_total", []string{"consumer_group=two"}},
		{10, "rocketmq_message_size", []string{"topic=orders", "message_type=fifo"}},
		{10, "rocketmq_message_size_bytes", []string{"topic=orders", "message_type=fifo"}},
		{2, "rocketmq_topic_number", nil}, {3, "rocketmq_consumer_group_number", nil}, {6, "rocketmq_broker_permission", nil},
		{6, "rocketmq_consumer_lag_messages", []string{"consumer_group=billing", "topic=orders", "is_retry=false"}},
		{4, "rocketmq_consumer_inflight_messages", []string{"consumer_group=billing", "topic=orders"}},
		{2, "rocketmq_consumer_ready_messages", []string{"consumer_group=billing", "topic=orders"}},
		{1, "rocketmq_consumer_lag_messages", []string{"consumer_group=two", "is_retry=true"}},
		{10, "rocketmq_consumer_ready_messages", []string{"consumer_group=two", "topic=orders"}},
		{6000, "rocketmq_consumer_lag_latency", []string{"consumer_group=billing", "topic=orders"}},
		{6000, "rocketmq_consumer_lag_latency_milliseconds", []string{"consumer_group=billing"}},
		{1000, "rocketmq_consumer_lag_latency", []string{"consumer_group=two", "topic=_all"}},
		{2, "rocketmq_producer_connections", []string{"language=java", "version=v5_3_1", "protocol_type=remoting"}},
		{1, "rocketmq_consumer_connections", []string{"consumer_group=billing", "consume_mode=push", "is_system=false"}},
		{4096, "rocketmq_storage_size", []string{"storage_type=local", "storage_medium=disk"}}, {4096, "rocketmq_storage_size_bytes", nil},
		{0, "rocketmq_processor_watermark", []string{"processor=send"}},
		{2, "rocketmq_rpc_latency", []string{"request_code=send_message_v2", "response_code=success", "is_long_polling=false", "protocol_type=remoting", "result=success"}},
		{1, "rocketmq_rpc_latency_milliseconds", []string{"request_code=pull_message", "response_code=pull_not_found", "is_long_polling=true"}},
		{1, "rocketmq_rpc_latency", []string{"request_code=9999", "response_code=77"}},
		{3, "contrail_limit_used", []string{"limit=connections"}}, {20_000, "contrail_limit_max", []string{"limit=connections"}},
		{1, "contrail_connections_total", []string{"outcome=malformed"}}, {9, "contrail_frames_total", nil},
		{1, "contrail_trail_store_up", nil}, {1.5, "contrail_trail_lag_seconds", nil}, {5, "contrail_trail_shipped_to_timestamp_seconds", nil},
		{8, "contrail_trail_rows_shipped_total", nil}, {2, "contrail_trail_rows_not_recorded_total", nil},
		{1, "contrail_build_info", []string{"version=v1", "revision=abc"}}, {0.002, "contrail_log_sync_p99_seconds", nil},
		{0, "contrail_metrics_series_dropped_total", nil}, {1, "contrail_leader", nil}, {0, "contrail_stopped", nil},
	} {
		if got := value(t, f, c.name, c.labels...); got != c.want {
			t.Errorf("%s %v is %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	o := example()
	o.Source.(*fakeSource).node.Stopped = "sync failed"
	if f := scraped(t, o); value(t, f, "rocketmq_broker_permission") != 4 || value(t, f, "contrail_stopped") != 1 {
		t.Error("a stopped broker says that it can be written")
	}
}

func TestLatencyBuckets(t *testing.T) {
	h := scraped(t, example())["rocketmq_rpc_latency"]
	for _, m := range h.Metric {
		if m.Histogram.GetSampleCount() != 2 {
			continue
		}
		want := map[float64]uint64{1: 1, 3: 2, 5: 2, 7: 2, 10: 2, 100: 2, 1000: 2, 2000: 2, 3000: 2}
		for _, b := range m.Histogram.Bucket {
			if w, ok := want[b.GetUpperBound()]; ok && w != b.GetCumulativeCount() {
				t.Errorf("le %v: %d, want %d", b.GetUpperBound(), b.GetCumulativeCount(), w)
			}
			delete(want, b.GetUpperBound())
		}
		if len(want) != 0 || m.Histogram.GetSampleSum() != 2 {
			t.Errorf("no bucket %v; sum %v", want, m.Histogram.GetSampleSum())
		}
	}
}

func TestSizeBuckets(t *testing.T) {
	h := scraped(t, example())["rocketmq_message_size_bytes"].Metric[0].Histogram
	for i, want := range []struct {
		le    float64
		count uint64
	}{{1 << 10, 7}, {4 << 10, 9}, {math.Inf(1), 10}} {
		if b := h.Bucket[i]; b.GetUpperBound() != want.le || b.GetCumulativeCount() != want.count {
			t.Errorf("le %v: %d, want %v", b.GetUpperBound(), b.GetCumulativeCount(), want)
		}
	}
	if h.GetSampleSum() != 20_000 {
		t.Errorf("sum %v", h.GetSampleSum())
	}
}

// The names are a promise to dashboards and alerts: a change of them is to be seen in review.
func TestNamesDoNotChange(t *testing.T) {
	var names []string
	for name, f := range scraped(t, example()) {
		if strings.HasPrefix(name, "rocketmq_") || strings.HasPrefix(name, "contrail_") {
			labels := map[string]bool{}
			for _, m := range f.Metric {
				for _, l := range m.Label {
					labels[l.GetName()] = true
				}
			}
			var all []string
			for l := range labels {
				if !slices.Contains(baseLabels, l) {
					all = append(all, l)
				}
			}
			slices.Sort(all)
			names = append(names, strings.TrimSpace(fmt.Sprintf("%s %s %s", name, strings.ToLower(f.GetType().String()), strings.Join(all, ","))))
		}
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

// Our own names follow Prometheus's rules; RocketMQ's are what they are.
func TestOwnNamesAreProper(t *testing.T) {
	m, err := New(example())
	if err != nil {
		t.Fatal(err)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var own []*dto.MetricFamily
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "contrail_") {
			own = append(own, f)
		}
	}
	problems, err := promlint.NewWithMetricFamilies(own).Lint()
	if err != nil || len(problems) > 0 || len(own) < 10 {
		t.Errorf("%v %v, %d families", problems, err, len(own))
	}
}

func TestSpellings(t *testing.T) {
	for names, want := range map[Names][2]bool{NamesBoth: {true, true}, NamesDocs: {true, false}, NamesSuffixed: {false, true}} {
		o := example()
		o.Names = names
		f := scraped(t, o)
		for _, pair := range [][2]string{{"rocketmq_rpc_latency", "_milliseconds"}, {"rocketmq_consumer_lag_latency", "_milliseconds"}, {"rocketmq_storage_size", "_bytes"}, {"rocketmq_message_size", "_bytes"}} {
			if got := [2]bool{f[pair[0]] != nil, f[pair[0]+pair[1]] != nil}; got != want {
				t.Errorf("%s: %s %v", names, pair[0], got)
			}
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("no source")
	}
	if _, err := New(Options{Source: &fakeSource{}, Names: "x"}); err == nil {
		t.Error("names x")
	}
}

// A broker with nothing, no front, no trail: what there is is told.
func TestEmptyBroker(t *testing.T) {
	f := scraped(t, Options{Source: &fakeSource{}})
	if value(t, f, "rocketmq_topic_number") != 0 || f["contrail_trail_store_up"] != nil || f["contrail_limit_used"] != nil || f["rocketmq_rpc_latency"] != nil {
		t.Error("what is not there is told")
	}
}

// Too many series are left out and counted, and the rest is still served.
func TestSeriesAreBounded(t *testing.T) {
	o := example()
	s := o.Source.(*fakeSource)
	for i := range SeriesMax + 5 {
		s.topics = append(s.topics, inspect.Topic{Name: fmt.Sprintf("x%06d", i)})
	}
	c := newCollector(o)
	out := make(chan prometheus.Metric, 100)
	counts := map[string]int{}
	go func() { c.Collect(out); close(out) }()
	for m := range out {
		counts[strings.SplitN(m.Desc().String(), "\"", 3)[1]]++
	}
	if counts["rocketmq_messages_in_total"] != SeriesMax || counts["rocketmq_broker_permission"] != 1 || c.dropped.Load() != 2*7 {
		t.Errorf("%d series, %d dropped", counts["rocketmq_messages_in_total"], c.dropped.Load())
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	var l RPCLatency
	l.Observe(310, 0, 1, false)
	if n := testing.AllocsPerRun(1000, func() { l.Observe(310, 0, 1234, false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Nothing is lost or counted twice, whoever comes first; kinds beyond the table are counted together.
func TestObserveFromManyGoroutines(t *testing.T) {
	var l RPCLatency
	var all sync.WaitGroup
	const goroutines, kinds, each = 8, latencyMax + 50, 20
	for g := range goroutines {
		all.Go(func() {
			for i := range kinds * each {
				l.Observe(int32((i+g*37)%kinds), int32(i%3), 10, i%2 == 0)
			}
		})
	}
	all.Wait()
	var total uint64
	seen := map[[3]int32]bool{}
	l.each(func(h *latency, rest bool) {
		count, sum, _ := h.cumulative()
		total += count
		if sum != float64(count)*0.01 {
			t.Errorf("%d of %v ms", count, sum)
		}
		key := [3]int32{h.code, h.response, int32(truth(h.held))}
		if !rest && seen[key] {
			t.Errorf("%v is there twice", key)
		}
		seen[key] = true
	})
	if total != goroutines*kinds*each || l.used.Load() > latencyMax || l.rest.buckets[0].Load() == 0 {
		t.Errorf("%d counted, %d kinds, %d in the rest", total, l.used.Load(), l.rest.buckets[0].Load())
	}
}

func BenchmarkObserve(b *testing.B) {
	var l RPCLatency
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			l.Observe(310, 0, 1234, false)
		}
	})
}
