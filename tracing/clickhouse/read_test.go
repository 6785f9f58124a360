package clickhouse

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/tracing/trail"
)

// searched gives the identities that a search finds.
func searchIDs(t *testing.T, s *Store, q trail.Query) []string {
	t.Helper()
	if q.FromMicros == 0 {
		q.FromMicros, q.ToMicros = at, at+1_000_000
	}
	m, err := s.Search(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	if m.Answer == trail.Failed {
		t.Fatal(m.Reason)
	}
	ids := []string{}
	for i := range m.Messages {
		ids = append(ids, m.Messages[i].ID)
	}
	return ids
}

func TestEachFilterOfASearch(t *testing.T) {
	s := open(t, testOptions(t))
	write(t, s, "t", func(b trail.Sink) {
		for i := range 4 {
			m := testMessage(i)
			m.QueueID, m.QueueOffset = 0, int64(i)
			switch i {
			case 1:
				m.Topic = "other"
			case 2:
				m.Tag, m.ProducerGroup, m.ProducerClient, m.ProducerAddr, m.Keys = "refunded", "till", "10.9.9.9@2", "10.9.9.9:777", []string{"a", "k'; DROP"}
			}
			b.Message(&m)
		}
		d := someDelivery
		d.QueueID, d.From, d.To = 0, 2, 4
		b.Delivery(&d)
	})
	all := []string{"ID000003", "ID000002", "ID000001", "ID000000"}
	for _, c := range []struct {
		name string
		q    trail.Query
		want []string
	}{
		{"everything, newest first", trail.Query{}, all},
		{"topic", trail.Query{Topic: "other"}, []string{"ID000001"}},
		{"identity", trail.Query{ID: "ID000002"}, []string{"ID000002"}},
		{"offset message id", trail.Query{ID: "7F00000100002A9F00000000000003E8"}, []string{"ID000001"}},
		{"offset message id in small letters", trail.Query{ID: "7f00000100002a9f00000000000003e8"}, []string{"ID000001"}},
		{"offset message id of another broker", trail.Query{ID: "0A00000100002A9F00000000000003E8"}, []string{}},
		{"key", trail.Query{Key: "a"}, []string{"ID000002"}},
		{"key with a quote", trail.Query{Key: "k'; DROP"}, []string{"ID000002"}},
		{"key with control characters", trail.Query{Key: "ünï\n\x00"}, []string{"ID000003", "ID000001", "ID000000"}},
		{"tag", trail.Query{Tag: "refunded"}, []string{"ID000002"}},
		{"producer group", trail.Query{ProducerGroup: "till"}, []string{"ID000002"}},
		{"client id", trail.Query{Client: "10.9.9.9@2"}, []string{"ID000002"}},
		{"address", trail.Query{Client: "10.9.9.9:777"}, []string{"ID000002"}},
		{"host", trail.Query{Client: "10.9.9.9"}, []string{"ID000002"}},
		{"half a host", trail.Query{Client: "10.9.9"}, []string{}},
		{"consumer group: what was handed to it", trail.Query{Group: "billing", Topic: "orders"}, []string{"ID000003", "ID000002"}},
		{"time", trail.Query{FromMicros: at + 1000, ToMicros: at + 3000}, []string{"ID000002", "ID000001"}},
		{"two filters", trail.Query{Tag: "paid", Topic: "other"}, []string{"ID000001"}},
		{"limit", trail.Query{Limit: 2}, all[:2]},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := searchIDs(t, s, c.q); !reflect.DeepEqual(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// Pages meet: every message is on exactly one, even when many share a µs.
func TestPagesOfASearchMeet(t *testing.T) {
	s := open(t, testOptions(t))
	const n = 2_500
	write(t, s, "t", func(b trail.Sink) {
		for i := range n {
			m := testMessage(i)
			m.AppendedMicros = at + int64(i/100)*97_000_000 // hundreds at one time, over 40 minutes
			b.Message(&m)
		}
	})
	q := trail.Query{FromMicros: at, ToMicros: at + 3_600_000_000, Limit: 333}
	next := n - 1
	for pages := 0; ; pages++ {
		m, err := s.Search(context.Background(), q)
		if err != nil || m.Answer != trail.Found {
			t.Fatalf("page %d: %v %+v", pages, err, m)
		}
		for i := range m.Messages {
			if want := fmt.Sprintf("ID%06d", next); m.Messages[i].ID != want {
				t.Fatalf("page %d: %s where %s should be", pages, m.Messages[i].ID, want)
			}
			next--
		}
		if pages == 0 && len(m.Histogram) != histogramBuckets || pages > 0 && len(m.Histogram) != 0 {
			t.Errorf("page %d: a histogram of %d buckets", pages, len(m.Histogram))
		}
		if m.ElapsedMicros == 0 {
			t.Errorf("page %d: took no time", pages)
		}
		if q.Before = m.Next; q.Before == "" {
			break
		}
	}
	if next != -1 {
		t.Errorf("%d messages are on no page", next+1)
	}
}

func TestTheHistogramCountsAllMatches(t *testing.T) {
	s := open(t, testOptions(t))
	const n = 3000
	write(t, s, "t", func(b trail.Sink) {
		for i := range n {
			m := testMessage(i)
			m.Topic = []string{"orders", "other", "third"}[i%3]
			m.AppendedMicros = at + int64(i)*7_654_321 // more than six hours
			b.Message(&m)
		}
	})
	for _, c := range []struct {
		name     string
		q        trail.Query
		from, to int64
		want     uint64
	}{
		{"all, by whole minutes and the edges", trail.Query{}, at, at + n*7_654_321, n},
		{"a topic", trail.Query{Topic: "other"}, at, at + n*7_654_321, n / 3},
		{"edges within minutes", trail.Query{}, at + 100*7_654_321, at + 2500*7_654_321, 2400},
		{"a filter that the rollup does not know", trail.Query{Tag: "paid"}, at, at + n*7_654_321, n},
		{"buckets shorter than a minute", trail.Query{}, at, at + 100*7_654_321, 100},
	} {
		c.q.FromMicros, c.q.ToMicros, c.q.Limit = c.from, c.to, 1
		m, err := s.Search(context.Background(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		var sum uint64
		for i, b := range m.Histogram {
			sum += b.Count
			if i > 0 && b.AtMicros <= m.Histogram[i-1].AtMicros || b.AtMicros < c.from || b.AtMicros >= c.to {
				t.Errorf("%s: bucket %d at %d", c.name, i, b.AtMicros)
			}
		}
		if sum != c.want || len(m.Histogram) != histogramBuckets {
			t.Errorf("%s: %d in %d buckets, want %d", c.name, sum, len(m.Histogram), c.want)
		}
	}
}

func TestNothingIsToldFromNotRecorded(t *testing.T) {
	o := testOptions(t)
	o.KeepFor = 48 * time.Hour
	s := open(t, o)
	now := time.Now().UnixMicro()
	hour := time.Hour.Microseconds()
	if err := s.Record(context.Background(), "t", []trail.Shipped{
		{Node: "node-1", AtMicros: now, FromMicros: now - 5*hour, ToMicros: now - 4*hour, NotRecorded: 12, Reason: "retention was faster than the store (messages)", Topic: "orders"},
		{Node: "node-1", AtMicros: now, FromMicros: now - 5*hour, ToMicros: now, Rows: 4000},
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, topic string
		from, to    int64
		progress    trail.Status
		want        trail.Answer
		reason      string
	}{
		{"asked everywhere", "", now - 2*hour, now - hour, trail.Status{}, trail.Nothing, ""},
		{"a hole of the topic", "orders", now - 6*hour, now - hour, trail.Status{}, trail.NotRecorded, "12 not recorded on node-1"},
		{"a hole, no topic asked", "", now - 6*hour, now - hour, trail.Status{}, trail.NotRecorded, "retention"},
		{"a hole of another topic", "other", now - 6*hour, now - hour, trail.Status{}, trail.Nothing, ""},
		{"older than rows are kept", "other", now - 72*hour, now - hour, trail.Status{}, trail.NotRecorded, "48h"},
		{"not shipped yet", "other", now - hour, now, trail.Status{ShippedToMicros: now - hour/2, LagMicros: hour / 2}, trail.NotRecorded, "shipped up to"},
		{"shipped but for a moment", "other", now - hour, now, trail.Status{ShippedToMicros: now - 100_000, LagMicros: 100_000}, trail.Nothing, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Follow(func() trail.Status { return c.progress })
			m, err := s.Search(context.Background(), trail.Query{Topic: c.topic, FromMicros: c.from, ToMicros: c.to})
			if err != nil || m.Answer != c.want || !strings.Contains(m.Reason, c.reason) {
				t.Errorf("%v: %s %q, want %s %q", err, m.Answer, m.Reason, c.want, c.reason)
			}
		})
	}
}

func TestAWrongQuestionIsAnError(t *testing.T) {
	s := open(t, testOptions(t))
	for _, q := range []trail.Query{{FromMicros: 5, ToMicros: 5}, {FromMicros: 1, ToMicros: 2, Before: "x"}, {FromMicros: 1, ToMicros: 2, Before: "1-x-b"}} {
		if _, err := s.Search(context.Background(), q); err == nil {
			t.Errorf("%+v was answered", q)
		}
	}
}

func TestALifeHoldsWhatTouchesTheMessage(t *testing.T) {
	s := open(t, testOptions(t))
	story(t, s)
	write(t, s, "more", func(b trail.Sink) {
		wide := someSettlement // one commit over millions
		wide.Group, wide.QueueID, wide.From, wide.To = "lazy", 0, 0, 50_000_000
		b.Settlement(&wide)
		before := someSettlement
		before.Group, before.QueueID, before.From, before.To = "billing", 0, 0, 0
		b.Settlement(&before)
		h := someHappening
		h.Group = "stranger"
		b.Happening(&h)
		h.Group, h.Topic, h.Kind, h.Client = "", "another", "topic-created", ""
		b.Happening(&h)
		h.Topic, h.Kind = "orders", "topic-changed"
		b.Happening(&h)
		h.Topic, h.Kind = "", "flush-stall"
		b.Happening(&h)
		h.AtMicros -= 10 * time.Minute.Microseconds()
		b.Happening(&h)
	})
	if err := s.Record(context.Background(), "t", []trail.Shipped{{AtMicros: at, FromMicros: at - 1000, ToMicros: at + 5_000_000, NotRecorded: 3, Reason: "notes were lost", Node: "node-1"}}); err != nil {
		t.Fatal(err)
	}
	l, err := s.Life(context.Background(), "ID000000")
	if err != nil || l.Answer != trail.Found {
		t.Fatalf("%v %+v", err, l)
	}
	var got []string
	for _, m := range l.Messages {
		got = append(got, "message "+m.Topic)
	}
	for _, d := range l.Deliveries {
		got = append(got, fmt.Sprintf("delivery %s %s %d..%d", d.Topic, d.Group, d.From, d.To))
	}
	for _, c := range l.Settlements {
		got = append(got, fmt.Sprintf("settlement %s %d..%d", c.Group, c.From, c.To))
	}
	for _, p := range l.Steps {
		got = append(got, fmt.Sprintf("%s %s %d", p.Name, p.Detail, p.DurationMicros))
	}
	for _, h := range l.Happenings {
		got = append(got, h.Kind)
	}
	for _, n := range l.NotRecorded {
		got = append(got, n.Reason)
	}
	want := []string{
		"message orders", "message %RETRY%billing", "delivery orders billing 0..4", "delivery orders audit 0..8", "delivery %RETRY%billing billing 0..1",
		"settlement lazy 0..50000000", "settlement billing 0..6", "settlement audit -1..6", "process REQ 15000", "process REQ2 15000", "process REQ3 -1", "topic-changed", "flush-stall", "notes were lost",
	}
	if !sameElements(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func sameElements(a, b []string) bool {
	n := map[string]int{}
	for _, s := range a {
		n[s]++
	}
	for _, s := range b {
		n[s]--
	}
	for _, c := range n {
		if c != 0 {
			return false
		}
	}
	return true
}

func TestALifeIsFoundByTheOffsetIDOfAnyCopy(t *testing.T) {
	s := open(t, testOptions(t))
	story(t, s)
	for _, id := range []string{"7F00000100002A9F0000000000000000", fmt.Sprintf("7F00000100002A9F%016X", 90_000)} {
		l, err := s.Life(context.Background(), id)
		if err != nil || len(l.Messages) != 2 || l.Messages[0].ID != "ID000000" || l.Messages[0].Topic != "orders" {
			t.Errorf("%s: %v %+v", id, err, l.Messages)
		}
	}
}

func TestAnEndedProcessingIsToldOnce(t *testing.T) {
	s := open(t, testOptions(t))
	write(t, s, "t", func(b trail.Sink) {
		p := someStep
		b.Step(&p)
		p.DurationMicros, p.Status = -1, "Unset"
		b.Step(&p)
		p.Detail = "OTHER"
		b.Step(&p)
	})
	l, err := s.Life(context.Background(), someStep.ID)
	if err != nil || len(l.Steps) != 2 || l.Answer != trail.Found {
		t.Errorf("%v %+v", err, l.Steps)
	}
}

func TestClientIDsSayWhenTheyWereMade(t *testing.T) {
	now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	remoting := func(ms uint32) string { return fmt.Sprintf("7F000001"+"2A9F"+"4B1C0A1B"+"%08X"+"0001", ms) }
	day := uint32(24 * time.Hour / time.Millisecond)
	for _, c := range []struct {
		name, id string
		want     time.Time
		ok       bool
	}{
		{"this month", remoting(day), time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), true},
		{"last month", remoting(20 * day), time.Date(2026, 10, 21, 0, 0, 0, 0, time.UTC), true},
		{"no day of a month", remoting(40 * day), time.Time{}, false},
		{"of an IPv6 host", strings.Repeat("0", 24) + remoting(day), time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), true},
		{"grpc", "01" + "AABBCCDDEEFF" + "1234" + fmt.Sprintf("%08X", int64(now.Add(-time.Hour).Sub(grpcEpoch)/time.Second)) + "00000001", now.Add(-time.Hour), true},
		{"grpc of the far future", "01" + "AABBCCDDEEFF" + "1234" + "FFFFFFFF" + "00000001", time.Time{}, false},
		{"a text", "order-1", time.Time{}, false},
		{"another length", "ABCD", time.Time{}, false},
	} {
		if got, ok := bornAt(c.id, now); ok != c.ok || !got.Equal(c.want) {
			t.Errorf("%s: %s %v, want %s %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

func TestAnIDWhoseClockIsWrongIsFoundAllTheSame(t *testing.T) {
	s := open(t, testOptions(t))
	id := fmt.Sprintf("7F0000012A9F4B1C0A1B%08X0001", time.Hour.Milliseconds()) // says: this month
	write(t, s, "t", func(b trail.Sink) {
		m := testMessage(0)
		m.ID, m.AppendedMicros = id, time.Now().AddDate(0, -3, 0).UnixMicro()
		b.Message(&m)
		m.AppendedMicros, m.ReconsumeTimes, m.Topic = time.Now().UnixMicro(), 1, "%RETRY%billing"
		b.Message(&m)
	})
	if l, err := s.Life(context.Background(), id); err != nil || len(l.Messages) != 2 {
		t.Errorf("%v %+v", err, l.Messages)
	}
}

// TestALifeHasWhatItsOwnBrokerGroupDid: each broker group has a queue 1 of the topic, with a message at its offset 1.
func TestALifeHasWhatItsOwnBrokerGroupDid(t *testing.T) {
	s := open(t, testOptions(t))
	brokers := []string{"broker-a", "broker-b", "broker-c"}
	write(t, s, "t", func(b trail.Sink) {
		for i, broker := range brokers {
			m := testMessage(1)
			m.ID, m.Broker, m.TraceIn = fmt.Sprintf("ID%06d", i), broker, ""
			b.Message(&m)
			if d := someDelivery; broker != "broker-c" {
				d.Broker, d.Client = broker, "of-"+broker
				b.Delivery(&d)
				c := someSettlement
				c.Broker, c.Client = broker, "of-"+broker
				b.Settlement(&c)
			}
		}
	})
	for i, broker := range brokers {
		want := 1
		if broker == "broker-c" {
			want = 0
		}
		l, err := s.Life(context.Background(), fmt.Sprintf("ID%06d", i))
		if err != nil || len(l.Messages) != 1 || len(l.Deliveries) != want || len(l.Settlements) != want {
			t.Fatalf("%s: %v: %+v", broker, err, l)
		}
		if want == 1 && (l.Deliveries[0].Client != "of-"+broker || l.Settlements[0].Client != "of-"+broker) {
			t.Errorf("%s: %+v %+v", broker, l.Deliveries, l.Settlements)
		}
		spans := count(t, s, fmt.Sprintf("SELECT count() FROM %s.otel_traces WHERE SpanAttributes['messaging.message.id'] = 'ID%06d' AND SpanName IN ('deliver orders', 'ack orders')", s.o.Database, i))
		if spans != uint64(2*want) {
			t.Errorf("%s: %d spans of deliveries and acknowledgements, want %d", broker, spans, 2*want)
		}
	}
	q := trail.Query{Group: "billing", Topic: "orders"}
	if got := searchIDs(t, s, q); !sameElements(got, []string{"ID000001", "ID000000"}) {
		t.Errorf("handed to the group: %v", got)
	}
}

func TestRatesSumMinutes(t *testing.T) {
	s := open(t, testOptions(t))
	minute := time.Minute.Microseconds()
	begin := at / minute * minute
	write(t, s, "t", func(b trail.Sink) {
		for i := range 600 {
			m := testMessage(i)
			m.Topic = []string{"orders", "other"}[i%2]
			m.AppendedMicros = begin + int64(i)*1_000_000 // ten minutes
			m.ReceivedMicros, m.AckedMicros = m.AppendedMicros-100, m.AppendedMicros+900
			if i%100 == 98 {
				m.AckedMicros = m.AppendedMicros + 99_900
			}
			b.Message(&m)
		}
		for i := range 10 {
			d := someDelivery
			d.SentMicros = begin + int64(i)*minute
			d.RequestedMicros, d.Messages, d.Bytes, d.From, d.To = d.SentMicros-800, 30, 300, 0, 5000
			b.Delivery(&d)
			c := someSettlement
			c.AtMicros, c.From, c.To = d.SentMicros, int64(30*i), int64(30*i+30)
			b.Settlement(&c)
		}
	})
	ask := func(step int64, topic, group string) []trail.Rate {
		t.Helper()
		r, err := s.Rates(context.Background(), begin, begin+10*minute, step, topic, group)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	total := map[string]uint64{}
	for _, r := range ask(minute, "", "") {
		total[r.Step] += r.Count
		if r.Topic != "" || r.Group != "" || (r.AtMicros-begin)%minute != 0 {
			t.Errorf("%+v", r)
		}
		if r.Step == "store" && (r.Count != 60 || math.Abs(r.P50-1000) > 100) {
			t.Errorf("%+v: 60 of about 1 ms", r)
		}
	}
	if want := map[string]uint64{"store": 600, "deliver": 300, "ack": 300}; !reflect.DeepEqual(total, want) {
		t.Errorf("counted %v, want %v", total, want)
	}
	all := ask(30*minute, "orders", "")
	if len(all) < 3 {
		t.Fatalf("%+v", all)
	}
	for _, r := range all {
		if r.Topic != "orders" || r.Step == "store" && (r.Group != "" || r.P99 < 90_000) || r.Step == "deliver" && (r.Group != "billing" || math.Abs(r.P50-500) > 50 || r.Bytes == 0) {
			t.Errorf("%+v", r)
		}
	}
	if got := ask(minute, "", "nobody"); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestHappeningsNewestFirst(t *testing.T) {
	s := open(t, testOptions(t))
	write(t, s, "t", func(b trail.Sink) {
		for i := range 5 {
			h := someHappening
			h.AtMicros = at + int64(i)
			b.Happening(&h)
		}
	})
	got, err := s.Happenings(context.Background(), at+1, at+4, 2)
	if err != nil || len(got) != 2 || got[0].AtMicros != at+3 || got[1].AtMicros != at+2 || !reflect.DeepEqual(got[0].Detail, someHappening.Detail) {
		t.Errorf("%v %+v", err, got)
	}
}

func TestQuantilesOfAHistogram(t *testing.T) {
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	buckets := map[uint8]uint64{}
	for _, micros := range []float64{100, 100, 100, 100, 100, 100, 100, 100, 100, 5000} {
		buckets[uint8(math.Floor(math.Log2(micros)*4))]++
	}
	for q, want := range map[float64]float64{0.5: 100, 0.9: 100, 0.99: 5000} {
		if got := quantile(buckets, q); math.Abs(got-want)/want > 0.095 {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
}

type answering http.Header

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header(a), Body: http.NoBody}, nil
}

func TestWhatQueriesReadAddsUp(t *testing.T) {
	u := &usage{}
	r, err := http.NewRequestWithContext(context.WithValue(context.Background(), usageKey{}, u), http.MethodPost, "http://x", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, summary := range []string{`{"read_rows":"7","read_bytes":"100","written_rows":"0"}`, `{"read_rows":"3","read_bytes":"1"}`, "", "{"} {
		answer, err := counting{answering{"X-Clickhouse-Summary": {summary}}}.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	if rows, bytes := u.rows.Load(), u.bytes.Load(); rows != 10 || bytes != 101 {
		t.Errorf("%d rows, %d bytes", rows, bytes)
	}
}
