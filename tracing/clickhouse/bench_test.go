package clickhouse

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/contrailmq/contrail/tracing/engine/enginetest"
	"github.com/contrailmq/contrail/tracing/trail"
)

// fillEnv opts in to TestLargeStore: how many messages it stores.
const fillEnv = "CONTRAIL_FILL"

// TestLargeStore stores many messages with their deliveries and settlements and prints how long questions take. Nothing is
// asserted but the answers: CONTRAIL_FILL=10000000 go test ./tracing/clickhouse -run LargeStore -v -timeout 30m
func TestLargeStore(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv(fillEnv))
	if err != nil {
		t.Skipf("%s=10000000 stores 10 M messages and prints timings", fillEnv)
	}
	o := testOptions(t)
	s := open(t, o)
	began := time.Now()
	fill(t, s, n)
	t.Logf("%d messages, %d deliveries, %d settlements stored in %s", n, n/filledRange, n/filledRange, time.Since(began).Round(time.Second))
	for _, q := range questions(s, n) {
		var took []time.Duration
		before := engineCPU(t)
		for range 12 {
			began := time.Now()
			if err := q.ask(); err != nil {
				t.Errorf("%s: %v", q.name, err)
			}
			took = append(took, time.Since(began))
		}
		first := took[0]
		slices.Sort(took)
		t.Logf("%-34s first %7s  median %7s  worst %7s  CPU each %7s", q.name, first.Round(time.Millisecond), took[6].Round(time.Millisecond),
			took[11].Round(time.Millisecond), ((engineCPU(t) - before) / 12).Round(time.Millisecond))
	}
	sizes(t, s)
}

// question is something to ask the store.
type question struct {
	name string
	ask  func() error
}

// questions are asked about n filled messages.
func questions(s *Store, n int) []question {
	ctx := context.Background()
	from, to := at, at+int64(n)*1000
	last := trail.Query{FromMicros: from, ToMicros: to}
	with := func(f func(*trail.Query)) trail.Query { q := last; f(&q); return q }
	pick := 0
	next := func() int { pick++; return pick * 7919 * 13 % n }
	search := func(q func(int) trail.Query, want trail.Answer) func() error {
		return func() error {
			m, err := s.Search(ctx, q(next()))
			if err == nil && m.Answer != want {
				err = fmt.Errorf("answer %s: %s", m.Answer, m.Reason)
			}
			return err
		}
	}
	return []question{
		{"life by client's id", func() error { return lifeOf(s, filledID(next())) }},
		{"life by offset id", func() error { return lifeOf(s, fmt.Sprintf("7F00000100002A9F%016X", next()*400)) }},
		{"life of an id that is not there", func() error {
			l, err := s.Life(ctx, fmt.Sprintf("NOT-%d", next()))
			if err == nil && l.Answer != trail.Nothing {
				err = fmt.Errorf("answer %s: %s", l.Answer, l.Reason)
			}
			return err
		}},
		{"search by id", search(func(i int) trail.Query { return with(func(q *trail.Query) { q.ID = filledID(i) }) }, trail.Found)},
		{"search by key", search(func(i int) trail.Query { return with(func(q *trail.Query) { q.Key = fmt.Sprint("key-", i) }) }, trail.Found)},
		{"search the newest", search(func(int) trail.Query { return last }, trail.Found)},
		{"search the newest of a topic", search(func(int) trail.Query { return with(func(q *trail.Query) { q.Topic = "topic-3" }) }, trail.Found)},
		{"search 15 min of a topic", search(func(i int) trail.Query {
			return with(func(q *trail.Query) {
				q.Topic = "topic-3"
				q.ToMicros = from + int64(max(i, n/8))*1000
				q.FromMicros = max(from, q.ToMicros-900e6)
			})
		}, trail.Found)},
		{"rates of all", func() error { _, err := s.Rates(ctx, from, to, 60e6, "", ""); return err }},
		{"otel_traces by trace id", func() error { return spansIn(s, "TraceId = '"+trail.DerivedTraceID(filledID(next())).String()+"'", 3) }},
		{"otel_traces, one second", func() error {
			at := from/1000 + int64(next())
			return spansIn(s, fmt.Sprintf("Timestamp >= fromUnixTimestamp64Milli(%d) AND Timestamp < fromUnixTimestamp64Milli(%d)", at, at+1000), -1)
		}},
	}
}

