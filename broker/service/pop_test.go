package service

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/vfs"
)

const hour = 3_600_000

func popping(c *Client, n int32, change ...func(*PopRequest)) *PopRequest {
	r := &PopRequest{Client: c, Group: "g", Topic: "orders", QueueID: -1, MaxMessages: n, InvisibleMillis: hour, ExpressionType: ExpressionTag, Expression: "*"}
	for _, f := range change {
		f(r)
	}
	return r
}

func invisible(millis int64) func(*PopRequest) {
	return func(r *PopRequest) { r.InvisibleMillis = millis }
}

func waiting(millis int64) func(*PopRequest) { return func(r *PopRequest) { r.PollMillis = millis } }

func inOrder(attempt string) func(*PopRequest) {
	return func(r *PopRequest) { r.Order, r.Attempt = true, attempt }
}

// gotten is one message with the handle that its client makes of an answer.
type gotten struct {
	v      message.View
	topic  string // in which it stands
	handle string
}

func (g gotten) body() string { return string(g.v.Body()) }

func (g gotten) ack(c *Client) *AckRequest {
	return &AckRequest{Client: c, Group: "g", Topic: g.topic, QueueID: g.v.QueueID(), Offset: g.v.QueueOffset(), Handle: g.handle}
}

// handles does what Java's client does (MQClientAPIImpl.processPopResponse).
func handles(t testing.TB, r *PopResult) (out []gotten) {
	t.Helper()
	starts := map[string]string{}
	for one := range strings.SplitSeq(r.StartOffsets, ";") {
		if parts := strings.Fields(one); len(parts) == 3 {
			starts[parts[0]+"@"+parts[1]] = parts[2]
		}
	}
	for _, v := range stored(slices.Clone(r.Body)) {
		g := gotten{v: v, topic: "orders", handle: prop(v, message.PropPopCheckpoint)}
		if g.handle == "" {
			start, err := strconv.ParseInt(starts[fmt.Sprint("0@", v.QueueID())], 10, 64)
			if err != nil {
				t.Fatalf("no start of queue %d in %q", v.QueueID(), r.StartOffsets)
			}
			g.handle = Handle{start, r.PopMillis, r.InvisibleMillis, r.ReviveQueue, popNormal, "broker-a", v.QueueID(), v.QueueOffset()}.String()
		} else {
			g.topic = "%RETRY%g_orders"
		}
		out = append(out, g)
	}
	if len(out) != r.Messages {
		t.Fatalf("%d messages, the answer says %d", len(out), r.Messages)
	}
	return out
}

func popOnce(s *Service, r *PopRequest) *PopResult {
	ch := make(chan *PopResult, 1)
	s.Pop(r, func(r *PopResult) { ch <- r })
	return <-ch
}

// pop pops something.
func popSome(t testing.TB, s *Service, r *PopRequest) []gotten {
	t.Helper()
	a := popOnce(s, r)
	if a.Code != CodeSuccess {
		t.Fatalf("code %d %s", a.Code, a.Remark)
	}
	defer a.Release()
	return handles(t, a)
}

func ackOne(s *Service, r *AckRequest) *Error {
	ch := make(chan *Error, 1)
	s.Ack(r, func(err *Error) { ch <- err })
	return <-ch
}

func ackAll(t testing.TB, s *Service, c *Client, got []gotten) {
	t.Helper()
	ch := make(chan *Error, len(got))
	for _, g := range got {
		s.Ack(g.ack(c), func(err *Error) { ch <- err })
	}
	for range got {
		if err := <-ch; err != nil {
			t.Fatal(err)
		}
	}
}

func changeOne(s *Service, r *ChangeRequest) (Changed, *Error) {
	type both struct {
		c   Changed
		err *Error
	}
	ch := make(chan both, 1)
	s.ChangeInvisible(r, func(c Changed, err *Error) { ch <- both{c, err} })
	b := <-ch
	return b.c, b.err
}

// orders sends n messages to queue 0.
func orders(t testing.TB, s *Service, c *Client, n int) {
	t.Helper()
	for i := range n {
		ok(t, send(t, s, c, asking("orders", fmt.Sprint("t", i%2), "n", strconv.Itoa(i)), fmt.Sprint("m", i)))
	}
}

