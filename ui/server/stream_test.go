package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

// rowsAt is a trail with one message at each time.
func rowsAt(times []int64) func(trail.Query) (trail.Matches, error) {
	return func(q trail.Query) (trail.Matches, error) {
		m := trail.Matches{Answer: trail.Nothing, RowsRead: 10}
		for i := len(times) - 1; i >= 0; i-- {
			if at := times[i]; at >= q.FromMicros && at < q.ToMicros {
				m.Histogram = append(m.Histogram, trail.Bucket{AtMicros: at, Count: 1})
				if len(m.Messages) < q.Limit {
					m.Answer = trail.Found
					m.Messages = append(m.Messages, trail.Message{AppendedMicros: at})
					m.Next = fmt.Sprint(at)
				}
			}
		}
		if len(m.Messages) < q.Limit {
			m.Next = ""
		}
		return m, nil
	}
}

func stream(t *testing.T, c *console, path string) (lines []api.Progress) {
	t.Helper()
	for line := range strings.Lines(c.get(t, path).Body.String()) {
		var p api.Progress
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines = append(lines, p)
	}
	return lines
}

// Newest first; every slice is one line or more; the parts are the whole; the last line sums up.
func TestStreamGoesBackInSlices(t *testing.T) {
	c := newConsole(t, nil)
	var times []int64
	for at := int64(1_000_000); at < 2_000_000; at += 7_919 {
		times = append(times, at)
	}
	c.trail.search = rowsAt(times)
	lines := stream(t, c, "/api/v1/messages/stream?from=1000000&to=2000000&limit=1000")
	var got []int64
	scanned := int64(2_000_000)
	for _, p := range lines[:len(lines)-1] {
		if p.ToMicros > 0 {
			if p.ToMicros >= scanned {
				t.Errorf("scanned to %d after %d", p.ToMicros, scanned)
			}
			scanned = p.ToMicros
		}
		for _, m := range p.Messages {
			got = append(got, m.AppendedMicros)
		}
	}
	done := lines[len(lines)-1].Done
	if done == nil || done.Answer != trail.Found || done.Next != "" || scanned != 1_000_000 || len(got) != len(times) {
		t.Fatalf("%+v, scanned to %d, %d of %d", done, scanned, len(got), len(times))
	}
	for i, at := range got {
		if at != times[len(times)-1-i] {
			t.Fatalf("place %d has %d", i, at)
		}
	}
	var counted uint64
	for _, b := range done.Histogram {
		counted += b.Count
	}
	if counted != uint64(len(times)) || len(done.Histogram) != streamBuckets || done.RowsRead != 10*uint64(len(c.trail.queries)) {
		t.Errorf("%d counted in %d buckets, %d rows read", counted, len(done.Histogram), done.RowsRead)
	}
	if first := c.trail.queries[0]; first.ToMicros != 2_000_000 || first.ToMicros-first.FromMicros > 1_000_000/streamBuckets+1 {
		t.Errorf("the first slice is %+v", first)
	}
}

// A full list ends the search, with the cursor to go on by; the picture covers the whole range all the same.
func TestStreamEndsAtTheLimit(t *testing.T) {
	c := newConsole(t, nil)
	var times []int64
	for at := int64(1_000_000); at < 2_000_000; at += 10_000 {
		times = append(times, at)
	}
	c.trail.search = rowsAt(times)
	lines := stream(t, c, "/api/v1/messages/stream?from=1000000&to=2000000&limit=5")
	done := lines[len(lines)-1].Done
	n := 0
	for _, p := range lines {
		n += len(p.Messages)
	}
	var counted uint64
	for _, b := range done.Histogram {
		counted += b.Count
	}
	if n != 5 || done.Next != "1950000" || done.Answer != trail.Found || counted < 98 { // the slice that filled the list is counted once
		t.Errorf("%d messages, %+v, %d counted", n, done, counted)
	}
	c.trail.queries = nil
	lines = stream(t, c, "/api/v1/messages/stream?from=1000000&to=2000000&limit=5&before=1950000")
	if done = lines[len(lines)-1].Done; len(done.Histogram) != 0 || c.trail.queries[0].Before != "1950000" {
		t.Errorf("%+v", done)
	}
}

