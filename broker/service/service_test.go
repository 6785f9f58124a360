package service

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/vfs"
)

var addr = netip.MustParseAddrPort("10.0.0.9:4321")

func open(t testing.TB, fs vfs.FS, dir string, change ...func(*Options)) *Service {
	t.Helper()
	o := Options{
		Cluster: "DefaultCluster", Broker: "broker-a", NodeID: "1", StoreHost: netip.MustParseAddrPort("10.0.0.1:10911"), FS: fs, Dir: dir,
		SegmentBytes: 1 << 20, Durable: true, AutoCreateTopic: true, AutoCreateGroup: true, Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&o)
	}
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func header(topic, tag string, queue int32) *SendHeader {
	props := message.AppendProperty(nil, message.PropTags, tag)
	props = message.AppendProperty(props, message.PropUniqKey, "ID"+tag)
	props = message.AppendProperty(props, message.PropKeys, "k1 k2")
	return &SendHeader{
		ProducerGroup: []byte("pg"), Topic: []byte(topic), DefaultTopic: []byte(DefaultTopic), DefaultTopicQueueNums: 4, QueueID: queue, Properties: props,
	}
}

func send(t testing.TB, s *Service, c *Client, h *SendHeader, body string) Result {
	t.Helper()
	p, ch := s.Parcel(c), make(chan Result, 1)
	p.Add(h, []byte(body), Token{Opaque: 7})
	p.Submit(func(p *Parcel) {
		r := p.Results[0]
		r.TransactionID = bytes.Clone(r.TransactionID)
		p.Release()
		ch <- r
	})
	return <-ch
}

func ok(t testing.TB, r Result) Result {
	t.Helper()
	if r.Code != CodeSuccess {
		t.Fatalf("code %d: %s", r.Code, r.Remark)
	}
	return r
}

func pullOnce(s *Service, req *PullRequest) *PullResult {
	ch := make(chan *PullResult, 1)
	s.Pull(req, func(r *PullResult) { ch <- r })
	return <-ch
}

func messages(t testing.TB, r *PullResult) (bodies []string) {
	t.Helper()
	for b := r.Body; len(b) > 0; {
		v, err := message.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(v.Body()))
		b = b[len(v):]
	}
	return bodies
}

func TestSendThenPull(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	for i := range 5 {
		r := ok(t, send(t, s, c, header("orders", []string{"a", "b"}[i%2], 1), fmt.Sprint("m", i)))
		if r.QueueID != 1 || r.QueueOffset != int64(i) || r.Token.Opaque != 7 || !strings.HasPrefix(string(r.TransactionID), "ID") {
			t.Fatalf("result %+v", r)
		}
		raw, err := s.ViewByPosition("orders", r.Position)
		if err != nil {
			t.Fatal(err)
		}
		v := message.View(raw)
		if string(v.Body()) != fmt.Sprint("m", i) || string(message.Property(v.Properties(), "CLUSTER")) != "DefaultCluster" || v.BornHost() != addr {
			t.Fatalf("viewed %q from %v with %q", v.Body(), v.BornHost(), v.Properties())
		}
	}
	if topic, _ := s.Topic("orders"); topic.WriteQueues != 4 || topic.Perm != 6 {
		t.Fatalf("auto-created as %+v", topic)
	}
	req := PullRequest{Client: c, Group: "g", Topic: "orders", QueueID: 1, Subscription: "*", MaxMessages: 3}
	r := pullOnce(s, &req)
	if got := messages(t, r); r.Code != CodeSuccess || len(got) != 3 || got[2] != "m2" || r.NextBegin != 3 || r.MaxOffset != 5 {
		t.Fatalf("pull: %+v %v", r, got)
	}
	r.Release()
	tagged := PullRequest{Client: c, Group: "g", Topic: "orders", QueueID: 1, Subscription: "a || zz"}
	if r := pullOnce(s, &tagged); r.Messages != 3 || r.NextBegin != 5 || messages(t, r)[2] != "m4" {
		t.Fatalf("tagged pull: %+v", r)
	}
	none := PullRequest{Client: c, Group: "g", Topic: "orders", QueueID: 1, Subscription: "zz"}
	if r := pullOnce(s, &none); r.Code != CodePullRetryImmediately || r.NextBegin != 5 {
		t.Fatalf("nothing matches: %+v", r)
	}
	for offset, want := range map[int64]int{5: CodePullNotFound, 6: CodePullOffsetMoved, -1: CodePullOffsetMoved} {
		if r := pullOnce(s, &PullRequest{Client: c, Group: "g", Topic: "orders", QueueID: 1, Offset: offset}); r.Code != want {
			t.Errorf("pull at %d: code %d, expected %d", offset, r.Code, want)
		}
	}
}

