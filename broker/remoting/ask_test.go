package remoting

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// program is a client that answers what the broker asks of it.
type program struct {
	t       *testing.T
	c       net.Conn
	mu      sync.Mutex
	asked   []*wire.Frame
	answers chan *wire.Frame
}

// answer is what a program says; nil: nothing.
type answer struct {
	code   int32
	remark string
	body   string
}

func startProgram(t *testing.T, addr string, says func(f *wire.Frame) *answer) *program {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	p := &program{t: t, c: c, answers: make(chan *wire.Frame, 100)}
	go func() {
		for {
			f, err := readFrame(c)
			if err != nil {
				return
			}
			if f.Response() {
				p.answers <- f
				continue
			}
			p.mu.Lock()
			p.asked = append(p.asked, f)
			p.mu.Unlock()
			if a := says(f); a != nil && !f.Oneway() {
				w := wire.Response(nil, wire.JSON, f.Opaque, a.code, a.remark)
				_, _ = c.Write(append(w.End(len(a.body)), a.body...))
			}
		}
	}()
	return p
}

// do asks the broker.
func (p *program) do(code int32, body string, fields ...string) *wire.Frame {
	p.t.Helper()
	raw{p.t, p.c}.ask(wire.JSON, 9, code, body, fields...)
	select {
	case f := <-p.answers:
		return f
	case <-time.After(20 * time.Second):
		p.t.Fatalf("request %d is not answered", code)
		return nil
	}
}

// heard is the first request of a code that the program was asked.
func (p *program) heard(code int32) *wire.Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.asked {
		if f.Code == code {
			return f
		}
	}
	return nil
}

func says(a *answer) func(*wire.Frame) *answer { return func(*wire.Frame) *answer { return a } }

// A tool's question to a consumer is handed to that consumer, and its answer handed back as it is.
func TestToolsAskAConsumer(t *testing.T) {
	b := start(t)
	tool := b.client()
	sent := tool.ok(wire.SendMessageV2, "hello", sendFields("orders")...).String("msgId")
	p := startProgram(t, b.front.Addr().String(), says(&answer{remark: "fine", body: `{"from":"the client"}`}))
	p.do(wire.Heartbeat, heartbeatBody("one", "g", "orders"))
	a := tool.ok(wire.ConsumerRunningInfo, "", "consumerGroup", "g", "clientId", "one", "jstackEnable", "true")
	asked := p.heard(wire.ConsumerRunningInfo)
	if string(a.Body) != `{"from":"the client"}` || string(a.Remark) != "fine" || asked.String("jstackEnable") != "true" || asked.String("consumerGroup") != "g" {
		t.Fatalf("answer %s %s, asked %+v", a.Body, a.Remark, asked)
	}
	for _, id := range []string{sent, "ID1"} { // the offset message id, and the client's own
		a = tool.ok(wire.ConsumeDirectly, "", "consumerGroup", "g", "clientId", "one", "topic", "orders", "msgId", id)
		asked = p.heard(wire.ConsumeDirectly)
		v, err := message.Parse(asked.Body)
		if err != nil || string(v.Body()) != "hello" || asked.String("brokerName") != "broker-a" || asked.String("topicSysFlag") != "0" || len(a.Body) == 0 {
			t.Fatalf("%s: handed %q %v, fields %v", id, asked.Body, err, asked.Fields)
		}
	}
	for text, fields := range map[string][]string{
		"The Consumer <g> <two> not online": {"consumerGroup", "g", "clientId", "two", "msgId", sent},
		"The Consumer <h> <one> not online": {"consumerGroup", "h", "clientId", "one", "msgId", sent},
		"can not find message":              {"consumerGroup", "g", "clientId", "one", "topic", "orders", "msgId", "none"},
	} {
		if f := tool.do(wire.ConsumeDirectly, "", fields...); f.Code != 1 || !strings.Contains(string(f.Remark), text) {
			t.Errorf("expected %s: code %d %s", text, f.Code, f.Remark)
		}
	}
}

