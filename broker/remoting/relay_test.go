package remoting

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/complain"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// Whatever member is asked, and in whichever form, the leader stores the message and the client is answered as ever.
func TestFollowerHandsSendsToTheLeader(t *testing.T) {
	g := startTrio(t)
	f := g.followers()[0]
	c := f.raw()
	for i, typ := range []uint8{wire.JSON, wire.Binary} {
		c.ask(typ, int32(70+i), wire.SendMessageV2, "hello", sendFields("orders")...)
		a := c.answer()
		if a.Code != 0 || a.Opaque != int32(70+i) || a.Type != typ || !a.Response() {
			t.Fatalf("answer %+v", a)
		}
		for name, want := range map[string]string{"queueId": "0", "queueOffset": strconv.Itoa(i), "transactionId": "ID1", "MSG_REGION": "DefaultRegion"} {
			if got := a.String(name); got != want {
				t.Errorf("%s is %q, expected %q", name, got, want)
			}
		}
	}
	l := g.leader()
	got := views(t, l.client().ok(wire.PullMessage, "", pullFields("g", "orders", 0)...).Body)
	if len(got) != 2 || got[0].BornHost().String() != c.c.LocalAddr().String() {
		t.Fatalf("%d messages, born at %v; the client is %v", len(got), got[0].BornHost(), c.c.LocalAddr())
	}
	if n := f.front.Relay().Relayed.Load(); n != 2 || l.front.Relay().Relayed.Load() != 0 {
		t.Fatalf("%d were relayed", n)
	}
}

// A one-way request is answered by nobody; what follows it on the same connection comes behind it.
func TestOrderOfAConnectionIsKept(t *testing.T) {
	g := startTrio(t)
	c := g.followers()[0].raw()
	g.leader().client().ok(wire.UpdateTopic, "", "topic", "orders", "readQueueNums", "1", "writeQueueNums", "1", "perm", "6")
	g.follow()
	const n = 300
	for i := range n {
		c.ask(wire.Binary, int32(i), wire.SendMessageV2, fmt.Sprint(i), sendFields("orders")...)
	}
	answered := map[int32]bool{}
	for range n {
		a := c.answer()
		if a.Code != 0 || a.String("queueOffset") != fmt.Sprint(a.Opaque) {
			t.Fatalf("message %d: code %d %s, at offset %s", a.Opaque, a.Code, a.Remark, a.String("queueOffset"))
		}
		answered[a.Opaque] = true
	}
	if len(answered) != n {
		t.Fatalf("%d of %d were answered", len(answered), n)
	}
}

func TestOffsetsPullsAndLocksThroughAFollower(t *testing.T) {
	g := startTrio(t)
	f, l := g.followers()[0], g.leader()
	c, atLeader := f.client(), l.client()
	c.ok(wire.SendMessageV2, "x", sendFields("orders")...)
	if a := c.ok(wire.PullMessage, "", pullFields("g", "orders", 0)...); len(views(t, a.Body)) != 1 || a.String("nextBeginOffset") != "1" || a.String("suggestWhichBrokerId") != "0" {
		t.Fatalf("pull %+v", a)
	}
	q := []string{"topic", "orders", "queueId", "0", "consumerGroup", "g"}
	c.ok(wire.UpdateConsumerOffset, "", append(slices.Clone(q), "commitOffset", "1")...)
	for name, c := range map[string]*client{"follower": c, "leader": atLeader} {
		if got := c.ok(wire.QueryConsumerOffset, "", q...).String("offset"); got != "1" {
			t.Errorf("asked the %s, the offset is %s", name, got)
		}
		if got := c.ok(wire.MaxOffset, "", q...).String("offset"); got != "1" {
			t.Errorf("asked the %s, the queue ends at %s", name, got)
		}
	}
	lock := func(id string) string {
		return `{"consumerGroup":"g","clientId":"` + id + `","mqSet":[{"topic":"orders","brokerName":"broker-a","queueId":0}]}`
	}
	if got := string(c.ok(wire.LockBatch, lock("one")).Body); !strings.Contains(got, "orders") {
		t.Fatal(got)
	}
	if got := string(atLeader.ok(wire.LockBatch, lock("two")).Body); strings.Contains(got, "orders") {
		t.Fatalf("a queue that a follower's client holds is given to another: %s", got)
	}
	c.ok(wire.UnlockBatch, lock("one"))
	if got := string(atLeader.ok(wire.LockBatch, lock("two")).Body); !strings.Contains(got, "orders") {
		t.Fatalf("a queue that was given back is not given: %s", got)
	}
	if n := f.front.Relay().PullsHere.Load(); n != 0 {
		t.Fatalf("%d pulls were answered by a follower that knows the leader", n)
	}
}