func TestLongPollIsWokenByAMatchingMessage(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	ok(t, send(t, s, c, header("orders", "x", 0), "first"))
	ch := make(chan *PullResult, 1)
	s.Pull(&PullRequest{Client: c, Group: "g", Topic: "orders", Offset: 1, Subscription: "a", SysFlag: PullSuspend, SuspendMillis: 60_000},
		func(r *PullResult) { ch <- r })
	ok(t, send(t, s, c, header("orders", "b", 0), "other"))
	select {
	case r := <-ch:
		t.Fatalf("woken by a message that does not match: %+v", r)
	default:
	}
	ok(t, send(t, s, c, header("orders", "a", 0), "wanted"))
	r := <-ch
	if got := messages(t, r); len(got) != 1 || got[0] != "wanted" || r.NextBegin != 3 {
		t.Fatalf("%+v %v", r, got)
	}
	if s.Held() != 0 {
		t.Fatalf("%d held", s.Held())
	}
}

func TestLongPollEndsInTime(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	ok(t, send(t, s, c, header("orders", "x", 0), "first"))
	r := pullOnce(s, &PullRequest{Client: c, Group: "g", Topic: "orders", Offset: 1, SysFlag: PullSuspend, SuspendMillis: 150})
	if r.Code != CodePullNotFound || r.WaitedMicros < 150_000 {
		t.Fatalf("%+v", r)
	}
}

