package service

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/vfs"
)

// numbered is a message with a property n.
func numbered(topic, tag string, n int) *SendHeader {
	h := header(topic, tag, 0)
	h.Properties = message.AppendProperty(h.Properties, "n", strconv.Itoa(n))
	return h
}

func sqlPull(c *Client, expression string, offset int64) *PullRequest {
	return &PullRequest{Client: c, Group: "g", Topic: "orders", Offset: offset, Subscription: expression, ExpressionType: ExpressionSQL, SysFlag: PullSubscription}
}

// A pull with SQL92 gets what matches, in its order, and is told to go on behind what does not.
func TestSQLFilter(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	for i := range 100 {
		ok(t, send(t, s, c, numbered("orders", []string{"a", "b"}[i%2], i), fmt.Sprint("m", i)))
	}
	for expression, want := range map[string][]string{
		"n > 96":                              {"m97", "m98", "m99"},
		"n BETWEEN 3 AND 5 OR n = '7'":        {"m3", "m4", "m5", "m7"},
		"TAGS = 'a' AND n < 4":                {"m0", "m2"},
		"absent IS NULL AND n IN ('1', '98')": {"m1", "m98"},
	} {
		var got []string
		for at := int64(0); at < 100; {
			r := pullOnce(s, sqlPull(c, expression, at))
			if r.Code != CodeSuccess && r.Code != CodePullRetryImmediately || r.NextBegin <= at {
				t.Fatalf("%s at %d: code %d %s, next %d", expression, at, r.Code, r.Remark, r.NextBegin)
			}
			got = append(got, messages(t, r)...)
			at = r.NextBegin
			r.Release()
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s gives %v, expected %v", expression, got, want)
		}
	}
	if r := pullOnce(s, sqlPull(c, "absent = 1", 0)); r.Code != CodePullRetryImmediately || r.NextBegin != 100 {
		t.Errorf("nothing matches: code %d, next %d", r.Code, r.NextBegin)
	}
}

// TestWrongExpressions: the text says where the expression is wrong, and what limit it exceeds.
func TestWrongExpressions(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	ok(t, send(t, s, c, header("orders", "a", 0), "x"))
	for expression, want := range map[string]string{
		"a >":                        "line 1, column 4",
		"a = 1 AND\n  b LIKE 'x'":    "line 2, column 5",
		"":                           "line 1, column 1",
		strings.Repeat("x", 1<<20):   "1048576 bytes, the limit is 65536",
		strings.Repeat("(", 10_000):  "256 deep",
		"a = 'x' " + "OR b = 1 2 3;": "line 1, column 18",
	} {
		r := pullOnce(s, sqlPull(c, expression, 0))
		if r.Code != CodeSubscriptionParseFailed || !strings.HasPrefix(r.Remark, parseFailed) || !strings.Contains(r.Remark, want) {
			t.Errorf("%.40q: code %d %.200s, expected %s", expression, r.Code, r.Remark, want)
		}
		if err := s.CheckSubscription(ExpressionSQL, expression); err == nil || err.Text != r.Remark {
			t.Errorf("%.40q: the check says %v", expression, err)
		}
	}
	if err := s.CheckSubscription("XPATH", "a"); err == nil || err.Code != CodeSystemError || !strings.Contains(err.Text, "XPATH") {
		t.Errorf("another type of expression: %v", err)
	}
}

// Compiled expressions are kept up to a limit, whatever clients ask for.
func TestCompiledExpressionsAreBounded(t *testing.T) {
	var c sqlFilters
	pad := strings.Repeat("x", 10_000)
	for i := range 1000 {
		if _, err := c.of(fmt.Sprintf("a = '%s%d'", pad, i)); err != nil {
			t.Fatal(err)
		}
		if c.bytes > sqlKeep || len(c.by) > sqlKeep/len(pad) {
			t.Fatalf("%d expressions of %d bytes are kept", len(c.by), c.bytes)
		}
	}
	first, _ := c.of("b = 1")
	if again, _ := c.of("b = 1"); again != first {
		t.Fatal("it is compiled again")
	}
}

// A message that does not match wakes nobody, and the next pull does not look at it again.
func TestHeldPullWithSQLIsWokenByAMatchingMessage(t *testing.T) {
	var noted []Delivery
	s := open(t, vfs.NewMem(), "log", func(o *Options) { o.Delivered = func(d *Delivery) { noted = append(noted, *d) } })
	defer s.Close()
	c := NewClient(addr, "remoting")
	ok(t, send(t, s, c, numbered("orders", "a", 0), "m0"))
	req, ch := sqlPull(c, "n >= 3", 1), make(chan *PullResult, 1)
	req.SysFlag |= PullSuspend
	req.SuspendMillis = 60_000
	s.Pull(req, func(r *PullResult) { ch <- r })
	for i := 1; i < 4; i++ {
		select {
		case r := <-ch:
			t.Fatalf("woken by a message that does not match: %+v", r)
		default:
		}
		ok(t, send(t, s, c, numbered("orders", "a", i), fmt.Sprint("m", i)))
	}
	r := <-ch
	if got := messages(t, r); !slices.Equal(got, []string{"m3"}) || r.NextBegin != 4 || s.Held() != 0 {
		t.Fatalf("%v, next %d", got, r.NextBegin)
	}
	if d := noted[0]; len(noted) != 1 || d.From != 1 || d.To != 4 || d.Messages != 1 || d.Filtered != 2 || !slices.Equal(d.Skipped, []int64{1, 2}) {
		t.Fatalf("noted %+v", noted)
	}
}