// A pull is held by the leader for a follower's client, too.
func TestFollowersClientIsToldOfNewMessages(t *testing.T) {
	g := startTrio(t)
	c := g.followers()[0].raw()
	g.leader().client().ok(wire.SendMessageV2, "first", sendFields("orders")...)
	c.ask(wire.JSON, 7, wire.PullMessage, "", pullFields("g", "orders", 1, "sysFlag", "6", "suspendTimeoutMillis", "30000")...)
	g.await("held pull at the leader", func() bool { return g.leader().svc.Held() == 1 })
	g.leader().client().ok(wire.SendMessageV2, "second", sendFields("orders")...)
	a := c.answer()
	if got := views(t, a.Body); a.Opaque != 7 || a.Code != 0 || len(got) != 1 || string(got[0].Body()) != "second" {
		t.Fatalf("%+v", a)
	}
}

// Consumers send heartbeats to all members: each knows the group, tells its members, and leaves making it to the leader.
func TestHeartbeatsOnFollowersKeepGroupsWarm(t *testing.T) {
	g := startTrio(t)
	f := g.followers()[0]
	c := f.client()
	c.ok(wire.Heartbeat, `{"clientID":"c1","consumerDataSet":[{"groupName":"warm","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionDataSet":[{"topic":"orders","subString":"*","subVersion":1}]}]}`)
	if got := string(c.ok(wire.ConsumerList, "", "consumerGroup", "warm").Body); got != `{"consumerIdList":["c1"]}` {
		t.Fatal(got)
	}
	if _, made := f.svc.Group("warm"); made {
		t.Fatal("a follower's heartbeat made a group")
	}
	g.leader().client().ok(wire.Heartbeat, `{"clientID":"c1","consumerDataSet":[{"groupName":"warm","messageModel":"CLUSTERING"}]}`)
	g.await("group on the follower", func() bool { _, ok := f.svc.Group("warm"); return ok })
	if n := f.front.Relay().Relayed.Load(); n != 0 {
		t.Fatalf("%d heartbeats were relayed", n)
	}
	for _, code := range []int32{wire.BrokerRuntimeInfo, wire.BrokerConfig} {
		c.ok(code, "")
	}
	if body := string(c.ok(wire.BrokerConfig, "").Body); !strings.Contains(body, fmt.Sprintf("brokerId=%d\nbrokerRole=SLAVE\n", f.id)) {
		t.Fatal(body)
	}
}

// What was acknowledged is there after the leader is gone, and the routes name the new one.
func TestLeaderGoesAndAnotherLeads(t *testing.T) {
	g := startTrio(t)
	old := g.follow()
	f := g.followers()[0]
	c := f.client()
	acked := 0
	put := func(until int, patience time.Duration) {
		t.Helper()
		for end := time.Now().Add(patience); acked < until; {
			a := c.do(wire.SendMessageV2, fmt.Sprint("m", acked), sendFields("orders")...)
			switch {
			case a.Code == 0:
				acked++
			case a.Code != service.CodeServiceNotAvailable && a.Code != service.CodeSystemError:
				t.Fatalf("code %d %s", a.Code, a.Remark)
			case time.Now().After(end):
				t.Fatalf("still refused: %s", a.Remark)
			}
		}
	}
	put(20, 10*time.Second)
	if r := g.route("orders"); r["0"] != old.addr() || len(r) != 3 || r[strconv.Itoa(int(f.id))] != f.addr() {
		t.Fatalf("route %v", r)
	}
	old.end()
	put(40, 30*time.Second)
	l := g.follow()
	if l == old {
		t.Fatal("who is gone leads")
	}
	g.await("route with the new leader", func() bool { return g.route("orders")["0"] == l.addr() })
	if r := g.route("orders"); slices.Contains([]string{r["1"], r["2"], r["3"]}, old.addr()) {
		t.Fatalf("route %v", r)
	}
	seen := map[string]bool{}
	for at := 0; ; {
		a := c.do(wire.PullMessage, "", pullFields("g", "orders", at)...)
		for _, v := range views(t, a.Body) {
			seen[string(v.Body())] = true
			at++
		}
		if a.Code != 0 {
			break
		}
	}
	for i := range acked {
		if !seen[fmt.Sprint("m", i)] {
			t.Errorf("message %d was acknowledged and is gone", i)
		}
	}
}