func TestStreamKeepsTheAnswersValues(t *testing.T) {
	c := newConsole(t, nil)
	ask := func(search func(trail.Query) (trail.Matches, error)) *trail.Matches {
		c.trail.search, c.trail.queries = search, nil
		lines := stream(t, c, "/api/v1/messages/stream?from=1000000&to=2000000")
		return lines[len(lines)-1].Done
	}
	fixed := func(a trail.Answer, reason string, err error) func(trail.Query) (trail.Matches, error) {
		return func(trail.Query) (trail.Matches, error) { return trail.Matches{Answer: a, Reason: reason}, err }
	}
	if d := ask(fixed(trail.Nothing, "", nil)); d.Answer != trail.Nothing {
		t.Errorf("%+v", d)
	}
	if d := ask(fixed(trail.NotRecorded, "expired", nil)); d.Answer != trail.NotRecorded || d.Reason != "expired" {
		t.Errorf("%+v", d)
	}
	if d := ask(fixed(trail.Failed, "away", nil)); d.Answer != trail.Failed || d.Reason != "away" || len(c.trail.queries) != 1 {
		t.Errorf("%+v", d)
	}
	if d := ask(fixed("", "", errors.New("broken"))); d.Answer != trail.Failed || d.Reason != "broken" {
		t.Errorf("%+v", d)
	}
	c.trail.search, c.trail.queries = fixed(trail.Nothing, "", nil), nil
	stream(t, c, "/api/v1/messages/stream?key=k&from=1000000&to=2000000")
	if len(c.trail.queries) != 1 {
		t.Errorf("a key is looked up in %d slices", len(c.trail.queries))
	}
}

func TestSeries(t *testing.T) {
	var s series
	for i := int64(0); i <= 2000; i++ {
		p, ok := s.add(counters{atMillis: 1000 + i*1000, in: i * 10, out: i * 5, bytesIn: i * 1000, bytesOut: i, lag: i})
		if ok != (i > 0) || ok && (p.In != 10 || p.Out != 5 || p.BytesIn != 1000 || p.BytesOut != 1 || p.Lag != i || p.At != 1000+i*1000) {
			t.Fatalf("sample %d: %+v %v", i, p, ok)
		}
	}
	points := s.points()
	if len(points) != pointsMax || points[len(points)-1].At != 1000+2000*1000 {
		t.Fatalf("%d points, the last at %d", len(points), points[len(points)-1].At)
	}
	for i := 1; i < len(points); i++ {
		if points[i].At-points[i-1].At != 5000 || points[i].In != 10 {
			t.Fatalf("%+v after %+v", points[i], points[i-1])
		}
	}
	if p, ok := s.add(counters{atMillis: 5}); ok { // the clock was set back
		t.Errorf("%+v", p)
	}
	if p, ok := s.add(counters{atMillis: 1005, in: 3}); !ok || p.In != 3 {
		t.Errorf("%+v", p)
	}
	if p, _ := s.add(counters{atMillis: 2005, in: 1}); p.In != 0 { // a counter that went back
		t.Errorf("%+v", p)
	}
}

func TestLiveTicks(t *testing.T) {
	c := newConsole(t, nil)
	c.trail.status = trail.Status{StoreUp: true}
	server := httptest.NewUnstartedServer(c)
	server.Config = HTTPServer(c)
	server.Start()
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/v1/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for n := 0; n < 2 && lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		n++
		var tick api.Tick
		if err := json.Unmarshal([]byte(data), &tick); err != nil || !tick.Trail.StoreUp || tick.Point.Lag != 2 {
			t.Fatalf("%s: %v", data, err)
		}
	}
	if err := c.Close(); err != nil { // ends the stream, so that the server can stop
		t.Fatal(err)
	}
	for lines.Scan() {
	}
}

// The places are counted, given back, and a listener that does not take its ticks holds up nobody.
func TestLiveHasLimits(t *testing.T) {
	c := newConsole(t, nil)
	var stops []func()
	var first chan []byte
	for range subscribersMax {
		ticks, stop, ok := c.live.listen()
		if !ok {
			t.Fatal("refused below the limit")
		}
		if first == nil {
			first = ticks
		}
		stops = append(stops, stop)
	}
	wantProblem(t, c.get(t, "/api/v1/live"), 503, "64")
	for i := range 10 {
		c.live.tell([]byte{byte(i)})
	}
	if tick := <-first; tick[0] == 0 {
		t.Errorf("an old tick: %v", tick)
	}
	stops[0]()
	if _, stop, ok := c.live.listen(); !ok {
		t.Error("a place that was given back is not free")
	} else {
		stop()
	}
}
