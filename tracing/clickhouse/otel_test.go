package clickhouse

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/contrailmq/contrail/tracing/trail"
)

// exporterLayout is otel_traces of the collector's ClickHouse exporter v0.161, without its aliases.
var exporterLayout = []string{
	"Timestamp DateTime64(9)", "TraceId String", "SpanId String", "ParentSpanId String", "TraceState String", "SpanName LowCardinality(String)",
	"SpanKind LowCardinality(String)", "ServiceName LowCardinality(String)", "ResourceAttributes Map(LowCardinality(String), String)", "ScopeName String",
	"ScopeVersion String", "SpanAttributes Map(LowCardinality(String), String)", "Duration UInt64", "StatusCode LowCardinality(String)", "StatusMessage String",
	"Events.Timestamp Array(DateTime64(9))", "Events.Name Array(LowCardinality(String))", "Events.Attributes Array(Map(LowCardinality(String), String))",
	"Links.TraceId Array(String)", "Links.SpanId Array(String)", "Links.TraceState Array(String)", "Links.Attributes Array(Map(LowCardinality(String), String))",
}

// story stores the lives of a few messages: with and without a context of their own, to two groups, delivered twice,
// filtered, retried, reported by clients.
func story(t testing.TB, s *Store) {
	t.Helper()
	write(t, s, "story", func(b trail.Sink) {
		for i := range 8 { // orders, queue 0, offsets 0 to 7
			m := testMessage(i)
			m.QueueID, m.QueueOffset, m.Tag = 0, int64(i), []string{"paid", "sent"}[i%2]
			if i != 1 {
				m.TraceIn, m.ParentIn = "", ""
			}
			b.Message(&m)
		}
		retry := testMessage(0)
		retry.OriginTopic, retry.Topic, retry.QueueOffset, retry.ReconsumeTimes, retry.TraceIn, retry.ParentIn, retry.Position = "orders", "%RETRY%billing", 0, 1, "", "", 90_000
		retry.AppendedMicros += 1_000_000
		retry.ReceivedMicros, retry.AckedMicros = retry.AppendedMicros-10, retry.AppendedMicros+10
		b.Message(&retry)
		d := someDelivery
		d.QueueID, d.Skipped, d.Filtered = 0, nil, 0
		give := func(group string, from, to, again, micros int64) {
			d.Group, d.From, d.To, d.AgainTo, d.RequestedMicros, d.SentMicros, d.WaitedMicros = group, from, to, again, at+micros, at+micros+700, 200
			b.Delivery(&d)
		}
		give("billing", 0, 4, 0, 20_000)
		give("billing", 2, 6, 4, 30_000)
		d.Subscription, d.Filtered, d.Skipped = "paid", 4, []int64{1, 3, 5, 7}
		give("audit", 0, 8, 0, 40_000)
		d.Subscription, d.Filtered, d.Skipped, d.Topic = "*", 0, nil, "%RETRY%billing"
		give("billing", 0, 1, 0, 1_100_000)
		c := someSettlement
		c.QueueID, c.From, c.To, c.AtMicros = 0, 0, 6, at+50_000
		b.Settlement(&c)
		c.From, c.Group = -1, "audit" // where it began is not known
		b.Settlement(&c)
		p := someStep
		p.ID, p.AtMicros, p.Attempt = "ID000000", at+25_000, 1
		b.Step(&p)
		p.Attempt, p.AtMicros, p.Status, p.Error, p.Detail = 2, at+1_200_000, "Ok", "", "REQ2"
		b.Step(&p)
		p.DurationMicros, p.Detail = -1, "REQ3" // began, did not end
		b.Step(&p)
		p.ID, p.Name, p.Topic, p.Group, p.AtMicros, p.DurationMicros = "ID000001", "send", "orders", "shop", at, 3000
		b.Step(&p)
	})
}

// span is a span as a viewer sees it.
type spanRow struct {
	ID, Parent, Name, Kind, Status string
	Duration                       uint64
	At                             time.Time
	Attributes                     map[string]string
}