// In an orderly change of leader what the old leader could not do any more it hands on. It may say that it is busy: raft drops
// what is proposed while an office is handed over.
func TestOrderlyChangeOfLeader(t *testing.T) {
	g := startTrio(t)
	l, to := g.follow(), g.followers()[0]
	c, acked := l.client(), 0
	send := func() {
		a := c.do(wire.SendMessageV2, fmt.Sprint("m", acked), sendFields("orders")...)
		if a.Code != 0 {
			t.Fatalf("message %d: code %d %s", acked, a.Code, a.Remark)
		}
		acked++
	}
	for range 50 {
		send()
	}
	l.svc.Shard().Transfer(to.id)
	for end := time.Now().Add(30 * time.Second); g.leader() != to || l.front.Relay().Relayed.Load() < 50; send() {
		if time.Now().After(end) {
			t.Fatal("the office was not handed over")
		}
	}
}

// A member that was voted out amid what it was asked hands that on: its clients see nothing of it.
func TestVotedOutMemberHandsOnWhatItCouldNotDo(t *testing.T) {
	g := startTrio(t)
	f := g.followers()[0]
	f.front.relay.leads = func() bool { return true } // as it was a moment ago
	c := f.raw()
	c.ask(wire.Binary, 1, wire.SendMessageV2, "new topic", sendFields("orders")...)
	if a := c.answer(); a.Code != 0 || a.Opaque != 1 || a.String("queueOffset") != "0" {
		t.Fatalf("%+v", a)
	}
	g.follow()
	c.ask(wire.JSON, 2, wire.SendBatch, string(batchBody("x", "y")), sendFields("orders", "m", "true")...)
	if a := c.answer(); a.Code != 0 || a.Opaque != 2 || a.String("queueOffset") != "1" {
		t.Fatalf("%+v", a)
	}
	one := f.client()
	one.ok(wire.UpdateTopic, "", "topic", "made", "readQueueNums", "1", "writeQueueNums", "1", "perm", "6")
	one.ok(wire.UpdateGroup, `{"groupName":"made"}`)
	g.follow()
	one.ok(wire.UpdateConsumerOffset, "", "topic", "orders", "queueId", "0", "consumerGroup", "made", "commitOffset", "2")
	l := g.leader()
	if o, err := l.svc.QueryOffset("made", "orders", 0, true); err != nil || o != 2 {
		t.Fatalf("offset %d %v", o, err)
	}
	if f.svc.Shard().Offsets().Dirty() {
		t.Fatal("a member that does not lead noted an offset")
	}
	if n := f.front.Relay().Relayed.Load(); n != 5 {
		t.Fatalf("%d were relayed", n)
	}
	if a := one.do(wire.SendMessageV2, "x", append(sendFields("orders"), relayedField, testGroup)...); a.Code != service.CodeServiceNotAvailable || a.String(notLedField) != "true" {
		t.Fatalf("what was relayed to it is relayed again, or refused without saying why: %+v", a)
	}
}

// Two of three are gone: consumers go on reading what is committed, producers are sent elsewhere.
func TestFollowerServesPullsWhileNobodyLeads(t *testing.T) {
	g := startTrio(t)
	l := g.follow()
	fs := g.followers()
	c := fs[0].client()
	for range 3 {
		c.ok(wire.SendMessageV2, "x", sendFields("orders")...)
	}
	g.follow()
	l.end()
	fs[1].end()
	g.await("member without a leader", func() bool { return fs[0].svc.Leader() == 0 })
	a := c.ok(wire.PullMessage, "", pullFields("g", "orders", 0, "sysFlag", "5", "commitOffset", "2")...)
	if len(views(t, a.Body)) != 3 || a.String("suggestWhichBrokerId") != "0" {
		t.Fatalf("%+v", a)
	}
	if o, ok := fs[0].svc.Shard().Offsets().Get(offset.Key{Group: "g", Topic: "orders"}); ok {
		t.Fatalf("a follower stored an offset: %+v", o)
	}
	if o, err := fs[0].svc.QueryOffset("g", "orders", 0, true); err == nil || err.Code != service.CodeServiceNotAvailable {
		t.Fatalf("a follower answered a read as if it led: %d %v", o, err)
	}
	began := time.Now()
	if a := c.do(wire.SendMessageV2, "x", sendFields("orders")...); a.Code != service.CodeServiceNotAvailable || !strings.Contains(string(a.Remark), "a leader of the broker group broker-a is being elected") {
		t.Fatalf("code %d %s", a.Code, a.Remark)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Fatalf("refused after %v", took)
	}
	if n := fs[0].front.Relay(); n.PullsHere.Load() == 0 || n.Failed.Load() == 0 {
		t.Fatalf("counted %d pulls, %d failures", n.PullsHere.Load(), n.Failed.Load())
	}
}

