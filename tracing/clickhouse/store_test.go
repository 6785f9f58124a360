package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"pgregory.net/rapid"

	"github.com/contrailmq/contrail/tracing/trail"
)

const at = int64(1_790_000_000_000_000) // µs; 2026-09-21

func TestIDsAreTheSameInGoAndInTheViews(t *testing.T) {
	s := open(t, testOptions(t))
	text := rapid.StringOfN(rapid.Rune(), 0, 60, -1)
	var ids, groups, steps []string
	var attempts []uint16
	for i := range 500 {
		ids = append(ids, text.Example(4*i))
		groups = append(groups, text.Example(4*i+1))
		steps = append(steps, text.Example(4*i+2))
		attempts = append(attempts, uint16(rapid.Uint16().Example(4*i+3)))
	}
	for i := range ids {
		for _, list := range [][]string{ids, groups, steps} {
			list[i] = strings.Map(func(r rune) rune { // clickhouse-go drops nothing but NUL in arrays
				if r == 0 {
					return 'x'
				}
				return r
			}, list[i])
		}
	}
	n := 0
	sql := "SELECT lower(hex(sipHash128Reference(id))), " + span("id", "grp", "attempt", "step") +
		" FROM (SELECT arrayJoin(arrayZip({ids:Array(String)}, {groups:Array(String)}, {attempts:Array(UInt16)}, {steps:Array(String)})) AS r, r.1 AS id, r.2 AS grp, r.3 AS attempt, r.4 AS step)"
	err := s.query(context.Background(), func(rows driver.Rows) error {
		var traceID, spanID string
		if err := rows.Scan(&traceID, &spanID); err != nil {
			return err
		}
		if want := trail.DerivedTraceID(ids[n]).String(); traceID != want {
			t.Errorf("trace id of %q: %s in SQL, %s in Go", ids[n], traceID, want)
		}
		if want := trail.DeriveSpanID(ids[n], groups[n], attempts[n], steps[n]).String(); spanID != want {
			t.Errorf("span id of %q %q %d %q: %s in SQL, %s in Go", ids[n], groups[n], attempts[n], steps[n], spanID, want)
		}
		n++
		return nil
	}, sql, arg("ids", ids), arg("groups", groups), arg("attempts", attempts), arg("steps", steps))
	if err != nil || n != len(ids) {
		t.Fatalf("%d of %d: %v", n, len(ids), err)
	}
}

func testMessage(i int) trail.StoredMessage {
	return trail.StoredMessage{Carrier: trail.CarrierW3C, RawTrace: "raw", StoreKey: "7F00000100002A9F", Message: trail.Message{
		ID: fmt.Sprintf("ID%06d", i), OffsetID: fmt.Sprintf("7F00000100002A9F%016X", 1000*i), Topic: "orders", Tag: "paid", Keys: []string{fmt.Sprint("key-", i), "ünï\n\x00"}, Type: "fifo",
		QueueID: int32(i % 4), QueueOffset: int64(i / 4), Position: int64(1000 * i), Index: uint64(i), Term: 3, StoredBytes: 300, BodyBytes: 100,
		SysFlag: 1, ReconsumeTimes: 0, ProducerGroup: "shop", ProducerClient: "10.0.0.7@1", ProducerAddr: "10.0.0.7:40123", Language: "JAVA",
		Version: "V5_5_0", Protocol: "remoting", Broker: "broker-a", Node: "node-1", BornMicros: at + int64(i)*1000 - 2000,
		ReceivedMicros: at + int64(i)*1000 - 500, AppendedMicros: at + int64(i)*1000, SyncedMicros: at + int64(i)*1000 + 100, AckedMicros: at + int64(i)*1000 + 200,
		CommittedMicros: at + int64(i)*1000 + 150, Slowest: 3, OriginID: "ORIGIN", TraceIn: "4bf92f3577b34da6a3ce929d0e0e4736", ParentIn: "00f067aa0ba902b7", TraceFlags: 1,
	}}
}