func spansOf(t testing.TB, s *Store, traceID string) []spanRow {
	t.Helper()
	all, err := collect(context.Background(), s, func(r driver.Rows) (p spanRow, err error) {
		err = r.Scan(&p.ID, &p.Parent, &p.Name, &p.Kind, &p.Status, &p.Duration, &p.At, &p.Attributes)
		return p, err
	}, fmt.Sprintf("SELECT SpanId, ParentSpanId, SpanName, SpanKind, StatusCode, Duration, Timestamp, SpanAttributes FROM %s.otel_traces WHERE TraceId = {id:String} ORDER BY Timestamp, SpanName, SpanId", s.o.Database), arg("id", traceID))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheViewHasTheExportersLayout(t *testing.T) {
	s := open(t, testOptions(t))
	got, err := collect(context.Background(), s, func(r driver.Rows) (string, error) {
		var name, typ string
		err := r.Scan(&name, &typ)
		return name + " " + typ, err
	}, "SELECT name, type FROM system.columns WHERE database = {db:String} AND table = 'otel_traces' ORDER BY position", arg("db", s.o.Database))
	if err != nil || !reflect.DeepEqual(got, exporterLayout) {
		t.Errorf("%v\ngot  %q\nwant %q", err, got, exporterLayout)
	}
}

func TestATraceIsATree(t *testing.T) {
	s := open(t, testOptions(t))
	story(t, s)
	for _, c := range []struct {
		id, trace, root string
		names           []string
	}{
		{"ID000000", trail.DerivedTraceID("ID000000").String(), "", []string{"store orders", "deliver orders", "process orders", "deliver orders", "ack orders", "retry orders", "deliver %RETRY%billing", "process orders"}},
		{"ID000001", "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", []string{"send orders", "store orders", "deliver orders", "ack orders"}},
		{"ID000002", trail.DerivedTraceID("ID000002").String(), "", []string{"store orders", "deliver orders", "deliver orders", "deliver orders", "ack orders"}},
		{"ID000007", trail.DerivedTraceID("ID000007").String(), "", []string{"store orders"}},
	} {
		t.Run(c.id, func(t *testing.T) {
			spans := spansOf(t, s, c.trace)
			var names []string
			ids := map[string]bool{}
			for _, p := range spans {
				names = append(names, p.Name)
				if ids[p.ID] {
					t.Errorf("two spans have the id %s: %+v", p.ID, spans)
				}
				ids[p.ID] = true
			}
			slices.Sort(names)
			slices.Sort(c.names)
			if !reflect.DeepEqual(names, c.names) {
				t.Errorf("spans %q, want %q", names, c.names)
			}
			for _, p := range spans {
				if p.Parent != c.root && !ids[p.Parent] {
					t.Errorf("%s has parent %q, which is not in the trace", p.Name, p.Parent)
				}
				if p.Parent == p.ID {
					t.Errorf("%s is its own parent", p.Name)
				}
			}
		})
	}
}

func TestSpansHaveTheIDsOfGo(t *testing.T) {
	s := open(t, testOptions(t))
	story(t, s)
	spans := spansOf(t, s, trail.DerivedTraceID("ID000000").String())
	find := func(name string, attribute, value string) *spanRow {
		for i := range spans {
			if spans[i].Name == name && (attribute == "" || spans[i].Attributes[attribute] == value) {
				return &spans[i]
			}
		}
		t.Fatalf("no %s with %s %s in %+v", name, attribute, value, spans)
		return nil
	}
	id := func(group string, attempt uint16, step string) string {
		return trail.DeriveSpanID("ID000000", group, attempt, step).String()
	}
	group := "messaging.consumer.group.name"
	for _, c := range []struct {
		span       *spanRow
		id, parent string
		kind       string
		micros     uint64
	}{
		{find("store orders", "", ""), id("", 1, "store"), "", "Server", 700},
		{find("deliver orders", group, "billing"), id("billing", 1, "deliver"), id("", 1, "store"), "Server", 500},
		{find("deliver orders", group, "audit"), id("audit", 1, "deliver"), id("", 1, "store"), "Server", 500},
		{find("ack orders", group, "billing"), id("billing", 1, "ack"), id("", 1, "store"), "Server", 0},
		{find("retry orders", "", ""), id("billing", 2, "store"), id("billing", 1, "deliver"), "Internal", 20},
		{find("deliver %RETRY%billing", "", ""), id("billing", 2, "deliver"), id("billing", 2, "store"), "Server", 500},
		{find("process orders", "rocketmq.detail", "REQ"), id("billing", 1, "process#REQ"), id("billing", 1, "deliver"), "Consumer", 15_000},
		{find("process orders", "rocketmq.detail", "REQ2"), id("billing", 2, "process#REQ2"), id("billing", 2, "deliver"), "Consumer", 15_000},
	} {
		if c.span.ID != c.id || c.span.Parent != c.parent || c.span.Kind != c.kind || c.span.Duration != c.micros*1000 {
			t.Errorf("%s: %+v, want %+v", c.span.Name, *c.span, c)
		}
	}
	if p := find("process orders", "rocketmq.detail", "REQ"); p.Status != "Error" || p.Attributes["error.type"] != "TIME_OUT" {
		t.Errorf("failed processing: %+v", p)
	}
}

// ask runs a stored query and gives its rows as text.
func ask(t *testing.T, s *Store, file string, values map[string]any) [][]any {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var sql strings.Builder
	if err := template.Must(template.New(file).Parse(withoutComments(string(b)))).Execute(&sql, values); err != nil {
		t.Fatal(err)
	}
	rows, err := s.conn.Query(context.Background(), sql.String())
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	defer rows.Close()
	var all [][]any
	for rows.Next() {
		row := make([]any, len(rows.ColumnTypes()))
		for i, c := range rows.ColumnTypes() {
			row[i] = reflect.New(c.ScanType()).Interface()
		}
		if err := rows.Scan(row...); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return all
}

func TestQueriesOfOtherToolsRun(t *testing.T) {
	s := open(t, testOptions(t))
	story(t, s)
	values := map[string]any{"DB": s.o.Database, "Trace": trail.DerivedTraceID("ID000000").String(), "FromMillis": at/1000 - 1000, "ToMillis": at/1000 + 60_000}
	for file, want := range map[string]int{
		"grafana_trace.sql": 8, "clickstack_waterfall.sql": 8,
		"grafana_search.sql":    7,                     // roots: the stores of all but the one that brought a parent; the retry hangs below
		"clickstack_search.sql": 4 + 4 + 1 + 6 + 2 + 1, // deliveries, again, of the retry, acknowledged, processed, the retry
	} {
		if got := ask(t, s, file, values); len(got) != want {
			t.Errorf("%s: %d rows, want %d", file, len(got), want)
		}
	}
	var total uint64
	for _, row := range ask(t, s, "clickstack_histogram.sql", values) {
		total += *row[0].(*uint64)
	}
	if all := count(t, s, fmt.Sprintf("SELECT count() FROM %s.otel_traces", s.o.Database)); total != all || total == 0 {
		t.Errorf("the histogram counts %d of %d spans", total, all)
	}
	keys := *ask(t, s, "clickstack_keys.sql", values)[0][0].(*[]string)
	for _, k := range []string{"messaging.system", "messaging.message.id", "messaging.consumer.group.name", "messaging.rocketmq.message.tag"} {
		if !slices.Contains(keys, k) {
			t.Errorf("attribute %s is missing in %q", k, keys)
		}
	}
}

func TestALookupThroughTheViewUsesTheIndex(t *testing.T) {
	s := open(t, testOptions(t))
	fill(t, s, 200_000)
	id := trail.DerivedTraceID(filledID(123_456)).String()
	plan, err := collect(context.Background(), s, func(r driver.Rows) (line string, err error) { err = r.Scan(&line); return line, err },
		fmt.Sprintf("EXPLAIN indexes = 1 SELECT * FROM %s.otel_traces WHERE TraceId = '%s'", s.o.Database, id))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(plan, "\n")
	if n := strings.Count(text, "Name: by_trace"); n < 4 {
		t.Errorf("the index on trace ids is used %d times, want once per branch:\n%s", n, text)
	}
	if got := spansOf(t, s, id); len(got) != 3 {
		t.Errorf("spans %+v", got)
	}
}

// A search by time must not begin with all messages, nor a lookup with all deliveries: the built side is the last one.
func TestJoinsOfTheViewBeginAtTheSmallSide(t *testing.T) {
	s := open(t, testOptions(t))
	fill(t, s, 1_000_000)
	for _, c := range []struct{ name, where, probed, built string }{
		{"by time", fmt.Sprintf("Timestamp >= fromUnixTimestamp64Milli(%d) AND Timestamp < fromUnixTimestamp64Milli(%d)", at/1000+700_000, at/1000+701_000), "messages", "deliveries"},
		{"by trace", "TraceId = '" + trail.DerivedTraceID(filledID(7)).String() + "'", "deliveries", "messages"},
	} {
		plan, err := collect(context.Background(), s, func(r driver.Rows) (line string, err error) { err = r.Scan(&line); return line, err },
			fmt.Sprintf("EXPLAIN SELECT * FROM %s.otel_traces WHERE %s", s.o.Database, c.where))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		_, join, _ := strings.Cut(text, "Join (JOIN")
		probed, built := strings.Index(join, "."+c.probed+")"), strings.Index(join, "."+c.built+")")
		if probed < 0 || built < probed {
			t.Errorf("%s: the join does not build from %s:\n%s", c.name, c.built, text)
		}
	}
}