func bodiesOf(got []gotten) (out []string) {
	for _, g := range got {
		out = append(out, g.body())
	}
	return out
}

func committedAt(s *Service, topic string, queue int32) int64 {
	c, _ := s.Shard().Offsets().Get(offset.Key{Group: "g", Topic: topic, QueueID: queue})
	return c.Offset
}

// Popped messages are hidden until they are acknowledged; the group's offset follows what is acknowledged.
func TestPopThenAck(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	orders(t, s, c, 5)
	first := popSome(t, s, popping(c, 3))
	if got := bodiesOf(first); !slices.Equal(got, []string{"m0", "m1", "m2"}) {
		t.Fatalf("popped %v", got)
	}
	if got := bodiesOf(popSome(t, s, popping(c, 32))); !slices.Equal(got, []string{"m3", "m4"}) {
		t.Fatalf("popped next %v", got)
	}
	if r := popOnce(s, popping(c, 32)); r.Code != CodePollingTimeout || r.Messages != 0 {
		t.Fatalf("with everything in flight: %+v", r)
	}
	ackAll(t, s, c, first[1:])
	if at := committedAt(s, "orders", 0); at != 0 {
		t.Errorf("offset %d while the first is in flight", at)
	}
	ackAll(t, s, c, first[:1])
	if at := committedAt(s, "orders", 0); at != 3 {
		t.Errorf("offset %d, expected 3", at)
	}
	if err := ackOne(s, first[0].ack(c)); err != nil { // the same again
		t.Errorf("acknowledged twice: %v", err)
	}
	before := s.Shard().Applied()
	for range 10 {
		popOnce(s, popping(c, 32))
	}
	if now := s.Shard().Applied(); now != before {
		t.Errorf("empty pops took %d entries", now-before)
	}
}

// What does not match is passed over once, and noted.
func TestPopWithFilters(t *testing.T) {
	var noted []Delivery
	s := open(t, vfs.NewMem(), "log", func(o *Options) { o.Delivered = func(d *Delivery) { noted = append(noted, *d) } })
	defer s.Close()
	c := NewClient(addr, "remoting")
	orders(t, s, c, 6)
	got := popSome(t, s, popping(c, 2, func(r *PopRequest) { r.Expression = "t1" }))
	if b := bodiesOf(got); !slices.Equal(b, []string{"m1", "m3"}) {
		t.Fatalf("by tag %v", b)
	}
	if d := noted[0]; d.From != 0 || d.To != 4 || d.Messages != 2 || d.Filtered != 2 || !slices.Equal(d.Skipped, []int64{0, 2}) {
		t.Errorf("noted %+v", d)
	}
	ackAll(t, s, c, got)
	if at := committedAt(s, "orders", 0); at != 4 {
		t.Errorf("offset %d: what does not match counts as consumed", at)
	}
	sql := func(r *PopRequest) { r.ExpressionType, r.Expression = ExpressionSQL, "n = '5'" }
	if b := bodiesOf(popSome(t, s, popping(c, 2, sql))); !slices.Equal(b, []string{"m5"}) {
		t.Fatalf("by SQL %v", b)
	}
	ok(t, send(t, s, c, asking("orders", "t0", "n", "6"), "m6"))
	if r := popOnce(s, popping(c, 1, sql)); r.Code != CodePollingTimeout {
		t.Fatalf("nothing matches: %+v", r)
	}
	if st, _ := s.Shard().Deliveries().Get(delivery.Key{Group: "g", Topic: "orders"}); st.Next != 7 {
		t.Errorf("%+v: what does not match is not looked at again", st)
	}
	if r := popOnce(s, popping(c, 1, func(r *PopRequest) { r.ExpressionType, r.Expression = ExpressionSQL, "n >" })); r.Code != CodeSubscriptionParseFailed {
		t.Errorf("a broken expression: %+v", r)
	}
}