// A pull that a follower holds for want of a leader is answered when there is one, so that its client asks the leader.
func TestHeldPullEndsWhenThereIsALeader(t *testing.T) {
	g := startTrio(t)
	l := g.follow()
	f := g.followers()[0]
	f.client().ok(wire.SendMessageV2, "x", sendFields("orders")...)
	g.follow()
	l.end()
	c := f.raw()
	began := time.Now()
	c.ask(wire.JSON, 1, wire.PullMessage, "", pullFields("g", "orders", 1, "sysFlag", "6", "suspendTimeoutMillis", "100000")...)
	if a := c.answer(); a.Code != service.CodePullNotFound || a.String("nextBeginOffset") != "1" {
		t.Fatalf("%+v", a)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Fatalf("held for %v", took)
	}
	g.follow()
}

// A follower that is mistaken for the leader refuses: no request is relayed twice, whatever members believe of each other.
func TestNoRequestIsRelayedTwice(t *testing.T) {
	g := startTrio(t)
	fs := g.followers()
	a, b := fs[0].addr(), fs[1].addr()
	fs[0].elsewhere.Store(&b)
	fs[1].elsewhere.Store(&a)
	for _, f := range fs {
		if a := f.client().do(wire.SendMessageV2, "x", sendFields("orders")...); a.Code != service.CodeServiceNotAvailable {
			t.Fatalf("code %d %s", a.Code, a.Remark)
		}
	}
	for _, f := range fs {
		if n := f.front.Relay(); n.Relayed.Load() != 0 || n.Failed.Load() != 1 {
			t.Fatalf("%d relayed, %d failed", n.Relayed.Load(), n.Failed.Load())
		}
	}
	l := g.leader()
	if got := l.client().do(wire.MaxOffset, "", "topic", "orders", "queueId", "0"); got.Code != service.CodeTopicNotExist {
		t.Fatalf("the leader got it: code %d", got.Code)
	}
	if a := l.client().do(wire.SendMessageV2, "x", append(sendFields("orders"), relayedField, "broker-b")...); a.Code != service.CodeServiceNotAvailable || !strings.Contains(string(a.Remark), "broker-b") {
		t.Fatalf("a request for another group: code %d %s", a.Code, a.Remark)
	}
	if a := fs[0].client().do(wire.PullMessage, "", pullFields("g", "TBW102", 0)...); a.Code != service.CodePullNotFound {
		t.Fatalf("a pull is not answered here: code %d %s", a.Code, a.Remark)
	}
}

// startWithStranger is a group with a message in it, a follower, and a listener that the test may put in the leader's place.
func startWithStranger(t *testing.T) (*oneOfThree, net.Listener) {
	g := startTrio(t)
	f := g.followers()[0]
	f.client().ok(wire.SendMessageV2, "x", sendFields("orders")...)
	g.follow()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return f, l
}

// The connection to the leader breaks while a request is under way: what was asked to be stored may be stored, and the producer is
// told so; a pull is answered by the follower.
func TestConnectionToTheLeaderBreaks(t *testing.T) {
	f, l := startWithStranger(t)
	marks := make(chan string, 10)
	go func() { // takes one request of each connection, and breaks it
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if r, err := readFrame(c); err == nil {
				marks <- r.String(relayedField)
			}
			c.Close()
		}
	}()
	addr := l.Addr().String()
	f.elsewhere.Store(&addr)
	a := f.client().do(wire.SendMessageV2, "y", sendFields("orders")...)
	if a.Code != service.CodeSystemError || !strings.HasPrefix(string(a.Remark), service.OutcomeUnknown) {
		t.Fatalf("code %d %s", a.Code, a.Remark)
	}
	if mark := <-marks; mark != testGroup {
		t.Fatalf("marked %q", mark)
	}
	if a := f.client().do(wire.PullMessage, "", pullFields("g", "orders", 0)...); a.Code != 0 || len(views(t, a.Body)) != 1 {
		t.Fatalf("pull: code %d %s", a.Code, a.Remark)
	}
	began := time.Now() // a client that is told of nothing new asks again at once
	if a := f.client().do(wire.PullMessage, "", pullFields("g", "orders", 1, "sysFlag", "6", "suspendTimeoutMillis", "60000")...); a.Code != service.CodePullNotFound {
		t.Fatalf("held pull: code %d %s", a.Code, a.Remark)
	}
	if took := time.Since(began); took < awayMillis*time.Millisecond || took > 20*time.Second {
		t.Fatalf("held for %v", took)
	}
	l.Close()
	if a := f.client().do(wire.SendMessageV2, "z", sendFields("orders")...); a.Code != service.CodeServiceNotAvailable {
		t.Fatalf("nobody listens there: code %d %s", a.Code, a.Remark)
	}
}

