package remoting

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/vfs"
	"github.com/contrailmq/contrail/broker/wire"
)

// broker is a front with its service, in memory.
type broker struct {
	t       *testing.T
	svc     *service.Service
	front   *Server
	mu      sync.Mutex
	refused []string
}

func start(t *testing.T) *broker {
	t.Helper()
	b := &broker{t: t}
	var err error
	b.svc, err = service.Open(context.Background(), service.Options{
		Cluster: "DefaultCluster", Broker: "broker-a", NodeID: "n", StoreHost: netip.MustParseAddrPort("10.0.0.1:10911"), FS: vfs.NewMem(), Dir: "log",
		SegmentBytes: 1 << 20, Durable: true, AutoCreateTopic: true, AutoCreateGroup: true, MaxMessage: 8 << 10, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.front, err = Start(b.svc, Options{
		Cluster: "DefaultCluster", Broker: "broker-a", Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
		Refused: func(r Refusal) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.refused = append(b.refused, fmt.Sprint(r))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = b.front.Shutdown(ctx)
		_ = b.svc.Close()
	})
	return b
}

// client asks; fields come in pairs.
type client struct {
	t *testing.T
	c rpc.Client
}

func (b *broker) client() *client {
	c := &client{t: b.t, c: rpc.Client{Addr: b.front.Addr().String(), Timeout: 20 * time.Second}}
	b.t.Cleanup(c.c.Close)
	return c
}

func (c *client) do(code int32, body string, fields ...string) *wire.Frame {
	c.t.Helper()
	var fs []rpc.Field
	for i := 0; i < len(fields); i += 2 {
		fs = append(fs, rpc.Field{Name: fields[i], Value: fields[i+1]})
	}
	f, err := c.c.Do(code, fs, []byte(body))
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

func (c *client) ok(code int32, body string, fields ...string) *wire.Frame {
	c.t.Helper()
	f := c.do(code, body, fields...)
	if f.Code != 0 {
		c.t.Fatalf("request %d: code %d %s", code, f.Code, f.Remark)
	}
	return f
}

func sendFields(topic string, change ...string) []string {
	values := map[string]string{
		"a": "pg", "b": topic, "c": "TBW102", "d": "4", "e": "0", "f": "0", "g": "1700000000000", "h": "0", "i": "UNIQ_KEY\x01ID1\x02TAGS\x01t\x02", "j": "0", "m": "false",
	}
	for i := 0; i < len(change); i += 2 {
		values[change[i]] = change[i+1]
	}
	var out []string
	for k, v := range values {
		out = append(out, k, v)
	}
	return out
}

func pullFields(group, topic string, offset int, change ...string) []string {
	values := map[string]string{
		"consumerGroup": group, "topic": topic, "queueId": "0", "queueOffset": strconv.Itoa(offset), "maxMsgNums": "32", "sysFlag": "4",
		"commitOffset": "0", "suspendTimeoutMillis": "0", "subscription": "*", "subVersion": "0",
	}
	for i := 0; i < len(change); i += 2 {
		values[change[i]] = change[i+1]
	}
	var out []string
	for k, v := range values {
		out = append(out, k, v)
	}
	return out
}

func TestSendAnswersWhatClientsNeed(t *testing.T) {
	b := start(t)
	c := b.client()
	f := c.ok(wire.SendMessageV2, "hello", sendFields("orders")...)
	for name, want := range map[string]string{"queueId": "0", "queueOffset": "0", "transactionId": "ID1", "MSG_REGION": "DefaultRegion", "TRACE_ON": "true"} {
		if got := f.String(name); got != want {
			t.Errorf("%s is %q, expected %q", name, got, want)
		}
	}
	id := f.String("msgId")
	host, position, err := message.ParseOffsetID(id)
	if err != nil || host.String() != "10.0.0.1:10911" {
		t.Fatalf("msgId %s: %v %v", id, host, err)
	}
	raw := c.ok(wire.ViewMessage, "", "offset", strconv.FormatInt(position, 10)).Body
	if v, err := message.Parse(raw); err != nil || string(v.Body()) != "hello" {
		t.Fatalf("viewed %v", err)
	}
}

// TestSendFormsAgree: codes 10 and 310 and 320 store the same message.
func TestSendFormsAgree(t *testing.T) {
	c := start(t).client()
	c.ok(wire.SendMessageV2, "x", sendFields("orders")...)
	c.ok(wire.SendMessage, "x", "producerGroup", "pg", "topic", "orders", "defaultTopic", "TBW102", "defaultTopicQueueNums", "4", "queueId", "0", "sysFlag", "0",
		"bornTimestamp", "1700000000000", "flag", "0", "properties", "UNIQ_KEY\x01ID1\x02TAGS\x01t\x02")
	f := c.ok(wire.SendBatch, string(batchBody("x", "y")), sendFields("orders", "m", "true")...)
	if ids := strings.Split(f.String("msgId"), ","); len(ids) != 2 || f.String("queueOffset") != "2" {
		t.Fatalf("batch: %s at %s", ids, f.String("queueOffset"))
	}
	body := c.ok(wire.PullMessage, "", pullFields("g", "orders", 0)...).Body
	var first message.View
	for n := 0; len(body) > 0; n++ {
		v, err := message.Parse(body)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			first = v
		} else if n == 1 && (!bytes.Equal(v.Properties(), first.Properties()) || v.BornTime() != first.BornTime()) {
			t.Fatalf("code 10 stored %q, 310 %q", v.Properties(), first.Properties())
		}
		body = body[len(v):]
	}
}

// batchBody is RocketMQ's batch of messages without properties.
func batchBody(bodies ...string) (b []byte) {
	for _, s := range bodies {
		b = binary.BigEndian.AppendUint32(b, uint32(22+len(s)))
		b = append(b, make([]byte, 12)...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(append(b, s...), 0, 0)
	}
	return b
}

// TestBadInput is the attack list of what reaches the front as whole frames (perf-reliability.md 14).
func TestBadInput(t *testing.T) {
	b := start(t)
	c := b.client()
	c.ok(wire.SendMessageV2, "there", sendFields("orders")...)
	cut := batchBody("x")
	zero := append([]byte(nil), cut...)
	binary.BigEndian.PutUint32(zero, 0)
	long := append([]byte(nil), cut...)
	binary.BigEndian.PutUint32(long[16:], 1<<30)
	for name, x := range map[string]struct {
		code   int32
		body   string
		fields []string
		want   int32
		text   string
	}{
		"unknown code":             {9999, "", nil, 3, "request type 9999 not supported"},
		"number that is none":      {wire.SendMessageV2, "x", sendFields("orders", "e", "zero"), 1, `e (queueId): "zero"`},
		"number of 65 bits":        {wire.SendMessageV2, "x", sendFields("orders", "g", "99999999999999999999"), 1, "g (bornTimestamp)"},
		"32-bit overflow":          {wire.SendMessageV2, "x", sendFields("orders", "e", "4294967296"), 1, "does not fit into 32 bits"},
		"body over the limit":      {wire.SendMessageV2, strings.Repeat("x", 8<<10+1), sendFields("orders"), 13, "8192B, this one has 8193B"},
		"path as topic":            {wire.SendMessageV2, "x", sendFields("../../etc"), 29, "illegal characters"},
		"queue":                    {wire.SendMessageV2, "x", sendFields("orders", "e", "77"), 29, "queueId[77]"},
		"dead-letter topic":        {wire.SendMessageV2, "x", sendFields("%DLQ%g"), 16, "forbidden"},
		"send back: no group":      {wire.SendMessageBack, "", []string{"offset", "0", "group", "none", "delayLevel", "0"}, 26, "none"},
		"recall: no handle":        {wire.RecallMessage, "", []string{"topic", "orders", "recallHandle", "x"}, 604, "recall handle is invalid"},
		"batch: inner size 0":      {wire.SendBatch, string(zero), sendFields("orders"), 13, "message 0"},
		"batch: body beyond end":   {wire.SendBatch, string(long), sendFields("orders"), 13, "message 0"},
		"batch: cut":               {wire.SendBatch, string(cut[:10]), sendFields("orders"), 13, "is cut"},
		"batch: empty":             {wire.SendBatch, "", sendFields("orders"), 13, "empty batch"},
		"pull: queue -1":           {wire.PullMessage, "", pullFields("g", "orders", 0, "queueId", "-1"), 29, "queueId[-1]"},
		"pull: queue 2^31-1":       {wire.PullMessage, "", pullFields("g", "orders", 0, "queueId", "2147483647"), 29, "queueId[2147483647]"},
		"pull: unknown topic":      {wire.PullMessage, "", pullFields("g", "nowhere", 0), 17, "nowhere"},
		"pull: not subscribed":     {wire.PullMessage, "", pullFields("g", "orders", 0, "sysFlag", "0"), 24, "group: g"},
		"pull: SQL":                {wire.PullMessage, "", pullFields("g", "orders", 0, "expressionType", "SQL92"), 23, "line 1, column 1"},
		"commit beyond the end":    {wire.UpdateConsumerOffset, "", []string{"consumerGroup", "g", "topic", "orders", "queueId", "0", "commitOffset", "9"}, 29, "from 0 to 1"},
		"commit -1":                {wire.UpdateConsumerOffset, "", []string{"consumerGroup", "g", "topic", "orders", "queueId", "0", "commitOffset", "-1"}, 29, "offset -1"},
		"heartbeat: no JSON":       {wire.Heartbeat, "}", nil, 1, "not readable"},
		"heartbeat: no client":     {wire.Heartbeat, `{"clientID":""}`, nil, 1, "clientID of 0 bytes"},
		"heartbeat: long client":   {wire.Heartbeat, `{"clientID":"` + strings.Repeat("x", 256) + `"}`, nil, 1, "clientID of 256 bytes"},
		"topic: 1025 queues":       {wire.UpdateTopic, "", []string{"topic", "t", "readQueueNums", "1025", "writeQueueNums", "4"}, 29, "from 1 to 1024"},
		"topic: permission":        {wire.UpdateTopic, "", []string{"topic", "t", "perm", "9"}, 29, "permission 9"},
		"topic: system":            {wire.UpdateTopic, "", []string{"topic", "TBW102", "perm", "6"}, 29, "TBW102"},
		"delete a system topic":    {wire.DeleteTopicInBroker, "", []string{"topic", "RMQ_SYS_TRANS_HALF_TOPIC"}, 16, "belongs to the broker"},
		"view in the middle":       {wire.ViewMessage, "", []string{"offset", "77"}, 1, "can not find message by the offset, 77"},
		"query: nothing":           {wire.QueryMessage, "", []string{"topic", "orders", "key", "none", "maxNum", "32", "beginTimestamp", "0", "endTimestamp", "9223372036854775807"}, 22, "can not find"},
		"stats of unknown topic":   {wire.TopicStats, "", []string{"topic", "nowhere"}, 17, "nowhere"},
		"nobody online":            {wire.ConsumerConnections, "", []string{"consumerGroup", "nobody"}, 206, "not online"},
		"consumer list of nobody":  {wire.ConsumerList, "", []string{"consumerGroup", "nobody"}, 1, "no consumer for this group"},
		"lock: no JSON":            {wire.LockBatch, "x", nil, 1, "not readable"},
		"client config with SQL92": {wire.CheckClientConfig, `{"subscriptionData":{"expressionType":"SQL92","subString":"a > "}}`, nil, 23, "line 1, column 5"},
		"client config with XPATH": {wire.CheckClientConfig, `{"subscriptionData":{"expressionType":"XPATH","subString":"a"}}`, nil, 1, "XPATH"},
	} {
		f := c.do(x.code, x.body, x.fields...)
		if f.Code != x.want || !strings.Contains(string(f.Remark), x.text) {
			t.Errorf("%s: code %d %q, expected %d with %q", name, f.Code, f.Remark, x.want, x.text)
		}
	}
	if n := c.ok(wire.MaxOffset, "", "topic", "orders", "queueId", "0").String("offset"); n != "1" {
		t.Fatalf("the queue ends at %s: something refused was stored", n)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.refused) == 0 {
		t.Fatal("no refusal was told")
	}
}

// TestPullIsClamped: huge numbers are cut to the broker's limits.
func TestPullIsClamped(t *testing.T) {
	c := start(t).client()
	for range 200 {
		c.ok(wire.SendMessageV2, "x", sendFields("orders")...)
	}
	f := c.ok(wire.PullMessage, "", pullFields("g", "orders", 0, "maxMsgNums", "2147483647", "suspendTimeoutMillis", "315360000000")...)
	if next := f.String("nextBeginOffset"); next != "160" {
		t.Fatalf("one answer went to offset %s, the limit is 160 messages", next)
	}
}

func heartbeatBody(id, group, topic string) string {
	return fmt.Sprintf(`{"clientID":%q,"producerDataSet":[{"groupName":"pg"}],"consumerDataSet":[{"groupName":%q,"consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","subscriptionDataSet":[{"topic":%q,"subString":"*","subVersion":1,"codeSet":["1"]}]}]}`, id, group, topic)
}

// TestMembersAreTold: who joins or leaves a group makes the others hear code 40, and the list is up to date by then.
func TestMembersAreTold(t *testing.T) {
	b := start(t)
	first := b.client()
	first.ok(wire.SendMessageV2, "x", sendFields("orders")...)
	first.ok(wire.Heartbeat, heartbeatBody("one", "g", "orders"))
	if _, ok := b.svc.Topic("%RETRY%g"); !ok {
		t.Fatal("the group has no retry topic")
	}
	conn, err := net.Dial("tcp", b.front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	body := heartbeatBody("two", "g", "orders")
	w := wire.Request(nil, wire.Binary, 5, wire.Heartbeat)
	if _, err := conn.Write(append(w.End(len(body)), body...)); err != nil {
		t.Fatal(err)
	}
	expect(t, conn, wire.Heartbeat) // its answer; who joins is not told of itself
	ids := first.ok(wire.ConsumerList, "", "consumerGroup", "g").Body
	if string(ids) != `{"consumerIdList":["one","two"]}` {
		t.Fatalf("members %s", ids)
	}
	first.ok(wire.Unregister, "", "clientID", "one", "consumerGroup", "g")
	expect(t, conn, wire.ConsumerIDsChanged)
	if ids := first.ok(wire.ConsumerList, "", "consumerGroup", "g").Body; string(ids) != `{"consumerIdList":["two"]}` {
		t.Fatalf("members %s", ids)
	}
}

// expect reads frames until each wanted request of the server, or an answer (its code then is 0), has come.
func expect(t *testing.T, conn net.Conn, codes ...int32) {
	t.Helper()
	for range codes {
		head := make([]byte, 4)
		if _, err := io.ReadFull(conn, head); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, binary.BigEndian.Uint32(head))
		if _, err := io.ReadFull(conn, b); err != nil {
			t.Fatal(err)
		}
		var f wire.Frame
		if err := f.Decode(b); err != nil {
			t.Fatal(err)
		}
		if !f.Response() && f.Code != wire.ConsumerIDsChanged {
			t.Fatalf("the server asks with code %d", f.Code)
		}
	}
}

// TestObjectKeyedMaps: tools read maps with queues as keys in the form that only RocketMQ has.
func TestObjectKeyedMaps(t *testing.T) {
	c := start(t).client()
	c.ok(wire.UpdateTopic, "", "topic", "orders", "readQueueNums", "2", "writeQueueNums", "2", "perm", "6", "attributes", "+message.type=NORMAL")
	got := string(c.ok(wire.TopicStats, "", "topic", "orders").Body)
	want := `{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"orders"}:{"lastUpdateTimestamp":0,"maxOffset":0,"minOffset":0},{"brokerName":"broker-a","queueId":1,"topic":"orders"}:{"lastUpdateTimestamp":0,"maxOffset":0,"minOffset":0}},"topicPutTps":0}`
	if got != want {
		t.Fatalf("stats of an empty topic:\n%s", got)
	}
	var config struct{ Attributes map[string]string }
	if err := json.Unmarshal(c.ok(wire.TopicConfig, "", "topic", "orders").Body, &config); err != nil || config.Attributes["message.type"] != "NORMAL" {
		t.Fatalf("attributes %v %v", config, err)
	}
}

// TestOffsetsAndLists walks through what a consumer and a tool ask.
func TestOffsetsAndLists(t *testing.T) {
	c := start(t).client()
	c.ok(wire.SendMessageV2, "x", sendFields("orders")...)
	q := []string{"topic", "orders", "queueId", "0"}
	with := func(more ...string) []string { return append(append([]string(nil), q...), more...) }
	if f := c.do(wire.QueryConsumerOffset, "", with("consumerGroup", "g")...); f.Code != 0 || f.String("offset") != "0" {
		t.Fatalf("a new group in a young queue begins at %s (code %d)", f.String("offset"), f.Code)
	}
	empty := []string{"topic", "orders", "queueId", "1", "consumerGroup", "g"}
	if got := c.ok(wire.QueryConsumerOffset, "", empty...).String("offset"); got != "0" {
		t.Fatalf("a new group in a queue without data begins at %s", got)
	}
	if f := c.do(wire.QueryConsumerOffset, "", append(empty, "setZeroIfNotFound", "false")...); f.Code != 22 {
		t.Fatalf("a queue without data: code %d", f.Code)
	}
	c.ok(wire.UpdateConsumerOffset, "", with("consumerGroup", "g", "commitOffset", "1")...)
	if got := c.ok(wire.QueryConsumerOffset, "", with("consumerGroup", "g")...).String("offset"); got != "1" {
		t.Fatalf("committed 1, asked %s", got)
	}
	if got := string(c.ok(wire.TopicConsumeByWho, "", "topic", "orders").Body); got != `{"groupList":["g"]}` {
		t.Fatal(got)
	}
	for code, name := range map[int32]string{wire.MinOffset: "offset", wire.EarliestStoreTime: "timestamp", wire.OffsetByTimestamp: "offset"} {
		if v := c.ok(code, "", with("timestamp", "0")...).String(name); v == "" {
			t.Errorf("code %d gives no %s", code, name)
		}
	}
	for _, code := range []int32{wire.AllTopicConfig, wire.AllGroupConfig, wire.BrokerRuntimeInfo, wire.SystemTopicsBroker} {
		var v map[string]any
		if err := json.Unmarshal(c.ok(code, "").Body, &v); err != nil || len(v) == 0 {
			t.Errorf("code %d: %v", code, err)
		}
	}
	var table struct{ Table map[string]string }
	if err := json.Unmarshal(c.ok(wire.BrokerRuntimeInfo, "").Body, &table); err != nil || table.Table["msgPutTotalTodayNow"] == "" || len(table.Table) < 50 {
		t.Fatalf("runtime info has %d keys: %v", len(table.Table), err)
	}
}

func TestHeartbeatsAndLocksAreBounded(t *testing.T) {
	b := start(t)
	c := b.client()
	many := strings.TrimSuffix(strings.Repeat(`{"groupName":"g"},`, consumersMax+1), ",")
	for body, text := range map[string]string{
		`{"clientID":"c","consumerDataSet":[` + many + `]}`:                "1001 consumer groups, the limit is 1000",
		`{"clientID":"c","x":"` + strings.Repeat("x", heartbeatMax) + `"}`: "the limit is 1048576",
	} {
		if f := c.do(wire.Heartbeat, body); f.Code != service.CodeInvalidParameter || !strings.Contains(string(f.Remark), text) {
			t.Errorf("code %d %s", f.Code, f.Remark)
		}
	}
	long := `{"consumerGroup":"g","clientId":"c","mqSet":[{"topic":"` + strings.Repeat("t", 256) + `","brokerName":"b","queueId":0}]}`
	if f := c.do(wire.LockBatch, long); f.Code != service.CodeInvalidParameter || !strings.Contains(string(f.Remark), "256 bytes") {
		t.Errorf("code %d %s", f.Code, f.Remark)
	}
}