// What is not acknowledged in time comes back from the retry topic with a handle of its own, and at last is a dead letter.
func TestWhatIsNotAcknowledgedIsRetriedAndDies(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c, ctx := NewClient(addr, "remoting"), context.Background()
	g, err := s.EnsureGroup(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	g.RetryMaxTimes = 2
	if err := s.PutGroup(ctx, g); err != nil {
		t.Fatal(err)
	}
	if err := s.PutTopic(ctx, catalog.NewTopic("%DLQ%g", 1)); err != nil { // so that it can be waited for
		t.Fatal(err)
	}
	orders(t, s, c, 2)
	first := popSome(t, s, popping(c, 32, invisible(50)))
	ackAll(t, s, c, first[1:])
	origin := string(message.AppendOffsetID(nil, first[0].v.StoreHost(), first[0].v.Position()))
	for times := int32(1); times <= 2; times++ {
		got := popSome(t, s, popping(c, 32, invisible(50), waiting(20_000)))
		v := got[0].v
		if len(got) != 1 || got[0].body() != "m0" || v.ReconsumeTimes() != times || string(v.Topic()) != "orders" || got[0].topic != "%RETRY%g_orders" ||
			prop(v, "UNIQ_KEY") != "IDt0" || prop(v, "n") != "0" || prop(v, "1ST_POP_TIME") == "" || prop(v, "ORIGIN_GROUP") != "g" || prop(v, "ORIGIN_MESSAGE_ID") != origin {
			t.Fatalf("retry %d: %v times %d %q", times, bodiesOf(got), v.ReconsumeTimes(), v.Properties())
		}
		if err := ackOne(s, first[0].ack(c)); err != nil {
			t.Errorf("a late ack: %v", err)
		}
	}
	dead := next(t, s, c, "%DLQ%g", 0)
	if string(dead.Body()) != "m0" || dead.ReconsumeTimes() != 3 || prop(dead, "RETRY_TOPIC") != "orders" || prop(dead, "ORIGIN_MESSAGE_ID") != origin {
		t.Errorf("dead letter %q", dead.Properties())
	}
	if n := s.Shard().Deliveries().Counts(); n.Retried != 2 || n.DeadLettered != 1 || n.InFlight != 0 || n.Acked != 1 {
		t.Errorf("counts %+v", n)
	}
	if at := committedAt(s, "orders", 0); at != 2 {
		t.Errorf("offset %d", at)
	}
}

// A retried message is acknowledged by its own handle.
func TestRetriedMessagesAreAcknowledged(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	orders(t, s, c, 1)
	popSome(t, s, popping(c, 1, invisible(20)))
	ackAll(t, s, c, popSome(t, s, popping(c, 1, waiting(20_000))))
	if n := s.Shard().Deliveries().Counts(); n.InFlight != 0 || n.Acked != 1 || n.Retried != 1 {
		t.Errorf("counts %+v", n)
	}
	if at := committedAt(s, "%RETRY%g_orders", 0); at != 1 {
		t.Errorf("offset of the retry topic %d", at)
	}
}

// A message whose time was changed has another handle; the old one has no effect.
func TestChangeOfInvisibleTime(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	orders(t, s, c, 2)
	got := popSome(t, s, popping(c, 2))
	r := &ChangeRequest{*got[0].ack(c), 2 * hour}
	n, err := changeOne(s, r)
	if err != nil || n.PopMillis <= mustHandle(t, got[0].handle).PopMillis || n.InvisibleMillis != 2*hour {
		t.Fatalf("changed to %+v: %v", n, err)
	}
	if _, err := changeOne(s, r); err == nil || err.Code != CodeNoMessage {
		t.Errorf("changed by the old handle: %v", err)
	}
	if err := ackOne(s, got[0].ack(c)); err != nil {
		t.Errorf("the old handle: %v", err)
	}
	if n := s.Shard().Deliveries().Counts(); n.InFlight != 2 || n.Changed != 1 {
		t.Fatalf("counts %+v", n)
	}
	h := mustHandle(t, got[0].handle)
	h.Start, h.PopMillis, h.InvisibleMillis = h.Offset, n.PopMillis, n.InvisibleMillis
	got[0].handle = h.String()
	ackAll(t, s, c, got)
	if n := s.Shard().Deliveries().Counts(); n.InFlight != 0 || n.Acked != 2 {
		t.Errorf("counts %+v", n)
	}
	if _, err := changeOne(s, &ChangeRequest{*got[0].ack(c), delivery.InvisibleMaxMillis + 1}); err == nil || err.Code != CodeInvalidParameter {
		t.Errorf("a year and more: %v", err)
	}
}

func mustHandle(t testing.TB, text string) Handle {
	t.Helper()
	h, err := ParseHandle(text)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Handles that nobody was given are refused, and nothing moves.
func TestInventedHandles(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	orders(t, s, c, 4)
	got := popSome(t, s, popping(c, 2))
	good := mustHandle(t, got[0].handle)
	with := func(change func(*Handle)) string {
		h := good
		change(&h)
		return h.String()
	}
	for name, w := range map[string]struct {
		change func(*AckRequest)
		code   int
	}{
		"no handle":              {func(r *AckRequest) { r.Handle = "" }, CodeMessageIllegal},
		"words":                  {func(r *AckRequest) { r.Handle = "a b c d 0 broker-a 0 0" }, CodeMessageIllegal},
		"another start":          {func(r *AckRequest) { r.Handle = with(func(h *Handle) { h.Start = 0; h.PopMillis++ }) }, CodeMessageIllegal},
		"an offset never popped": {func(r *AckRequest) { r.Offset = 3; r.Handle = with(func(h *Handle) { h.Offset = 3 }) }, CodeNoMessage},
		"behind the queue":       {func(r *AckRequest) { r.Offset = 99; r.Handle = with(func(h *Handle) { h.Offset = 99 }) }, CodeNoMessage},
		"another offset":         {func(r *AckRequest) { r.Offset = 1 }, CodeMessageIllegal},
		"another queue":          {func(r *AckRequest) { r.QueueID = 99 }, CodeMessageIllegal},
		"another group":          {func(r *AckRequest) { r.Group = "h" }, CodeNoMessage},
		"another topic":          {func(r *AckRequest) { r.Topic = "none" }, CodeTopicNotExist},
	} {
		r := got[0].ack(c)
		w.change(r)
		if err := ackOne(s, r); err == nil || err.Code != w.code {
			t.Errorf("%s: %v, expected code %d", name, err, w.code)
		}
		if _, err := changeOne(s, &ChangeRequest{*r, 1000}); err == nil || err.Code != w.code {
			t.Errorf("change of %s: %v, expected code %d", name, err, w.code)
		}
	}
	if n := s.Shard().Deliveries().Counts(); n.InFlight != 2 || n.Acked != 0 || committedAt(s, "orders", 0) != 0 {
		t.Errorf("counts %+v", n)
	}
}

// An ordered batch blocks its queue until all of it is acknowledged or its time is over; then it comes again with its counts.
func TestOrderedPop(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	orders(t, s, c, 5)
	a := popOnce(s, popping(c, 2, inOrder("a"), invisible(60)))
	got := handles(t, a)
	if a.ReviveQueue != reviveOrdered || !slices.Equal(bodiesOf(got), []string{"m0", "m1"}) || a.OrderCounts != "0 0 0" {
		t.Fatalf("%v %+v", bodiesOf(got), a)
	}
	if r := popOnce(s, popping(c, 2, inOrder("b"))); r.Code != CodePollingTimeout {
		t.Fatalf("another client got %d messages of a blocked queue", r.Messages)
	}
	a = popOnce(s, popping(c, 2, inOrder("a"), invisible(60)))
	if got = handles(t, a); !slices.Equal(bodiesOf(got), []string{"m0", "m1"}) || a.OrderCounts != "0 0 0" {
		t.Fatalf("the same attempt again: %v %s", bodiesOf(got), a.OrderCounts)
	}
	if err := ackOne(s, got[0].ack(c)); err != nil {
		t.Fatal(err)
	}
	a = popOnce(s, popping(c, 2, inOrder("b"), waiting(20_000)))
	if got = handles(t, a); !slices.Equal(bodiesOf(got), []string{"m1", "m2"}) || a.OrderCounts != "0 qo0%1 1;0 0 0" {
		t.Fatalf("after its time: %v %q", bodiesOf(got), a.OrderCounts)
	}
	free := make(chan *PopResult, 1)
	s.Pop(popping(c, 32, inOrder("c"), waiting(20_000)), func(r *PopResult) { free <- r })
	n, err := changeOne(s, &ChangeRequest{*got[0].ack(c), hour})
	if err != nil || n.PopMillis != a.PopMillis || n.InvisibleMillis < hour {
		t.Fatalf("changed to %+v: %v", n, err)
	}
	ackAll(t, s, c, got)
	if r := <-free; !slices.Equal(bodiesOf(handles(t, r)), []string{"m3", "m4"}) {
		t.Errorf("who waited for the queue got %v", bodiesOf(handles(t, r)))
	}
}

// Who waits is woken by a message, and not by one that does not match.
func TestHeldPops(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	orders(t, s, c, 1)
	popSome(t, s, popping(c, 1))
	ch := make(chan *PopResult, 2)
	s.Pop(popping(c, 1, waiting(60_000), func(r *PopRequest) { r.Expression = "t1" }), func(r *PopResult) { ch <- r })
	if n, err := s.PollingPops("g", "orders", -1); s.HeldPops() != 1 || n != 1 || err != nil {
		t.Fatalf("%d held, %d of the group: %v", s.HeldPops(), n, err)
	}
	ok(t, send(t, s, c, asking("orders", "t0"), "other"))
	ok(t, send(t, s, c, asking("orders", "t1"), "wanted"))
	r := <-ch
	if got := bodiesOf(handles(t, r)); !slices.Equal(got, []string{"wanted"}) || r.WaitedMicros <= 0 {
		t.Fatalf("woken with %v", got)
	}
	began := time.Now()
	if r := popOnce(s, popping(c, 1, waiting(150))); r.Code != CodePollingTimeout || time.Since(began) < 150*time.Millisecond {
		t.Errorf("its time was up after %s: %+v", time.Since(began), r)
	}
	if r := popOnce(s, popping(c, 1, func(r *PopRequest) { r.BornMillis, r.PollMillis = time.Now().UnixMilli()-2000, 1000 })); r.Code != CodePollingTimeout {
		t.Errorf("it came too late: %+v", r)
	}
	s.Pop(popping(c, 1, waiting(60_000)), func(r *PopResult) { t.Error("answered although its connection is closed") })
	s.CancelPulls(c)
	if s.HeldPops() != 0 || len(s.pops.scopes) != 0 || len(s.pops.topics) != 0 {
		t.Errorf("%d pops are held, %d scopes, %d topics", s.HeldPops(), len(s.pops.scopes), len(s.pops.topics))
	}
}

// More pops than the limit are told so.
func TestHeldPopsAreBounded(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	c := NewClient(addr, "remoting")
	orders(t, s, c, 1)
	popSome(t, s, popping(c, 1))
	ended := make(chan *PopResult, popPollsPerKey+1)
	for range popPollsPerKey {
		s.Pop(popping(c, 1, waiting(60_000)), func(r *PopResult) { ended <- r })
	}
	if r := popOnce(s, popping(c, 1, waiting(60_000))); r.Code != CodePollingFull {
		t.Errorf("one more: %+v", r)
	}
	if n := s.HeldPops(); n != popPollsPerKey {
		t.Errorf("%d held", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range popPollsPerKey {
		if r := <-ended; r.Code != CodePollingTimeout {
			t.Fatalf("at the end: %+v", r)
		}
	}
}

// Pops of many clients at once get each message once, and acks of all are recorded.
func TestConcurrentPops(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	const messages, clients = 600, 16
	p := s.Parcel(NewClient(addr, "remoting"))
	ok(t, send(t, s, NewClient(addr, "remoting"), header("orders", "a", 0), "first"))
	for i := range messages {
		p.Add(asking("orders", "a", "n", strconv.Itoa(i)), []byte(strconv.Itoa(i)), Token{})
	}
	sent := make(chan struct{})
	p.Submit(func(p *Parcel) { p.Release(); close(sent) })
	<-sent
	got := make(chan []gotten, messages)
	for range clients {
		go func() {
			c := NewClient(addr, "remoting")
			for {
				r := popOnce(s, popping(c, 7, waiting(200)))
				if r.Code != CodeSuccess {
					got <- nil
					return
				}
				some := handles(t, r)
				r.Release()
				ackAll(t, s, c, some)
				got <- some
			}
		}()
	}
	seen := map[string]int{}
	for left := clients; left > 0; {
		some := <-got
		if some == nil {
			left--
		}
		for _, g := range some {
			seen[g.body()]++
		}
	}
	for body, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", body, n)
		}
	}
	if n := s.Shard().Deliveries().Counts(); len(seen) != messages+1 || n.InFlight != 0 || n.Acked != messages+1 {
		t.Errorf("%d seen, counts %+v", len(seen), n)
	}
}

// Leases outlive the process: a handle is as good after a restart, and what is not acknowledged comes back.
func TestLeasesOutliveARestart(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs, "log")
	c := NewClient(addr, "remoting")
	orders(t, s, c, 3)
	long, short := popSome(t, s, popping(c, 1)), popSome(t, s, popping(c, 1, invisible(100)))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, fs, "log")
	defer s.Close()
	ackAll(t, s, c, long)
	seen := map[string]bool{}
	for len(seen) < 2 {
		got := popSome(t, s, popping(c, 1, waiting(20_000)))
		seen[got[0].body()] = true
	}
	if !seen["m2"] || !seen[short[0].body()] || committedAt(s, "orders", 0) != 2 {
		t.Errorf("seen %v, offset %d", seen, committedAt(s, "orders", 0))
	}
}