var (
	someDelivery = trail.StoredDelivery{AgainTo: 1, Delivery: trail.Delivery{
		Broker: "broker-a", Topic: "orders", QueueID: 1, From: 0, To: 4, Group: "billing", Client: "c1", Addr: "10.0.0.8:1", Language: "JAVA", Version: "V5_5_0", Protocol: "remoting",
		Node: "node-1", RequestedMicros: at, SentMicros: at + 900, WaitedMicros: 300, Messages: 3, Filtered: 1, Skipped: []int64{2}, Bytes: 900, Attempt: 1, Subscription: "paid || refunded",
	}}
	someSettlement = trail.StoredSettlement{AgainTo: 0, Settlement: trail.Settlement{
		Broker: "broker-a", Topic: "orders", QueueID: 1, From: 0, To: 3, Group: "billing", Outcome: "acknowledged", Client: "c1", Node: "node-1", AtMicros: at + 5000, Position: 77,
	}}
	someStep = trail.StoredStep{RecordedMicros: at + 9000, Step: trail.Step{
		ID: "ID000001", Name: "process", Topic: "", Group: "billing", Client: "c1", Addr: "10.0.0.8", AtMicros: at + 1000, DurationMicros: 15_000, Attempt: 1,
		Status: "Error", Error: "TIME_OUT", Source: "client", Detail: "REQ", Position: 99,
	}}
	someHappening = trail.Happening{AtMicros: at + 10, Kind: "rebalance", Topic: "orders", Group: "billing", Client: "c1", Addr: "a", Node: "node-1", Text: "t", Count: 2, Detail: map[string]string{"k": "v", "": "x"}}
)

func TestRowsComeBackAsTheyWereWritten(t *testing.T) {
	s := open(t, testOptions(t))
	empty := trail.StoredMessage{Message: trail.Message{ID: "EMPTY", Topic: "other", AppendedMicros: at, Keys: []string{}, QueueOffset: -1}}
	empty.OffsetID = fmt.Sprintf("%016X", 0)
	one := testMessage(1)
	one.Timing, one.RealTopic, one.RealQueueID, one.DueMicros, one.OriginTopic, one.ResentFrom, one.ResentBy = trail.TimingFired, "orders", 7, at-3000, "before", "LETTER", "li.wei"
	write(t, s, "t", func(b trail.Sink) {
		b.Message(&one)
		b.Message(&empty)
		b.Delivery(&someDelivery)
		b.Settlement(&someSettlement)
		b.Step(&someStep)
		b.Happening(&someHappening)
	})
	l, err := s.Life(context.Background(), "ID000001")
	if err != nil {
		t.Fatal(err)
	}
	want := trail.Life{
		Answer: trail.Found, Messages: []trail.Message{one.Message}, Deliveries: []trail.Delivery{someDelivery.Delivery}, Settlements: []trail.Settlement{someSettlement.Settlement},
		Steps: []trail.Step{someStep.Step}, Happenings: []trail.Happening{someHappening}, NotRecorded: []trail.Shipped{}, TraceID: one.TraceIn,
	}
	if !reflect.DeepEqual(l, want) {
		t.Errorf("got  %+v\nwant %+v", l, want)
	}
	if l, err = s.Life(context.Background(), "EMPTY"); err != nil || len(l.Messages) != 1 || !reflect.DeepEqual(l.Messages[0], empty.Message) {
		t.Errorf("%v: got  %+v\nwant %+v", err, l.Messages, empty.Message)
	}
	if l.TraceID != trail.DerivedTraceID("EMPTY").String() {
		t.Errorf("trace id %s", l.TraceID)
	}
}