// Who asks is answered in any case: with what the client refuses, and when it goes away.
func TestConsumerThatDoesNotAnswer(t *testing.T) {
	b := start(t)
	tool := b.client()
	addr := b.front.Addr().String()
	p := startProgram(t, addr, says(&answer{code: 1, remark: "no"}))
	p.do(wire.Heartbeat, heartbeatBody("refuses", "g", "orders"))
	hit := make(chan struct{})
	gone := startProgram(t, addr, func(f *wire.Frame) *answer {
		if f.Code == wire.ConsumerRunningInfo {
			close(hit)
		}
		return nil
	})
	gone.do(wire.Heartbeat, heartbeatBody("goes", "g", "orders"))
	if f := tool.do(wire.ConsumerRunningInfo, "", "consumerGroup", "g", "clientId", "refuses"); f.Code != 1 || string(f.Remark) != "no" {
		t.Fatalf("code %d %s", f.Code, f.Remark)
	}
	go func() {
		<-hit
		gone.c.Close()
	}()
	if f := tool.do(wire.ConsumerRunningInfo, "", "consumerGroup", "g", "clientId", "goes"); f.Code != 1 || !strings.Contains(string(f.Remark), "connection ended") {
		t.Fatalf("code %d %s", f.Code, f.Remark)
	}
}