// A batch ack names messages by bits of each lease, and does what can be done.
func TestBatchAck(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	orders(t, s, c, 12)
	got := popSome(t, s, popping(c, 12))
	h := mustHandle(t, got[0].handle)
	batch := func(acks ...BatchAck) *Error {
		ch := make(chan *Error, 1)
		s.BatchAck(c, acks, func(err *Error) { ch <- err })
		return <-ch
	}
	a := BatchAck{Group: "g", Topic: "orders", Retry: "0", Start: h.Start, PopMillis: h.PopMillis, Revive: h.Revive, Invisible: h.InvisibleMillis, Bits: []byte{0xff, 0x03}}
	if err := batch(a); err != nil || committedAt(s, "orders", 0) != 10 {
		t.Fatalf("offset %d: %v", committedAt(s, "orders", 0), err)
	}
	more := a
	more.Bits = []byte{0xff, 0xff, 0xff} // ten again, two new ones, and some that are not there
	if err := batch(more); err != nil || committedAt(s, "orders", 0) != 12 {
		t.Fatalf("offset %d: %v", committedAt(s, "orders", 0), err)
	}
	if n := s.Shard().Deliveries().Counts(); n.Acked != 12 || n.InFlight != 0 {
		t.Errorf("counts %+v", n)
	}
	bad, none := a, a
	bad.Retry, none.Bits = "7", nil
	if err := batch(bad); err == nil || err.Code != CodeMessageIllegal {
		t.Errorf("an unknown type: %v", err)
	}
	if err := batch(none); err == nil || err.Code != CodeNoMessage {
		t.Errorf("nothing named: %v", err)
	}
}