func TestRefusals(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", func(o *Options) { o.MaxMessage = 1000 })
	defer s.Close()
	if err := s.PutTopic(context.Background(), catalog.Topic{Name: "ro", ReadQueues: 1, WriteQueues: 1, Perm: catalog.PermRead}); err != nil {
		t.Fatal(err)
	}
	c := NewClient(addr, "remoting")
	with := func(topic string, queue int32, props ...string) *SendHeader {
		h := header(topic, "t", queue)
		for i := 0; i < len(props); i += 2 {
			h.Properties = message.AppendProperty(h.Properties, props[i], props[i+1])
		}
		return h
	}
	noDefault := with("never", 0)
	noDefault.DefaultTopic = []byte("nope")
	for name, c2 := range map[string]struct {
		h    *SendHeader
		body string
		code int
		text string
	}{
		"path as topic":      {with("../../etc", 0), "x", CodeInvalidParameter, "illegal characters"},
		"zero byte in topic": {with("a\x00b", 0), "x", CodeInvalidParameter, "illegal characters"},
		"long topic":         {with(strings.Repeat("t", 256), 0), "x", CodeInvalidParameter, "256 bytes"},
		"blank topic":        {with("", 0), "x", CodeInvalidParameter, "blank"},
		"schedule topic":     {with("SCHEDULE_TOPIC_XXXX", 0), "x", CodeNoPermission, "forbidden"},
		"dead-letter topic":  {with("%DLQ%g", 0), "x", CodeNoPermission, "forbidden"},
		"TBW102":             {with("TBW102", 0), "x", CodeNoPermission, "forbidden"},
		"read only":          {with("ro", 0), "x", CodeNoPermission, "permission is 4"},
		"unknown topic":      {noDefault, "x", CodeTopicNotExist, "apply first"},
		"queue":              {with("orders", 99), "x", CodeInvalidParameter, "queueId[99]"},
		"body":               {with("orders", 0), strings.Repeat("x", 1001), CodeMessageIllegal, "limit 1000B, this one has 1001B"},
		"delay of 366 days":  {with("orders", 0, "TIMER_DELAY_SEC", "31622400"), "x", CodeMessageIllegal, "max delay 31536000000ms"},
		"delay of 2^63":      {with("orders", 0, "TIMER_DELAY_SEC", "9223372036854775807"), "x", CodeMessageIllegal, "max delay 31536000000ms"},
		"delay in words":     {with("orders", 0, "TIMER_DELIVER_MS", "soon"), "x", CodeMessageIllegal, "TIMER_DELIVER_MS [soon] is not a whole number"},
		"delay level -1":     {with("orders", 0, "DELAY", "-1"), "x", CodeMessageIllegal, "delay level [-1]; from 1 to 18 are possible"},
		"delay level text":   {with("orders", 0, "DELAY", "x\n"), "x", CodeMessageIllegal, "delay level"},
		"cancel of the past": {with("orders", 0, "TIMER_DEL_UNIQKEY", "orders+x", "TIMER_DELIVER_MS", "1"), "x", CodeMessageIllegal, "bigger than the current time"},
		"cancel of nothing":  {with("orders", 0, "TIMER_DEL_UNIQKEY", "orders+x", "TIMER_DELAY_SEC", "60"), "x", CodeIllegalOperation, "no message x of topic [orders] is scheduled"},
		"properties":         {with("orders", 0, "p", strings.Repeat("x", 32767)), "x", CodeMessageIllegal, "properties length limit"},
	} {
		if r := send(t, s, c, c2.h, c2.body); r.Code != c2.code || !strings.Contains(r.Remark, c2.text) {
			t.Errorf("%s: code %d %q", name, r.Code, r.Remark)
		}
	}
}

func batchBody(bodies ...string) []byte {
	var out []byte
	for _, b := range bodies {
		props := message.AppendProperty(nil, message.PropUniqKey, "U"+b)
		m := make([]byte, 20, 22+len(b)+len(props))
		binary.BigEndian.PutUint32(m, uint32(22+len(b)+len(props)))
		binary.BigEndian.PutUint32(m[16:], uint32(len(b)))
		m = append(m, b...)
		m = binary.BigEndian.AppendUint16(m, uint16(len(props)))
		out = append(out, append(m, props...)...)
	}
	return out
}

func TestBatch(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c, h := NewClient(addr, "remoting"), header("orders", "x", 2)
	h.Batch = true
	r := ok(t, send(t, s, c, h, string(batchBody("a", "bb", "ccc"))))
	if len(r.Positions) != 3 || r.QueueOffset != 0 || r.QueueID != 2 {
		t.Fatalf("%+v", r)
	}
	good := batchBody("a", "bb")
	for _, cut := range []int{0, 1, 21, len(good) - 1} {
		if r := send(t, s, c, h, string(good[:cut])); r.Code != CodeMessageIllegal {
			t.Errorf("batch cut at %d: %+v", cut, r)
		}
	}
	for _, size := range []uint32{0, 0xffffffff, 1 << 30} {
		bad := bytes.Clone(good)
		binary.BigEndian.PutUint32(bad, size)
		if r := send(t, s, c, h, string(bad)); r.Code != CodeMessageIllegal {
			t.Errorf("inner size %d: %+v", size, r)
		}
	}
	if end, _ := s.MaxOffset("orders", 2); end != 3 {
		t.Fatalf("%d messages stored; a refused batch stores nothing", end)
	}
}