func TestRandomRowsComeBack(t *testing.T) {
	s := open(t, testOptions(t))
	text := rapid.StringOfN(rapid.Rune(), 0, 30, -1)
	row := rapid.Custom(func(t *rapid.T) trail.StoredMessage {
		m := trail.StoredMessage{StoreKey: "7F00000100002A9F", Message: trail.Message{
			ID: text.Draw(t, "id"), Topic: "orders", Tag: text.Draw(t, "tag"), Keys: rapid.SliceOfN(text, 0, 3).Draw(t, "keys"), ProducerAddr: text.Draw(t, "addr"),
			BornMicros: rapid.Int64Range(0, 2*at).Draw(t, "born"), SysFlag: rapid.Int32().Draw(t, "flag"), StoredBytes: rapid.Uint32().Draw(t, "bytes"), Index: rapid.Uint64().Draw(t, "index"),
			Broker: rapid.SampledFrom([]string{"broker-a", "broker-b", ""}).Draw(t, "broker"),
		}}
		if m.Keys == nil {
			m.Keys = []string{}
		}
		return m
	})
	var want []trail.Message
	write(t, s, "t", func(b trail.Sink) {
		for i := range 900 {
			m := row.Example(i)
			m.Position, m.AppendedMicros, m.OffsetID = int64(i), at+int64(i), fmt.Sprintf("7F00000100002A9F%016X", i)
			b.Message(&m)
			want = append([]trail.Message{m.Message}, want...)
		}
	})
	got, err := s.Search(context.Background(), trail.Query{Topic: "orders", FromMicros: at, ToMicros: at + 1000, Limit: 1000})
	if err != nil || !reflect.DeepEqual(got.Messages, want) {
		t.Fatalf("%v %s: %d rows come back of %d, or differ", err, got.Reason, len(got.Messages), len(want))
	}
}

