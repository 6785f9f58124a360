package remoting

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

func fieldsOf(values map[string]string, change []string) (out []string) {
	for i := 0; i < len(change); i += 2 {
		values[change[i]] = change[i+1]
	}
	for k, v := range values {
		out = append(out, k, v)
	}
	return out
}

func popFields(change ...string) []string {
	return fieldsOf(map[string]string{
		"consumerGroup": "g", "topic": "orders", "queueId": "-1", "maxMsgNums": "32", "invisibleTime": "60000", "pollTime": "0", "bornTime": "0", "initMode": "0",
		"expType": "TAG", "exp": "*", "order": "false",
	}, change)
}

// handleOf is what a client makes of an answer with messages of queue 0 (ExtraInfoUtil.buildExtraInfo).
func handleOf(t *testing.T, f *wire.Frame, offset int64) string {
	t.Helper()
	start, ok := strings.CutPrefix(f.String("startOffsetInfo"), "0 0 ")
	if !ok {
		t.Fatalf("startOffsetInfo %q", f.String("startOffsetInfo"))
	}
	return strings.Join([]string{start, f.String("popTime"), f.String("invisibleTime"), f.String("reviveQid"), "0", "broker-a", "0", strconv.FormatInt(offset, 10)}, " ")
}

func ackFields(handle string, offset int64, change ...string) []string {
	return fieldsOf(map[string]string{"consumerGroup": "g", "topic": "orders", "queueId": "0", "extraInfo": handle, "offset": strconv.FormatInt(offset, 10)}, change)
}

// Each request of pop is answered with what clients read.
func TestPopRequests(t *testing.T) {
	b := start(t)
	c := b.client()
	for i := range 3 {
		c.ok(wire.SendMessageV2, fmt.Sprint("m", i), sendFields("orders")...)
	}
	f := c.ok(wire.PopMessage, "", popFields("maxMsgNums", "2")...)
	got := views(t, f.Body)
	if len(got) != 2 || string(got[1].Body()) != "m1" || f.String("startOffsetInfo") != "0 0 0" || f.String("msgOffsetInfo") != "0 0 0,1" || f.String("restNum") != "1" ||
		f.String("invisibleTime") != "60000" || f.Get("orderCountInfo") != nil || string(f.Remark) != "FOUND" {
		t.Fatalf("popped %d, %v", len(got), f.Fields)
	}
	if n, err := strconv.Atoi(f.String("reviveQid")); err != nil || n < 0 || n > 7 {
		t.Errorf("reviveQid %q", f.String("reviveQid"))
	}
	handle := handleOf(t, f, 0)
	a := c.ok(wire.ChangeInvisibleTime, "", ackFields(handle, 0, "invisibleTime", "120000")...)
	if a.String("invisibleTime") != "120000" || a.String("reviveQid") == "" || a.String("popTime") == "" {
		t.Errorf("changed: %v", a.Fields)
	}
	next := strings.Join([]string{"0", a.String("popTime"), "120000", a.String("reviveQid"), "0", "broker-a", "0", "0"}, " ")
	c.ok(wire.AckMessage, "", ackFields(next, 0)...)
	second := strings.Fields(handle)
	batch, _ := json.Marshal(map[string]any{"brokerName": "broker-a", "acks": []any{map[string]any{
		"c": "g", "t": "orders", "r": "0", "so": 0, "q": 0, "rq": 0, "pt": json.Number(second[1]), "it": 60000, "b": []byte{2},
	}}})
	c.ok(wire.BatchAckMessage, string(batch))
	if at := c.ok(wire.QueryConsumerOffset, "", "consumerGroup", "g", "topic", "orders", "queueId", "0").String("offset"); at != "2" {
		t.Errorf("the group's offset is %s", at)
	}
	if a := c.ok(wire.Notification, "", popFields()...); a.String("hasMsg") != "true" || a.String("pollingFull") != "false" {
		t.Errorf("notified: %v", a.Fields)
	}
	if a := c.ok(wire.PollingInfo, "", popFields()...); a.String("pollingNum") != "0" {
		t.Errorf("polling: %v", a.Fields)
	}
	c.ok(wire.PopMessage, "", popFields()...)
	for name, w := range map[string]struct {
		request int32
		fields  []string
		code    int32
	}{
		"nothing there":    {wire.PopMessage, popFields(), 210},
		"too late":         {wire.PopMessage, popFields("bornTime", "1", "pollTime", "10"), 210},
		"33 messages":      {wire.PopMessage, popFields("maxMsgNums", "33"), 29},
		"words":            {wire.PopMessage, popFields("invisibleTime", "long"), 1},
		"no topic":         {wire.PopMessage, popFields("topic", "none"), 17},
		"expression":       {wire.PopMessage, popFields("expType", "SQL92", "exp", "a >"), 23},
		"no handle":        {wire.AckMessage, ackFields("", 0), 13},
		"behind the queue": {wire.AckMessage, ackFields(handle, 77), 208},
		"old handle":       {wire.ChangeInvisibleTime, ackFields(handle, 0, "invisibleTime", "1000"), 208},
		"no queue":         {wire.AckMessage, ackFields(handle, 0, "queueId", "9"), 13},
		"no topic to ack":  {wire.AckMessage, ackFields(handle, 0, "topic", "none"), 17},
		"no offset":        {wire.AckMessage, []string{"consumerGroup", "g", "topic", "orders", "queueId", "0", "extraInfo", handle}, 1},
		"notify no topic":  {wire.Notification, popFields("topic", "none"), 17},
	} {
		if a := c.do(w.request, "", w.fields...); a.Code != w.code {
			t.Errorf("%s: code %d %s, expected %d", name, a.Code, a.Remark, w.code)
		} else if w.code == 210 && (a.String("popTime") == "" || a.String("restNum") == "") {
			t.Errorf("%s: the answer lacks fields that clients demand: %v", name, a.Fields)
		}
	}
	for body, code := range map[string]int32{"": 208, "{": 1, `{"acks":[]}`: 208, `{"acks":[{"c":"g","t":"orders","r":"3","b":"AQ=="}]}`: 13} {
		if a := c.do(wire.BatchAckMessage, body); a.Code != code {
			t.Errorf("batch ack %q: code %d %s", body, a.Code, a.Remark)
		}
	}
}