// What is asked of one client is bounded, and given up in time.
func TestAsksAreBounded(t *testing.T) {
	var a asks
	over := make(chan int, 2*asksMax)
	for range asksMax {
		if _, err := a.add(time.Hour, func(*reply, *service.Error) { over <- 1 }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.add(time.Hour, nil); err == nil || err.Code != 2 || !strings.Contains(err.Text, fmt.Sprint(asksMax)) {
		t.Fatalf("%v", err)
	}
	a.end()
	if len(over) != asksMax {
		t.Fatalf("%d of %d are told that the client is gone", len(over), asksMax)
	}
	var late asks
	given := make(chan *service.Error, 1)
	if _, err := late.add(time.Millisecond, func(_ *reply, err *service.Error) { given <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-given; err.Code != 207 {
		t.Fatalf("%v", err)
	}
}

// A tool gets the places of all clients of a group that answer, in the form that tools read.
func TestConsumerStatus(t *testing.T) {
	b := start(t)
	tool := b.client()
	for id, body := range map[string]string{
		"one": `{"consumerTable":{},"messageQueueTable":{{"brokerName":"broker-a","queueId":0,"topic":"or}ders\"}"}:7}}`,
		"two": `{"messageQueueTable":{}}`, "three": `nonsense`,
	} {
		p := startProgram(t, b.front.Addr().String(), says(&answer{body: body}))
		p.do(wire.Heartbeat, heartbeatBody(id, "g", "orders"))
	}
	one := `"one":{{"brokerName":"broker-a","queueId":0,"topic":"or}ders\"}"}:7}`
	for client, want := range map[string]string{
		"":    `{"consumerTable":{` + one + `,"two":{}},"messageQueueTable":{}}`,
		"one": `{"consumerTable":{` + one + `},"messageQueueTable":{}}`,
		"six": `{"consumerTable":{},"messageQueueTable":{}}`,
	} {
		if got := string(tool.ok(wire.ConsumerStatus, "", "topic", "orders", "group", "g", "clientAddr", client).Body); got != want {
			t.Errorf("client %q: %s\nexpected %s", client, got, want)
		}
	}
	if f := tool.do(wire.ConsumerStatus, "", "topic", "orders", "group", "nobody"); f.Code != 1 || !strings.Contains(string(f.Remark), "nobody") {
		t.Errorf("code %d %s", f.Code, f.Remark)
	}
}

// FuzzQueueTable: whatever a client answers, what is cut out is balanced.
func FuzzQueueTable(f *testing.F) {
	f.Add([]byte(`{"messageQueueTable":{{"a":"}"}:1}}`))
	f.Add([]byte(`"messageQueueTable":{`))
	f.Add([]byte(`"messageQueueTable":"\`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := queueTable(b); got != nil && objectEnd(got) != len(got) {
			t.Fatalf("%q of %q", got, b)
		}
	})
}

func requestProperties(client string) string {
	return "UNIQ_KEY\x01ID1\x02CORRELATION_ID\x01c1\x02REPLY_TO_CLIENT\x01" + client + "\x02TTL\x013000\x02"
}

func replyFields(client string) []string {
	return []string{
		"producerGroup", "responders", "topic", "DefaultCluster_REPLY_TOPIC", "defaultTopic", "TBW102", "defaultTopicQueueNums", "4", "queueId", "0",
		"sysFlag", "0", "bornTimestamp", "1700000000000", "flag", "0", "properties", "UNIQ_KEY\x01R1\x02CORRELATION_ID\x01c1\x02REPLY_TO_CLIENT\x01" + client + "\x02",
		"reconsumeTimes", "0", "unitMode", "false",
	}
}

// A reply reaches the client that sent the request, before that client's first heartbeat, and is stored.
func TestReplyReachesWhoAsked(t *testing.T) {
	b := start(t)
	addr := b.front.Addr().String()
	p := startProgram(t, addr, says(&answer{}))
	if f := p.do(wire.SendMessageV2, "question", sendFields("orders", "i", requestProperties("asker@1"))...); f.Code != 0 {
		t.Fatalf("code %d %s", f.Code, f.Remark)
	}
	responder := b.client()
	a := responder.ok(wire.SendReply, "answer", replyFields("asker@1")...)
	got := p.heard(wire.PushReply)
	if got == nil || string(got.Body) != "answer" || a.String("queueId") != "0" || a.String("queueOffset") != "0" || len(a.String("msgId")) != 32 {
		t.Fatalf("pushed %+v, answered %+v", got, a.Fields)
	}
	for name, want := range map[string]string{
		"producerGroup": "responders", "topic": "DefaultCluster_REPLY_TOPIC", "storeHost": "10.0.0.1:10911", "bornTimestamp": "1700000000000",
	} {
		if got.String(name) != want {
			t.Errorf("%s is %q", name, got.String(name))
		}
	}
	run := got.Get("properties")
	if string(message.Property(run, "CORRELATION_ID")) != "c1" || message.Property(run, "PUSH_REPLY_TIME") == nil {
		t.Errorf("properties %q", run)
	}
	v2 := []string{"a", "responders", "b", "DefaultCluster_REPLY_TOPIC", "c", "TBW102", "d", "4", "e", "0", "f", "0", "g", "1", "h", "0", "i", "REPLY_TO_CLIENT\x01asker@1"}
	if a := responder.ok(wire.SendReplyV2, "", v2...); a.String("queueOffset") != "1" { // Go's client sends no body
		t.Fatalf("%+v", a)
	}
}

// Who replies is told why the reply did not arrive. It is stored all the same.
func TestReplyThatDoesNotArrive(t *testing.T) {
	b := start(t)
	p := startProgram(t, b.front.Addr().String(), says(&answer{code: 1, remark: "not now"}))
	p.do(wire.Heartbeat, `{"clientID":"asker","producerDataSet":[{"groupName":"pg"}]}`)
	responder := b.client()
	for client, text := range map[string]string{"asker": "not now", "nobody": "push reply message fail, channel of <nobody> not found.", "": "is null"} {
		if f := responder.do(wire.SendReply, "x", replyFields(client)...); f.Code != 1 || !strings.Contains(string(f.Remark), text) {
			t.Errorf("to %q: code %d %s, expected %s", client, f.Code, f.Remark, text)
		}
	}
	if got := responder.ok(wire.MaxOffset, "", "topic", "DefaultCluster_REPLY_TOPIC", "queueId", "0").String("offset"); got != "3" {
		t.Errorf("%s replies are stored", got)
	}
	unknown := replyFields("asker")
	unknown[3] = "none"
	if f := responder.do(wire.SendReply, "x", unknown...); f.Code != 17 {
		t.Errorf("an unknown topic: code %d %s", f.Code, f.Remark)
	}
}

// A name that a connection tells in a request takes nothing from the connection that has it, and is gone with its connection.
func TestNamesOfClients(t *testing.T) {
	b := start(t)
	addr := b.front.Addr().String()
	owner := startProgram(t, addr, says(&answer{}))
	owner.do(wire.Heartbeat, `{"clientID":"asker","producerDataSet":[{"groupName":"pg"}]}`)
	other := startProgram(t, addr, says(&answer{}))
	other.do(wire.SendMessageV2, "q", sendFields("orders", "i", requestProperties("asker"))...)
	responder := b.client()
	responder.ok(wire.SendReply, "x", replyFields("asker")...)
	if owner.heard(wire.PushReply) == nil || other.heard(wire.PushReply) != nil {
		t.Fatal("the reply went to a connection that took another one's name")
	}
	owner.c.Close()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, ok := b.front.Clients().Called("asker"); !ok {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a client that is gone is still called")
		}
	}
}

func TestResetCloneAndSpans(t *testing.T) {
	b := start(t)
	c := b.client()
	for range 3 {
		c.ok(wire.SendMessageV2, "x", sendFields("orders", "d", "1")...)
	}
	c.ok(wire.PullMessage, "", pullFields("g", "orders", 0)...)
	c.ok(wire.UpdateConsumerOffset, "", "consumerGroup", "g", "topic", "orders", "queueId", "0", "commitOffset", "3")
	reset := []string{"group", "g", "topic", "orders", "timestamp", "0", "isForce", "true"}
	var plan []struct{ QueueID, Committed, To, MessagesAgain int64 }
	if err := json.Unmarshal(c.ok(wire.ResetOffset, "", append(reset, "_ctrlPlan", "true")...).Body, &plan); err != nil || len(plan) != 1 || plan[0].MessagesAgain != 3 {
		t.Fatalf("plan %+v %v", plan, err)
	}
	want := `{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"orders"}:0}}`
	if got := string(c.ok(wire.ResetOffset, "", reset...).Body); got != want {
		t.Fatalf("%s", got)
	}
	stale := c.ok(wire.UpdateConsumerOffset, "", "consumerGroup", "g", "topic", "orders", "queueId", "0", "commitOffset", "3")
	if string(stale.Remark) != "Offset has been previously reset" {
		t.Fatalf("a stale commit is answered with %q", stale.Remark)
	}
	if f := c.do(wire.PullMessage, "", pullFields("g", "orders", 3)...); f.Code != 21 || f.String("nextBeginOffset") != "0" {
		t.Fatalf("code %d, next %s", f.Code, f.String("nextBeginOffset"))
	}
	c.ok(wire.CloneGroupOffset, "", "srcGroup", "g", "destGroup", "h", "topic", "orders", "offline", "true")
	if got := c.ok(wire.QueryConsumerOffset, "", "consumerGroup", "h", "topic", "orders", "queueId", "0", "setZeroIfNotFound", "false").String("offset"); got != "0" {
		t.Fatalf("cloned as %s", got)
	}
	if got := string(c.ok(wire.CorrectionOffset, "", "topic", "orders", "compareGroup", "g").Body); got != `{"correctionOffsets":{"0":0}}` {
		t.Fatalf("corrections %s", got)
	}
	var spans struct {
		Set []timeSpan `json:"consumeTimeSpanSet"`
	}
	if err := json.Unmarshal(c.ok(wire.ConsumeTimeSpan, "", "topic", "orders", "group", "g").Body, &spans); err != nil || len(spans.Set) != 1 || spans.Set[0].Min <= 0 {
		t.Fatalf("spans %+v %v", spans, err)
	}
	for code, fields := range map[int32][]string{
		17: {"group", "g", "topic", "none", "timestamp", "0"}, 26: {"group", "none", "topic", "orders", "timestamp", "0"},
		1: {"group", "g", "topic", "orders", "queueId", "0", "offset", "99"},
	} {
		if f := c.do(wire.ResetOffset, "", fields...); f.Code != code {
			t.Errorf("%v: code %d %s", fields, f.Code, f.Remark)
		}
	}
}

// A subscription with SQL92 that the group registered is used by pulls that bring none.
func TestPullWithTheGroupsSQL(t *testing.T) {
	b := start(t)
	c := b.client()
	for i := range 4 {
		c.ok(wire.SendMessageV2, fmt.Sprint("m", i), sendFields("orders", "d", "1", "i", fmt.Sprintf("UNIQ_KEY\x01ID%d\x02n\x01%d\x02", i, i))...)
	}
	beat := func(version int, expression string) {
		c.ok(wire.Heartbeat, fmt.Sprintf(`{"clientID":"c","consumerDataSet":[{"groupName":"g","messageModel":"CLUSTERING","subscriptionDataSet":[{"topic":"orders","subString":%q,"subVersion":%d,"expressionType":"SQL92"}]}]}`, expression, version))
	}
	pull := func(code int32, change ...string) *wire.Frame {
		return c.do(code, "", pullFields("g", "orders", 0, append([]string{"sysFlag", "0"}, change...)...)...)
	}
	beat(1, "n >= 2")
	for _, code := range []int32{wire.PullMessage, wire.LitePull} {
		if got := views(t, pull(code, "subVersion", "1").Body); len(got) != 2 || string(got[0].Body()) != "m2" {
			t.Fatalf("%d messages", len(got))
		}
	}
	if f := pull(wire.PullMessage, "subVersion", "2"); f.Code != 25 {
		t.Errorf("a newer subscription: code %d", f.Code)
	}
	if f := pull(wire.PullMessage, "sysFlag", "4", "subscription", "n = 0", "expressionType", "SQL92"); f.Code != 0 || len(views(t, f.Body)) != 1 {
		t.Errorf("the pull's own: code %d", f.Code)
	}
	if f := pull(wire.PullMessage, "sysFlag", "4", "subscription", "n = ", "expressionType", "SQL92"); f.Code != 23 || !strings.Contains(string(f.Remark), "line 1, column 5") {
		t.Errorf("a wrong one: code %d %s", f.Code, f.Remark)
	}
	beat(3, "n >= AND")
	if f := pull(wire.PullMessage, "subVersion", "3"); f.Code != 27 || !strings.Contains(string(f.Remark), "line 1, column 6") {
		t.Errorf("a wrong one that is registered: code %d %s", f.Code, f.Remark)
	}
	check := `{"clientId":"c","group":"g","subscriptionData":{"topic":"orders","subString":"n >= AND","expressionType":"SQL92"}}`
	if f := c.do(wire.CheckClientConfig, check); f.Code != 23 || !strings.Contains(string(f.Remark), "line 1, column 6") {
		t.Errorf("the check: code %d %s", f.Code, f.Remark)
	}
}

// A group that may not broadcast is refused when it does, by pulls that rely on what it registered.
func TestBroadcastThatIsNotAllowed(t *testing.T) {
	c := start(t).client()
	c.ok(wire.SendMessageV2, "x", sendFields("orders", "d", "1")...)
	for allowed, code := range map[bool]int32{true: 0, false: 16} {
		c.ok(wire.UpdateGroup, fmt.Sprintf(`{"groupName":"g","consumeEnable":true,"consumeBroadcastEnable":%v}`, allowed))
		c.ok(wire.Heartbeat, strings.ReplaceAll(heartbeatBody("c", "g", "orders"), "CLUSTERING", "BROADCASTING"))
		if f := c.do(wire.PullMessage, "", pullFields("g", "orders", 0, "sysFlag", "0")...); f.Code != code {
			t.Errorf("broadcast allowed: %v, code %d %s", allowed, f.Code, f.Remark)
		}
	}
}

// Whichever member is asked, a client is reached at whichever member it is connected to.
func TestClientsOfOtherMembersAreReached(t *testing.T) {
	g := startTrio(t)
	followers := g.followers()
	l := g.leader()
	asker := startProgram(t, followers[0].addr(), says(&answer{body: "mine"}))
	if f := asker.do(wire.SendMessageV2, "question", sendFields("orders", "i", requestProperties("asker"))...); f.Code != 0 {
		t.Fatalf("code %d %s", f.Code, f.Remark)
	}
	for i, m := range []*oneOfThree{l, followers[0], followers[1]} { // the leader pushes through the member at which the client is
		m.client().ok(wire.SendReply, fmt.Sprint("answer", i), replyFields("asker")...)
	}
	asker.mu.Lock()
	for i, f := range asker.asked {
		if f.Code != wire.PushReply || string(f.Body) != fmt.Sprint("answer", i) || f.Get(toField) != nil || f.Get(relayedField) != nil {
			t.Errorf("asked %d: code %d, %q, fields %v", i, f.Code, f.Body, f.Fields)
		}
	}
	asker.mu.Unlock()
	consumer := startProgram(t, l.addr(), says(&answer{body: "mine"}))
	consumer.do(wire.Heartbeat, heartbeatBody("consumer", "g", "orders"))
	for _, m := range []*oneOfThree{l, followers[0]} {
		if f := m.client().ok(wire.ConsumerRunningInfo, "", "consumerGroup", "g", "clientId", "consumer"); string(f.Body) != "mine" {
			t.Fatalf("answer %q", f.Body)
		}
		if f := m.client().do(wire.ConsumerRunningInfo, "", "consumerGroup", "g", "clientId", "nobody"); f.Code != 1 || !strings.Contains(string(f.Remark), "not online") {
			t.Fatalf("code %d %s", f.Code, f.Remark)
		}
	}
	asker.c.Close()
	g.await("end of the client's name", func() bool { _, ok := followers[0].front.Clients().Called("asker"); return !ok })
	if f := l.client().do(wire.SendReply, "late", replyFields("asker")...); f.Code != 1 || !strings.Contains(string(f.Remark), "not connected") {
		t.Fatalf("code %d %s", f.Code, f.Remark)
	}
}

// A reset is promised to the group, not to the leader: another leader keeps it, and tells it once.
func TestResetOutlivesTheLeader(t *testing.T) {
	g := startTrio(t)
	l := g.leader()
	c := l.client()
	for range 3 {
		c.ok(wire.SendMessageV2, "x", sendFields("orders", "d", "1")...)
	}
	c.ok(wire.PullMessage, "", pullFields("g", "orders", 0)...)
	place := []string{"consumerGroup", "g", "topic", "orders", "queueId", "0"}
	c.ok(wire.UpdateConsumerOffset, "", append(place, "commitOffset", "3")...)
	g.followers()[0].client().ok(wire.ResetOffset, "", "group", "g", "topic", "orders", "timestamp", "0")
	g.follow()
	l.end()
	n := g.follow().client()
	n.ok(wire.UpdateConsumerOffset, "", append(place, "commitOffset", "3")...)
	if f := n.do(wire.PullMessage, "", pullFields("g", "orders", 3)...); f.Code != 21 || f.String("nextBeginOffset") != "0" {
		t.Fatalf("the new leader answers code %d %s, next %s", f.Code, f.Remark, f.String("nextBeginOffset"))
	}
	if f := n.do(wire.PullMessage, "", pullFields("g", "orders", 0)...); f.Code != 0 {
		t.Fatalf("it is told twice: code %d", f.Code)
	}
}