// A pull looks at so many bytes and no more; its client is told to go on, also when it could be held.
func TestPullWithSQLLooksAtABoundedPart(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", func(o *Options) { o.SegmentBytes = 64 << 20 })
	defer s.Close()
	c, body := NewClient(addr, "remoting"), strings.Repeat("x", 100<<10)
	const sent = 3 * evaluateScan / (100 << 10)
	for i := range sent {
		ok(t, send(t, s, c, numbered("orders", "a", i), body))
	}
	at, pulls := int64(0), int64(0)
	for ; at < sent; pulls++ {
		req := sqlPull(c, "n < 0", at)
		req.SysFlag |= PullSuspend
		req.SuspendMillis = 10
		r := pullOnce(s, req)
		if r.Code != CodePullRetryImmediately || r.NextBegin <= at || (r.NextBegin-at)*(100<<10) > evaluateScan+evaluateRun {
			t.Fatalf("at %d: code %d, next %d", at, r.Code, r.NextBegin)
		}
		at = r.NextBegin
	}
	if pulls < 3 || pulls > 5 {
		t.Fatalf("%d pulls for %d messages", pulls, sent)
	}
}

// TestSQLPullsGiveWhatMatches: whatever lies between, and however small an answer is, all that matches is given once and in order.
func TestSQLPullsGiveWhatMatches(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c, round := NewClient(addr, "remoting"), 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		topic := fmt.Sprint("orders", round)
		var want []string
		n := rapid.IntRange(1, 150).Draw(t, "messages")
		p := s.Parcel(c)
		for i := range n {
			v := rapid.IntRange(0, 3).Draw(t, "n")
			body := fmt.Sprintf("%d %s", i, strings.Repeat("x", rapid.SampledFrom([]int{0, 10, 3000, 20_000}).Draw(t, "size")))
			if v == 2 {
				want = append(want, body)
			}
			p.Add(numbered(topic, "a", v), []byte(body), Token{})
			p.Add(numbered("other", "a", v), nil, Token{}) // so that messages do not lie side by side
		}
		done := make(chan struct{})
		p.Submit(func(p *Parcel) { p.Release(); close(done) })
		<-done
		var got []string
		for at := int64(0); at < int64(n); {
			req := sqlPull(c, "n = 2", at)
			req.Topic = topic
			req.MaxMessages = rapid.Int32Range(1, 40).Draw(t, "max messages")
			req.MaxBytes = rapid.SampledFrom([]int32{1, 5000, 40_000, 0}).Draw(t, "max bytes")
			r := pullOnce(s, req)
			for _, v := range stored(r.Body) {
				got = append(got, string(v.Body()))
			}
			if r.NextBegin <= at || r.Messages > int(req.MaxMessages) || r.Messages > 1 && req.MaxBytes > 0 && len(r.Body) > int(req.MaxBytes) {
				t.Fatalf("at %d: %d messages of %d bytes, next %d, for %+v", at, r.Messages, len(r.Body), r.NextBegin, req)
			}
			at = r.NextBegin
			r.Release()
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %d messages, expected %d", len(got), len(want))
		}
	})
}

func stored(body []byte) (out []message.View) {
	for len(body) > 0 {
		v, err := message.Parse(body)
		if err != nil {
			return nil
		}
		out, body = append(out, v), body[len(v):]
	}
	return out
}

// filterKinds are pulls that give all of a topic's messages.
var filterKinds = []struct{ name, kind, expression string }{
	{"none", "", "*"}, {"tag", ExpressionTag, "x || y"}, {"sql", ExpressionSQL, "n BETWEEN 0 AND 1000000 AND TAGS IN ('x', 'y')"},
}

func thousand(t testing.TB) (*Service, *Client) {
	s := open(t, vfs.OS{}, t.TempDir(), func(o *Options) { o.Durable = false; o.SegmentBytes = 64 << 20 })
	c := NewClient(addr, "remoting")
	ok(t, send(t, s, c, numbered("orders", "x", 0), strings.Repeat("b", 1024)))
	p := s.Parcel(c)
	for i := 1; i < 1000; i++ {
		p.Add(numbered("orders", "x", i), make([]byte, 1024), Token{})
	}
	done := make(chan struct{})
	p.Submit(func(p *Parcel) { p.Release(); close(done) })
	<-done
	return s, c
}

// What a pull allocates is not more for more messages, whatever its filter is.
func TestFilteredPullAllocations(t *testing.T) {
	s, c := thousand(t)
	defer s.Close()
	for _, k := range filterKinds {
		allocations := func(messages int32) float64 {
			req := &PullRequest{Client: c, Group: "g", Topic: "orders", MaxMessages: messages, Subscription: k.expression, ExpressionType: k.kind}
			pull := func() {
				s.Pull(req, func(r *PullResult) {
					if r.Messages != int(messages) {
						t.Fatalf("%s: %d messages, code %d %s", k.name, r.Messages, r.Code, r.Remark)
					}
					r.Release()
				})
			}
			pull()
			return testing.AllocsPerRun(200, pull)
		}
		few, many := allocations(16), allocations(64)
		t.Logf("%s: %.0f allocations for a pull of 16 messages, %.0f for 64", k.name, few, many)
		if many > few+4 { // a collection empties the pools
			t.Errorf("%s: 48 messages more cost %.0f allocations", k.name, many-few)
		}
	}
}

func BenchmarkPull(b *testing.B) {
	s, c := thousand(b)
	defer s.Close()
	for _, k := range filterKinds {
		b.Run(k.name, func(b *testing.B) {
			req := &PullRequest{Client: c, Group: "g", Topic: "orders", MaxMessages: 32, Subscription: k.expression, ExpressionType: k.kind}
			b.ReportAllocs()
			for b.Loop() {
				s.Pull(req, func(r *PullResult) { r.Release() })
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*32), "ns/msg")
		})
	}
}