// The binary form cuts the codes to two bytes; a client that is gone is not waited for.
func TestPopInTheBinaryForm(t *testing.T) {
	b := start(t)
	c := b.client()
	c.ok(wire.SendMessageV2, "m0", sendFields("orders")...)
	p := startProgram(t, b.front.Addr().String(), says(nil))
	r := raw{t, p.c}
	r.ask(wire.Binary, 1, wire.PopMessage, "", popFields()...)
	f := <-p.answers
	if f.Type != wire.Binary || f.Code != 0 || len(views(t, f.Body)) != 1 {
		t.Fatalf("popped: code %d %s", f.Code, f.Remark)
	}
	r.ask(wire.Binary, 2, wire.AckMessage, "", ackFields(handleOf(t, f, 0), 0)...)
	if f = <-p.answers; f.Code != 0 {
		t.Fatalf("acknowledged: code %d %s", f.Code, f.Remark)
	}
	r.ask(wire.Binary, 3, wire.PopMessage, "", popFields("pollTime", "60000")...)
	p.do(wire.PollingInfo, "", popFields()...) // what came before it is held
	if n := b.svc.HeldPops(); n != 1 {
		t.Fatalf("%d pops are held", n)
	}
	p.c.Close()
	for end := time.Now().Add(10 * time.Second); b.svc.HeldPops() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the pop of a closed connection is held")
		}
	}
}

// A group's request mode says what its clients are assigned.
func TestRequestModesAndAssignments(t *testing.T) {
	b := start(t)
	c := b.client()
	c.ok(wire.SendMessageV2, "m0", sendFields("orders")...)
	for _, id := range []string{"one", "two"} {
		b.client().ok(wire.Heartbeat, heartbeatBody(id, "g", "orders"))
	}
	ask := func(client string) string {
		return string(c.ok(wire.QueryAssignment, fmt.Sprintf(`{"topic":"orders","consumerGroup":"g","clientId":%q,"strategyName":"AVG","messageModel":"CLUSTERING"}`, client)).Body)
	}
	if got := ask("two"); !strings.Contains(got, `"queueId":3`) || strings.Count(got, `"mode":"PULL"`) != 2 {
		t.Errorf("pulling: %s", got)
	}
	if got := string(c.ok(wire.QueryAssignment, `{"topic":"none","consumerGroup":"g","clientId":"one","strategyName":"AVG"}`).Body); got != `{}` {
		t.Errorf("no topic: %s", got)
	}
	c.ok(wire.SetRequestMode, `{"topic":"orders","consumerGroup":"g","mode":"POP","popShareQueueNum":0}`)
	want := `{"messageQueueAssignments":[{"messageQueue":{"topic":"orders","brokerName":"broker-a","queueId":-1},"mode":"POP"}]}`
	if got := ask("one"); got != want {
		t.Errorf("popping: %s", got)
	}
	if got := string(c.ok(wire.AllRequestModes, "").Body); got != `{"messageRequestModeMap":{"orders":{"g":{"topic":"orders","consumerGroup":"g","mode":"POP","popShareQueueNum":0}}}}` {
		t.Errorf("all modes: %s", got)
	}
	for body, code := range map[string]int32{
		"{": 1, `{"topic":"none","consumerGroup":"g","mode":"POP"}`: 17, `{"topic":"%RETRY%g","consumerGroup":"g","mode":"POP"}`: 16,
	} {
		if f := c.do(wire.SetRequestMode, body); f.Code != code {
			t.Errorf("%s: code %d %s", body, f.Code, f.Remark)
		}
	}
}