// The order of checks and their codes.
func TestPopsThatAreRefused(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c, ctx := NewClient(addr, "remoting"), context.Background()
	orders(t, s, c, 1)
	g, _ := s.EnsureGroup(ctx, "closed")
	g.ConsumeEnable = false
	if err := s.PutGroup(ctx, g); err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]struct {
		change func(*PopRequest)
		code   int
	}{
		"33 messages":       {func(r *PopRequest) { r.MaxMessages = 33 }, CodeInvalidParameter},
		"no invisible time": {func(r *PopRequest) { r.InvisibleMillis = 0 }, CodeInvalidParameter},
		"no topic":          {func(r *PopRequest) { r.Topic = "none" }, CodeTopicNotExist},
		"no queue":          {func(r *PopRequest) { r.QueueID = 99 }, CodeInvalidParameter},
		"closed group":      {func(r *PopRequest) { r.Group = "closed" }, CodeNoPermission},
		"long group":        {func(r *PopRequest) { r.Group = strings.Repeat("g", 250) }, CodeInvalidParameter},
	} {
		if r := popOnce(s, popping(c, 1, w.change)); r.Code != w.code {
			t.Errorf("%s: code %d %s, expected %d", name, r.Code, r.Remark, w.code)
		}
	}
}

// A reset takes away what is in flight; the group pops from the new place.
func TestResetOfAPoppingGroup(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	orders(t, s, c, 4)
	got := popSome(t, s, popping(c, 3))
	ackAll(t, s, c, got[:2])
	if _, err := s.ResetOffsets(ResetRequest{Group: "g", Topic: "orders", QueueID: 0, Offset: 1, By: "test"}); err != nil {
		t.Fatal(err)
	}
	if err := ackOne(s, got[2].ack(c)); err == nil || err.Code != CodeNoMessage {
		t.Errorf("an ack from before the reset: %v", err)
	}
	again := popSome(t, s, popping(c, 32))
	if b := bodiesOf(again); !slices.Equal(b, []string{"m1", "m2", "m3"}) {
		t.Fatalf("after the reset %v", b)
	}
	ackAll(t, s, c, again)
	if at := committedAt(s, "orders", 0); at != 4 || s.ResetWaits("g", "orders", 0) {
		t.Errorf("offset %d", at)
	}
	ch := make(chan *PopResult, 1)
	s.Pop(popping(c, 1, waiting(20_000)), func(r *PopResult) { ch <- r })
	if _, err := s.ResetOffsets(ResetRequest{Group: "g", Topic: "orders", QueueID: 0, Offset: 3, By: "test"}); err != nil {
		t.Fatal(err)
	}
	if r := <-ch; !slices.Equal(bodiesOf(handles(t, r)), []string{"m3"}) {
		t.Errorf("who waited got %d messages, code %d", r.Messages, r.Code)
	}
}