func TestOffsets(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs, "log")
	c := NewClient(addr, "remoting")
	ok(t, send(t, s, c, header("orders", "x", 0), "first"))
	if at, err := s.QueryOffset("g", "orders", 0, true); err != nil || at != 0 {
		t.Fatalf("young queue with data: %d %v", at, err)
	}
	if at, err := s.QueryOffset("g", "orders", 1, true); err != nil || at != 0 {
		t.Fatalf("an empty queue begins at %d, %v: what comes before the consumer asks for its end would be skipped", at, err)
	}
	if _, err := s.QueryOffset("g", "orders", 1, false); err == nil || err.Code != CodeQueryNotFound {
		t.Fatalf("queue without data: %v", err)
	}
	for _, bad := range []int64{-1, 2} {
		ch := make(chan *Error, 1)
		s.CommitOffset(entry.Offset{Group: "g", Topic: "orders", Offset: bad}, func(e *Error) { ch <- e })
		if err := <-ch; err == nil || err.Code != CodeInvalidParameter {
			t.Errorf("commit of %d: %v", bad, err)
		}
	}
	s.CommitOffset(entry.Offset{Group: "g", Topic: "orders", Offset: 1}, nil)
	if at, err := s.QueryOffset("g", "orders", 0, true); err != nil || at != 1 {
		t.Fatalf("one-way commit is not seen: %d %v", at, err)
	}
	ch := make(chan *Error, 1)
	s.CommitOffset(entry.Offset{Group: "g2", Topic: "orders", Offset: 1}, func(e *Error) { ch <- e })
	if err := <-ch; err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, fs, "log")
	defer s.Close()
	if at, err := s.QueryOffset("g2", "orders", 0, true); err != nil || at != 1 {
		t.Fatalf("after a restart: %d %v", at, err)
	}
}

func TestQueryByKey(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	ok(t, send(t, s, c, header("orders", "x", 0), "one"))
	ok(t, send(t, s, c, header("orders", "y", 0), "two"))
	body, _, _, err := s.Query(context.Background(), QueryRequest{Topic: "orders", Key: "k2", MaxMessages: 10})
	if got := messages(t, &PullResult{Body: body}); err != nil || len(got) != 2 {
		t.Fatalf("%v %v", got, err)
	}
	body, _, _, err = s.Query(context.Background(), QueryRequest{Topic: "orders", Key: "IDy", Unique: true})
	if got := messages(t, &PullResult{Body: body}); err != nil || len(got) != 1 || got[0] != "two" {
		t.Fatalf("%v %v", got, err)
	}
	if _, _, _, err = s.Query(context.Background(), QueryRequest{Topic: "orders", Key: "k1", Unique: true}); err == nil || err.Code != CodeQueryNotFound {
		t.Fatalf("a KEYS value as unique key: %v", err)
	}
	if _, err := s.ViewByPosition("", 12345); err == nil {
		t.Fatal("a position inside a message was viewed")
	}
}

func TestOffsetByTime(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	for range 3 {
		ok(t, send(t, s, c, header("orders", "x", 0), "m"))
		for now := time.Now().UnixMilli(); time.Now().UnixMilli() < now+3; {
		}
	}
	rows, err := s.shard.Index().Topic("orders", 0).Queue(0).Rows(nil, 0, 3)
	if err != nil || len(rows) != 3 {
		t.Fatal(rows, err)
	}
	for _, c := range []struct {
		millis   int64
		boundary string
		want     int64
	}{{0, "LOWER", 0}, {rows[1].Millis, "LOWER", 1}, {rows[1].Millis, "UPPER", 1}, {rows[1].Millis + 1, "UPPER", 1}, {1 << 60, "LOWER", 2}, {0, "UPPER", 0}} {
		if at, err := s.OffsetByTime("orders", 0, c.millis, c.boundary); err != nil || at != c.want {
			t.Errorf("%d %s: %d %v, expected %d", c.millis, c.boundary, at, err, c.want)
		}
	}
}