// In a group of three a follower hands everything to the leader, and a change of leader keeps what is in flight and what is done.
func TestPopThroughFollowersAndFailover(t *testing.T) {
	g := startTrio(t)
	c := g.followers()[0].client()
	for i := range 4 {
		c.ok(wire.SendMessageV2, fmt.Sprint("m", i), sendFields("orders")...)
	}
	f := c.ok(wire.PopMessage, "", popFields("maxMsgNums", "3")...)
	if len(views(t, f.Body)) != 3 {
		t.Fatalf("popped %d", len(views(t, f.Body)))
	}
	handles := []string{handleOf(t, f, 0), handleOf(t, f, 1), handleOf(t, f, 2)}
	c.ok(wire.AckMessage, "", ackFields(handles[0], 0)...)
	leader := g.leader()
	short := leader.client().ok(wire.PopMessage, "", popFields("invisibleTime", "500")...)
	if len(views(t, short.Body)) != 1 {
		t.Fatalf("popped %d", len(views(t, short.Body)))
	}
	leader.end()
	g.follow()
	c = g.followers()[0].client()
	c.ok(wire.AckMessage, "", ackFields(handles[1], 1)...)
	if at := c.ok(wire.QueryConsumerOffset, "", "consumerGroup", "g", "topic", "orders", "queueId", "0").String("offset"); at != "2" {
		t.Errorf("the group's offset is %s", at)
	}
	var back *wire.Frame
	for back == nil { // what was popped for a short time comes again, and nothing else does
		if f := c.do(wire.PopMessage, "", popFields("pollTime", "10000")...); f.Code == 0 {
			back = f
		} else if f.Code != 210 {
			t.Fatalf("code %d %s", f.Code, f.Remark)
		}
	}
	v := views(t, back.Body)
	if len(v) != 1 || string(v[0].Body()) != "m3" || v[0].ReconsumeTimes() != 1 {
		t.Fatalf("came again: %d, %q", len(v), v[0].Body())
	}
	c.ok(wire.ChangeInvisibleTime, "", ackFields(handles[2], 2, "invisibleTime", "90000")...)
	for _, m := range g.alive() {
		if err := m.svc.Shard().Failed(); err != nil {
			t.Error(err)
		}
	}
	if n := g.leader().svc.Shard().Deliveries().Counts(); n.Acked != 2 || n.Retried != 1 || n.Changed != 1 || n.InFlight != 2 {
		t.Errorf("counts %+v", n)
	}
}

// A message sent back through a follower twice has one copy.
func TestSentBackThroughAFollower(t *testing.T) {
	g := startTrio(t)
	c := g.followers()[0].client()
	c.ok(wire.SendMessageV2, "m0", sendFields("orders")...)
	c.ok(wire.UpdateGroup, `{"groupName":"g"}`)
	v := views(t, c.ok(wire.PullMessage, "", pullFields("g", "orders", 0)...).Body)
	for range 2 {
		c.ok(wire.SendMessageBack, "", "offset", strconv.FormatInt(v[0].Position(), 10), "group", "g", "delayLevel", "-1", "originTopic", "orders", "maxReconsumeTimes", "3")
	}
	if end := c.ok(wire.MaxOffset, "", "topic", service.DeadPrefix+"g", "queueId", "0").String("offset"); end != "1" {
		t.Errorf("%s dead letters", end)
	}
}