// A notification says that there is something, and takes nothing.
func TestNotify(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	orders(t, s, c, 1)
	ask := func(poll int64) (bool, bool) {
		type both struct{ has, full bool }
		ch := make(chan both, 1)
		s.Notify(&NotifyRequest{Client: c, Group: "g", Topic: "orders", QueueID: -1, PollMillis: poll}, func(has, full bool, err *Error) {
			if err != nil {
				t.Error(err)
			}
			ch <- both{has, full}
		})
		b := <-ch
		return b.has, b.full
	}
	if has, full := ask(0); !has || full {
		t.Errorf("has %v, full %v", has, full)
	}
	popSome(t, s, popping(c, 1, invisible(50)))
	if has, full := ask(20_000); !has || full {
		t.Errorf("when it came back: has %v, full %v", has, full)
	}
	ackAll(t, s, c, popSome(t, s, popping(c, 1)))
	if has, full := ask(50); has || full {
		t.Errorf("nothing is there: has %v, full %v", has, full)
	}
}

// A group that never consumed begins at the first message of a young queue.
func TestPopFromTheEnd(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	orders(t, s, c, 3)
	if got := bodiesOf(popSome(t, s, popping(c, 32, func(r *PopRequest) { r.FromEnd = true }))); len(got) != 3 {
		t.Errorf("got %v", got)
	}
}