// A request that fits into a frame, but not with what relaying adds, is refused before it breaks the connection that others use.
func TestWhatIsTooLargeToRelayIsRefused(t *testing.T) {
	g := startTrio(t)
	c := g.followers()[0].client()
	long := strings.Repeat("x", wire.HeaderMax-400)
	if a := c.do(wire.SendMessageV2, "x", sendFields("orders", "i", long)...); a.Code != service.CodeMessageIllegal {
		t.Fatalf("code %d %s", a.Code, a.Remark)
	}
}

// hung is a leader that takes everything and says nothing.
func hung(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
	}()
	return l.Addr().String()
}

// A leader that hangs: what it was asked is answered in time, no more than the limit waits for it, and pulls go to whoever leads
// next.
func TestLeaderThatHangs(t *testing.T) {
	g := startTrio(t)
	f := g.followers()[0]
	f.client().ok(wire.SendMessageV2, "x", sendFields("orders")...)
	g.follow()
	addr := hung(t)
	f.elsewhere.Store(&addr)
	pulls := f.raw()
	pulls.ask(wire.JSON, 1, wire.PullMessage, "", pullFields("g", "orders", 0, "sysFlag", "6", "suspendTimeoutMillis", "100000")...)
	c, big := f.raw(), strings.Repeat("x", 10<<20)
	for i := range int32(4) {
		c.ask(wire.Binary, i, wire.SendMessageV2, big, sendFields("orders")...)
	}
	if a := c.answer(); a.Opaque != 3 || a.Code != service.CodeSystemBusy {
		t.Fatalf("request %d: code %d %s", a.Opaque, a.Code, a.Remark)
	}
	began := time.Now()
	for range 3 {
		if a := c.answer(); a.Code != service.CodeSystemError || !strings.HasPrefix(string(a.Remark), service.OutcomeUnknown) {
			t.Fatalf("request %d: code %d %s", a.Opaque, a.Code, a.Remark)
		}
	}
	if took := time.Since(began); took > 2*sendPatience {
		t.Fatalf("answered after %v", took)
	}
	f.elsewhere.Store(nil)
	if a := pulls.answer(); a.Code != 0 || len(views(t, a.Body)) != 1 {
		t.Fatalf("pull: code %d %s", a.Code, a.Remark)
	}
}

// What was given up is taken back from the network as far as that is possible: a request that is cut off for minutes must not reach the
// leader after newer ones, like an offset that a consumer has long passed.
func TestWhatIsGivenUpIsNotSentLater(t *testing.T) {
	f, l := startWithStranger(t)
	ended := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.Copy(io.Discard, c)
		}
		ended <- err
	}()
	addr := l.Addr().String()
	f.elsewhere.Store(&addr)
	c := f.client() // one connection: both requests go over the same one to the leader
	for _, body := range []string{"y", "z"} {
		if a := c.do(wire.SendMessageV2, body, sendFields("orders")...); !strings.HasPrefix(string(a.Remark), service.OutcomeUnknown) {
			t.Fatalf("code %d %s", a.Code, a.Remark)
		}
	}
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ended with %v: what it had not brought yet goes on being sent", err)
	}
}

// TestDeadLeaderIsToldOnce: it is dialled every few milliseconds until another leads; the log says so once, but each loss of requests whose outcome
// is not known.
func TestDeadLeaderIsToldOnce(t *testing.T) {
	var said strings.Builder
	r := &relay{group: "a", complaints: complain.New(slog.New(slog.NewTextHandler(&said, nil)), "")}
	l := &link{addr: "10.0.0.1:10911"}
	for range 100 {
		r.tell(l, 1, 0, syscall.ECONNREFUSED)
	}
	if n := strings.Count(said.String(), "\n"); n != 1 {
		t.Fatalf("%d lines:\n%s", n, said.String())
	}
	r.tell(l, 0, 2, io.EOF)
	if !strings.Contains(said.String(), "unanswered=2 err=EOF untold=99") {
		t.Fatal(said.String())
	}
}