// engineCPU is what the embedded engine's process has used; 0 when the server is another one.
func engineCPU(t *testing.T) time.Duration {
	if os.Getenv(enginetest.AddressEnv) != "" {
		return 0
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", enginetest.Start(t).Pid()))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * (time.Second / 100) // USER_HZ
}

func lifeOf(s *Store, id string) error {
	l, err := s.Life(context.Background(), id)
	if err == nil && (l.Answer != trail.Found || len(l.Messages) != 1 || len(l.Deliveries) != 1 || len(l.Settlements) != 1) {
		err = fmt.Errorf("life of %s: %s %s, %d messages, %d deliveries, %d settlements", id, l.Answer, l.Reason, len(l.Messages), len(l.Deliveries), len(l.Settlements))
	}
	return err
}

func spansIn(s *Store, where string, want int) error {
	n := 0
	err := s.query(context.Background(), func(driver.Rows) error { n++; return nil }, fmt.Sprintf("SELECT * FROM %s.otel_traces WHERE %s LIMIT 20000", s.o.Database, where))
	if err == nil && want >= 0 && n != want {
		err = fmt.Errorf("%d spans, want %d", n, want)
	}
	return err
}

// sizes prints what the tables take.
func sizes(t *testing.T, s *Store) {
	t.Helper()
	lines, err := collect(context.Background(), s, func(r driver.Rows) (string, error) {
		var table string
		var rows, bytes, parts uint64
		err := r.Scan(&table, &rows, &bytes, &parts)
		return fmt.Sprintf("%-14s %10d rows %6.1f B each, %d parts", table, rows, float64(bytes)/float64(max(rows, 1)), parts), err
	}, "SELECT table, sum(rows), sum(bytes_on_disk), count() FROM system.parts WHERE active AND database = {db:String} GROUP BY table ORDER BY table", arg("db", s.o.Database))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		t.Log(l)
	}
}

func TestARowDoesNotAllocate(t *testing.T) {
	b := NewBlock()
	m, d, c, p := testMessage(1), someDelivery, someSettlement, someStep
	add := func() {
		b.Message(&m)
		b.Delivery(&d)
		b.Settlement(&c)
		b.Step(&p)
	}
	for range 3000 {
		add()
	}
	b.Reset()
	add()
	if n := testing.AllocsPerRun(1000, add); n != 0 {
		t.Errorf("%v allocations for four rows", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	block := NewBlock()
	rows := make([]trail.StoredMessage, 1000)
	for i := range rows {
		rows[i] = testMessage(i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%100_000 == 0 {
			block.Reset()
		}
		block.Message(&rows[i%len(rows)])
	}
}

// discarder is a server that takes everything.
type discarder struct{}

func (discarder) InsertFormat(_ context.Context, _, _ string, data io.Reader) error {
	_, err := io.Copy(io.Discard, data)
	return err
}

func BenchmarkBody(b *testing.B) {
	block := NewBlock()
	for i := range 100_000 {
		m := testMessage(i)
		block.Message(&m)
	}
	b.ReportAllocs()
	for b.Loop() {
		body := block.messages.table.body()
		if err := (discarder{}).InsertFormat(context.Background(), "", "", &body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInsert writes blocks of 100 000 messages into the real engine; its process's CPU is not counted.
func BenchmarkInsert(b *testing.B) {
	s := open(b, testOptions(b))
	block := NewBlock()
	for i := range 100_000 {
		m := testMessage(i)
		block.Message(&m)
	}
	n := 0
	for b.Loop() {
		n++
		if err := s.Write(context.Background(), fmt.Sprint(n), block); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/100_000, "ns/row")
}