func TestABlockIsWrittenOnceHoweverOftenItIsSent(t *testing.T) {
	s := open(t, testOptions(t))
	add := func(b trail.Sink) {
		for i := range 50 {
			m := testMessage(i)
			m.AppendedMicros += int64(i%3) * 24 * time.Hour.Microseconds() // several partitions
			b.Message(&m)
		}
		b.Delivery(&someDelivery)
		b.Settlement(&someSettlement)
	}
	for range 3 {
		write(t, s, "same", add)
		if err := s.Record(context.Background(), "same", []trail.Shipped{{Node: "n", AtMicros: at, Rows: 52}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		table string
		want  uint64
	}{{"messages", 50}, {"deliveries", 1}, {"settlements", 1}, {"ship_log", 1}} {
		if n := count(t, s, fmt.Sprintf("SELECT count() FROM %s.%s", s.o.Database, c.table)); n != c.want {
			t.Errorf("%d rows of %s, want %d", n, c.table, c.want)
		}
	}
	for step, want := range map[string]uint64{"store": 50, "deliver": 3, "ack": 3} {
		if n := count(t, s, fmt.Sprintf("SELECT sum(count) FROM %s.rollup_minute WHERE step = '%s'", s.o.Database, step)); n != want {
			t.Errorf("rollup counts %d of %s, want %d", n, step, want)
		}
	}
	write(t, s, "other", add)
	if n := count(t, s, fmt.Sprintf("SELECT count() FROM %s.messages", s.o.Database)); n != 100 {
		t.Errorf("%d rows after another token, want 100", n)
	}
	for token, want := range map[string]bool{"same": true, "never": false} {
		if got, err := s.Recorded(context.Background(), token); got != want || err != nil {
			t.Errorf("recorded %s: %v %v", token, got, err)
		}
	}
}

func TestManyProcessesMigrateOnce(t *testing.T) {
	o := testOptions(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s := open(t, o)
			if err := s.Ready(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s := open(t, o)
	if err := s.Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, fmt.Sprintf("SELECT count() FROM %s.migrations", o.Database)); n != uint64(len(s.migrations)+1) {
		t.Errorf("%d migrations recorded, there are %d and the views", n, len(s.migrations))
	}
	if n := count(t, s, "SELECT count() FROM system.tables WHERE name = 'migrating' AND database = {db:String}", arg("db", o.Database)); n != 0 {
		t.Error("the lock was left")
	}
}

func TestViewsAreMadeAnewWhenTheyChange(t *testing.T) {
	o := testOptions(t)
	if err := open(t, o).Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	s := open(t, o)
	s.views.sum, s.views.statements = "another", []string{"CREATE OR REPLACE VIEW " + o.Database + ".otel_traces AS SELECT 7 AS changed"}
	if err := s.Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "SELECT toUInt64(changed) FROM "+o.Database+".otel_traces"); n != 7 {
		t.Errorf("the view gives %d", n)
	}
}

func TestADatabaseOfAnotherVersionIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Store){
		"changed": func(s *Store) { s.migrations[1].sum = "0000" },
		"newer":   func(s *Store) { s.migrations = s.migrations[:2] },
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions(t)
			if err := open(t, o).Ready(context.Background()); err != nil {
				t.Fatal(err)
			}
			s := open(t, o)
			change(s)
			if err := s.Ready(context.Background()); err == nil || !strings.Contains(err.Error(), o.Database) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestKeepForFollowsTheOptions(t *testing.T) {
	o := testOptions(t)
	o.KeepFor = 48 * time.Hour
	if err := open(t, o).Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	o.KeepFor = 96 * time.Hour
	s := open(t, o)
	if err := s.Ready(context.Background()); err != nil {
		t.Fatal(err)
	}
	n := count(t, s, "SELECT count() FROM system.tables WHERE database = {db:String} AND position(engine_full, 'toIntervalSecond(345600)') > 0", arg("db", o.Database))
	if n != 5 {
		t.Errorf("%d tables keep rows for 96 h, want 5", n)
	}
}

func TestOneSetOfMigrationsServesACluster(t *testing.T) {
	o, err := Options{Addr: "x:8123", Cluster: "main", Database: "trail"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	all, err := migrations(&o)
	if err != nil {
		t.Fatal(err)
	}
	v, err := views(&o)
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, m := range append(all, v) {
		for _, sql := range m.statements {
			if !strings.Contains(sql, "ON CLUSTER main") {
				t.Errorf("%s: not on the cluster: %.80s", m.name, sql)
			}
			if strings.Contains(sql, "ENGINE") {
				tables++
				if !strings.Contains(sql, "ENGINE = Replicated") || !strings.Contains(sql, "replicated_deduplication_window_seconds") || strings.Contains(sql, "non_replicated") {
					t.Errorf("%s: not replicated: %.80s", m.name, sql)
				}
			}
		}
	}
	if tables != 8 {
		t.Errorf("%d tables", tables)
	}
}

func TestOptionsNameWhatIsWrong(t *testing.T) {
	_, err := Open(context.Background(), Options{Database: "a.b", Cluster: "x y", KeepFor: time.Second})
	for _, part := range []string{"no address", "a.b", "x y", "1s"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not name %q", err, part)
		}
	}
}

func TestAnAbsentStoreIsFailedNotNothing(t *testing.T) {
	s := open(t, Options{Dial: func(context.Context) (net.Conn, error) { return nil, errors.New("the engine is down") }})
	ctx := context.Background()
	if m, err := s.Search(ctx, trail.Query{FromMicros: 1, ToMicros: 2}); err != nil || m.Answer != trail.Failed || !strings.Contains(m.Reason, "the engine is down") {
		t.Errorf("search: %+v %v", m, err)
	}
	if l, err := s.Life(ctx, "X"); err != nil || l.Answer != trail.Failed || l.Reason == "" {
		t.Errorf("life: %+v %v", l, err)
	}
	if _, err := s.Happenings(ctx, 1, 2, 10); err == nil {
		t.Error("happenings: no error")
	}
	if st := s.Status(); st.StoreUp || !strings.Contains(st.StoreText, "the engine is down") {
		t.Errorf("status %+v", st)
	}
	if err := s.Write(ctx, "t", func() trail.Block { b := s.NewBlock(); m := testMessage(1); b.Message(&m); return b }()); err == nil {
		t.Error("write: no error")
	}
}

func TestStatusNamesTheServerAndTheShipper(t *testing.T) {
	s := open(t, testOptions(t))
	s.Follow(func() trail.Status { return trail.Status{RowsShipped: 7} })
	if st := s.Status(); !st.StoreUp || !strings.HasPrefix(st.StoreText, "ClickHouse 2") || st.RowsShipped != 7 {
		t.Errorf("status %+v", st)
	}
}