// Held pops look again when their topic gets queues, and when it is deleted nobody is left behind.
func TestPopsOfATopicThatChanges(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c, ctx := NewClient(addr, "remoting"), context.Background()
	orders(t, s, c, 1)
	got := popSome(t, s, popping(c, 1))
	topic, _ := s.Topic("orders")
	topic.ReadQueues, topic.WriteQueues = 6, 6
	if err := s.PutTopic(ctx, topic); err != nil {
		t.Fatal(err)
	}
	ch := make(chan *PopResult, 1)
	s.Pop(popping(c, 1, waiting(20_000)), func(r *PopResult) { ch <- r })
	ok(t, send(t, s, c, header("orders", "a", 5), "in a new queue"))
	if b := bodiesOf(handles(t, <-ch)); !slices.Equal(b, []string{"in a new queue"}) {
		t.Fatalf("got %v", b)
	}
	s.Pop(popping(c, 1, waiting(300)), func(r *PopResult) { ch <- r })
	if err := s.DeleteTopic(ctx, "orders"); err != nil {
		t.Fatal(err)
	}
	if err := ackOne(s, got[0].ack(c)); err == nil || err.Code != CodeTopicNotExist {
		t.Errorf("ack in a deleted topic: %v", err)
	}
	if r := <-ch; r.Code != CodePollingTimeout {
		t.Errorf("%+v", r)
	}
	orders(t, s, c, 2)
	if b := bodiesOf(popSome(t, s, popping(c, 32))); len(b) != 2 {
		t.Errorf("of the topic that was made again: %v", b)
	}
	if err := s.Shard().Failed(); err != nil {
		t.Error(err)
	}
}