func TestSendAndPullAllocations(t *testing.T) {
	s := open(t, vfs.OS{}, t.TempDir(), func(o *Options) { o.Durable = false; o.SegmentBytes = 64 << 20 })
	defer s.Close()
	c, h, body := NewClient(addr, "remoting"), header("orders", "x", 0), make([]byte, 1000)
	ok(t, send(t, s, c, h, "first"))
	ch := make(chan struct{}, 1)
	parcel := func(n int) float64 {
		one := func() {
			p := s.Parcel(c)
			for range n {
				p.Add(h, body, Token{})
			}
			p.Submit(func(p *Parcel) { p.Release(); ch <- struct{}{} })
			<-ch
		}
		for range 50 {
			one()
		}
		return testing.AllocsPerRun(200, one)
	}
	few, many := parcel(50), parcel(250)
	t.Logf("%.0f allocations for a parcel of 50 messages, %.0f for 250", few, many)
	if many-few > 10 { // raft's, per entry, are in both; growing index chunks are a few
		t.Errorf("200 messages more cost %.0f allocations", many-few)
	}
	req := &PullRequest{Client: c, Group: "g", Topic: "orders", MaxMessages: 32}
	pull := func() { s.Pull(req, func(r *PullResult) { r.Release() }) }
	pull()
	if a := testing.AllocsPerRun(200, pull); a > 16 { // of a pull, not of a message; a collection empties the pool of bodies
		t.Errorf("%.0f allocations for a pull of 32 messages", a)
	} else {
		t.Logf("%.0f allocations for a pull of 32 messages", a)
	}
}

func BenchmarkSend(b *testing.B) {
	s := open(b, vfs.OS{}, b.TempDir(), func(o *Options) { o.Durable = false; o.SegmentBytes = 0 })
	defer s.Close()
	c, h, body := NewClient(addr, "remoting"), header("orders", "x", 0), make([]byte, 1024)
	ok(b, send(b, s, c, h, "first"))
	const n = 64
	ch := make(chan struct{}, 1)
	b.SetBytes(1024 * n)
	b.ReportAllocs()
	for b.Loop() {
		p := s.Parcel(c)
		for range n {
			p.Add(h, body, Token{})
		}
		p.Submit(func(p *Parcel) { p.Release(); ch <- struct{}{} })
		<-ch
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/msg")
}

// TestWhatIsFilteredOutIsNoted: a pull that goes over messages without giving one says so, because it is why a group did not get them.
func TestWhatIsFilteredOutIsNoted(t *testing.T) {
	var got []Delivery
	s := open(t, vfs.NewMem(), "log", func(o *Options) { o.Delivered = func(d *Delivery) { got = append(got, *d) } })
	defer s.Close()
	c := NewClient(addr, "remoting")
	for range 3 {
		ok(t, send(t, s, c, header("orders", "b", 0), "x"))
	}
	pullOnce(s, &PullRequest{Client: c, Group: "g", Topic: "orders", Subscription: "a"})
	if len(got) != 1 || got[0].Messages != 0 || got[0].Filtered != 3 || got[0].From != 0 || got[0].To != 3 {
		t.Fatalf("noted %+v", got)
	}
}

// TestLongPollsOfOneConnectionAreBounded: what is over the limit is answered at once instead of being held.
func TestLongPollsOfOneConnectionAreBounded(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	ok(t, send(t, s, c, header("orders", "x", 0), "first"))
	over := make(chan *PullResult, 10)
	for i := range pollsPerClient + 3 {
		done := func(*PullResult) {}
		if i >= pollsPerClient {
			done = func(r *PullResult) { over <- r }
		}
		s.Pull(&PullRequest{Client: c, Group: "g", Topic: "orders", Offset: 1, SysFlag: PullSuspend, SuspendMillis: 60_000}, done)
	}
	for range 3 {
		if r := <-over; r.Code != CodePullNotFound {
			t.Fatalf("%+v", r)
		}
	}
	if n := s.Held(); n != pollsPerClient {
		t.Fatalf("%d held", n)
	}
}
