package grpcapi

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/vfs"
)

// broker is a node with one broker group in memory, and a client of it.
type broker struct {
	t       *testing.T
	svc     *service.Service
	server  *Server
	member  *Member
	members []*Member
	pb.MessagingServiceClient
}

const maxBody = 8 << 10

func start(t *testing.T) *broker {
	t.Helper()
	b := &broker{t: t}
	b.member = b.open("broker-a")
	b.svc, b.members = b.member.Service, []*Member{b.member}
	var err error
	b.server, err = Start(Options{
		Listen: "127.0.0.1:0", TLS: certificate(t), Key: []byte("0123456789abcdef"), Members: func() []*Member { return b.members },
		MaxDelay: 24 * time.Hour, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.MessagingServiceClient = pb.NewMessagingServiceClient(b.dial(insecure.NewCredentials()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = b.server.Shutdown(ctx)
	})
	return b
}

// open is a member in memory, with topics of all types.
func (b *broker) open(name string) *Member {
	t := b.t
	t.Helper()
	svc, err := service.Open(context.Background(), service.Options{
		Cluster: "DefaultCluster", Broker: name, NodeID: "n", StoreHost: netip.MustParseAddrPort("10.0.0.1:10911"), FS: vfs.NewMem(), Dir: "log",
		SegmentBytes: 1 << 20, Durable: true, AutoCreateTopic: true, AutoCreateGroup: true, MaxMessage: maxBody, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Close() })
	clients := group.New()
	svc.SetMembership(clients)
	for name, kind := range map[string]string{"orders": "NORMAL", "steps": "FIFO", "later": "DELAY", "money": "TRANSACTION", "all": "MIXED"} {
		topic := catalog.NewTopic(name, 4)
		topic.Attributes = map[string]string{"message.type": kind}
		if refused := svc.PutTopic(context.Background(), topic); refused != nil {
			t.Fatal(refused)
		}
	}
	return &Member{Name: name, Service: svc, Clients: clients, Leader: func() (string, bool) { return b.server.Addr().String(), true }}
}

func (b *broker) dial(c credentials.TransportCredentials) *grpc.ClientConn {
	b.t.Helper()
	conn, err := grpc.NewClient(b.server.Addr().String(), grpc.WithTransportCredentials(c))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}
}

func as(id string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), clientIDKey, id, languageKey, "GO", versionKey, "5.1.4")
}

func resource(name string) *pb.Resource { return &pb.Resource{Name: name} }

func normal(topic, id, body string) *pb.Message {
	return &pb.Message{Topic: resource(topic), Body: []byte(body), SystemProperties: &pb.SystemProperties{
		MessageId: id, MessageType: pb.MessageType_NORMAL, BornTimestamp: timestamppb.Now(), BodyEncoding: pb.Encoding_IDENTITY,
	}}
}

func (b *broker) send(m ...*pb.Message) *pb.SendMessageResponse {
	b.t.Helper()
	r, err := b.SendMessage(as("p"), &pb.SendMessageRequest{Messages: m})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// consumer tells its settings, and gives its telemetry stream.
func (b *broker) consumer(id, group string) pb.MessagingService_TelemetryClient {
	b.t.Helper()
	kind := pb.ClientType_SIMPLE_CONSUMER
	return b.tell(id, &pb.Settings{ClientType: &kind, RequestTimeout: durationpb.New(time.Second), PubSub: &pb.Settings_Subscription{Subscription: &pb.Subscription{Group: resource(group)}}})
}

func (b *broker) tell(id string, settings *pb.Settings) pb.MessagingService_TelemetryClient {
	b.t.Helper()
	stream, err := b.Telemetry(as(id))
	if err == nil {
		err = stream.Send(&pb.TelemetryCommand{Command: &pb.TelemetryCommand_Settings{Settings: settings}})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return stream
}

func answered(t *testing.T, stream pb.MessagingService_TelemetryClient) *pb.Settings {
	t.Helper()
	m, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if m.GetStatus().GetCode() != pb.Code_OK || m.GetSettings() == nil {
		t.Fatalf("answered %v", m)
	}
	return m.GetSettings()
}

func (b *broker) receive(id, group, topic string, change func(*pb.ReceiveMessageRequest)) (messages []*pb.Message, st *pb.Status) {
	b.t.Helper()
	r := &pb.ReceiveMessageRequest{
		Group: resource(group), MessageQueue: &pb.MessageQueue{Topic: resource(topic), Broker: &pb.Broker{Name: "broker-a"}}, BatchSize: 32,
		InvisibleDuration: durationpb.New(10 * time.Second), FilterExpression: &pb.FilterExpression{Type: pb.FilterType_TAG, Expression: "*"},
	}
	if change != nil {
		change(r)
	}
	ctx, cancel := context.WithTimeout(as(id), 30*time.Second)
	defer cancel()
	stream, err := b.ReceiveMessage(ctx, r)
	if err != nil {
		b.t.Fatal(err)
	}
	for {
		a, err := stream.Recv()
		if err == io.EOF {
			return messages, st
		}
		if err != nil {
			b.t.Fatal(err)
		}
		if a.GetStatus() != nil {
			st = a.GetStatus()
		}
		if a.GetMessage() != nil {
			messages = append(messages, a.GetMessage())
		}
	}
}

func TestWhatIsSentComesAsItWasSent(t *testing.T) {
	b := start(t)
	m := normal("orders", "ID1", "a body")
	tag, context := "paid", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	m.SystemProperties.Tag, m.SystemProperties.Keys, m.SystemProperties.TraceContext, m.SystemProperties.BornHost = &tag, []string{"k1", "k2"}, &context, "shop-1"
	m.UserProperties = map[string]string{"color": "red", "traceparent": "mine"}
	r := b.send(m)
	if r.GetStatus().GetCode() != pb.Code_OK || len(r.GetEntries()) != 1 || r.GetEntries()[0].GetMessageId() != "ID1" || r.GetEntries()[0].GetTransactionId() != "ID1" || r.GetEntries()[0].GetRecallHandle() != "" {
		t.Fatalf("%v", r)
	}
	answered(t, b.consumer("c", "billing"))
	got, st := b.receive("c", "billing", "orders", nil)
	if st.GetCode() != pb.Code_OK || len(got) != 1 {
		t.Fatalf("%v %v", st, got)
	}
	sp := got[0].GetSystemProperties()
	if string(got[0].GetBody()) != "a body" || got[0].GetTopic().GetName() != "orders" || got[0].GetUserProperties()["color"] != "red" || len(got[0].GetUserProperties()) != 2 {
		t.Errorf("%v", got[0])
	}
	if sp.GetTag() != tag || !slices.Equal(sp.GetKeys(), []string{"k1", "k2"}) || sp.GetMessageId() != "ID1" || sp.GetTraceContext() != context || sp.GetBornHost() != "shop-1" ||
		sp.GetMessageType() != pb.MessageType_NORMAL || sp.GetDeliveryAttempt() != 1 || sp.GetQueueOffset() != 0 || sp.GetInvisibleDuration().AsDuration() != 10*time.Second {
		t.Errorf("%v", sp)
	}
}

// TestBadMessagesAreRefused: each with RocketMQ's code, and a text that names what is wrong.
func TestBadMessagesAreRefused(t *testing.T) {
	b := start(t)
	for _, c := range []struct {
		what   string
		code   pb.Code
		text   string
		change func(*pb.Message)
	}{
		{"no topic", pb.Code_ILLEGAL_TOPIC, "blank", func(m *pb.Message) { m.Topic = nil }},
		{"a path", pb.Code_ILLEGAL_TOPIC, "illegal characters", func(m *pb.Message) { m.Topic.Name = "../../etc" }},
		{"a slash", pb.Code_ILLEGAL_TOPIC, "illegal characters", func(m *pb.Message) { m.Topic.Name = "a/b" }},
		{"a zero byte", pb.Code_ILLEGAL_TOPIC, "illegal characters", func(m *pb.Message) { m.Topic.Name = "a\x00b" }},
		{"256 characters", pb.Code_ILLEGAL_TOPIC, "longer than", func(m *pb.Message) { m.Topic.Name = strings.Repeat("x", 256) }},
		{"look-alikes", pb.Code_ILLEGAL_TOPIC, "illegal characters", func(m *pb.Message) { m.Topic.Name = "оrders" }},
		{"the broker's topic", pb.Code_ILLEGAL_TOPIC, "cannot access system topic", func(m *pb.Message) { m.Topic.Name = "SCHEDULE_TOPIC_XXXX" }},
		{"the half topic", pb.Code_ILLEGAL_TOPIC, "cannot access system topic", func(m *pb.Message) { m.Topic.Name = "RMQ_SYS_TRANS_HALF_TOPIC" }},
		{"an unknown topic", pb.Code_TOPIC_NOT_FOUND, "CODE: 17  DESC: No topic route info in name server for the topic: unknown", func(m *pb.Message) { m.Topic.Name = "unknown" }},
		{"no body", pb.Code_MESSAGE_BODY_EMPTY, "cannot be empty", func(m *pb.Message) { m.Body = nil }},
		{"a large body", pb.Code_MESSAGE_BODY_TOO_LARGE, "8192", func(m *pb.Message) { m.Body = make([]byte, maxBody+1) }},
		{"no id", pb.Code_ILLEGAL_MESSAGE_ID, "message id cannot be empty", func(m *pb.Message) { m.SystemProperties.MessageId = " " }},
		{"an id that smuggles", pb.Code_ILLEGAL_MESSAGE_ID, "control characters", func(m *pb.Message) { m.SystemProperties.MessageId = "a\x02TRAN_MSG\x01true" }},
		{"a tag with |", pb.Code_ILLEGAL_MESSAGE_TAG, "a|b", func(m *pb.Message) { tag := "a|b"; m.SystemProperties.Tag = &tag }},
		{"a blank key", pb.Code_ILLEGAL_MESSAGE_KEY, "whitespace", func(m *pb.Message) { m.SystemProperties.Keys = []string{"a", " "} }},
		{"a key that smuggles", pb.Code_ILLEGAL_MESSAGE_KEY, "control", func(m *pb.Message) { m.SystemProperties.Keys = []string{"a\x02DELAY\x013"} }},
		{"a long message group", pb.Code_ILLEGAL_MESSAGE_GROUP, "64", func(m *pb.Message) { g := strings.Repeat("g", 64); m.SystemProperties.MessageGroup = &g }},
		{"a born host that smuggles", pb.Code_BAD_REQUEST, "born host", func(m *pb.Message) { m.SystemProperties.BornHost = "h\x02POP_CK\x011" }},
		{"a context that smuggles", pb.Code_BAD_REQUEST, "trace context", func(m *pb.Message) { x := "x\x02REAL_TOPIC\x01y"; m.SystemProperties.TraceContext = &x }},
		{"the broker's property", pb.Code_ILLEGAL_MESSAGE_PROPERTY_KEY, "REAL_TOPIC", func(m *pb.Message) { m.UserProperties = map[string]string{"REAL_TOPIC": "x"} }},
		{"a property's name that smuggles", pb.Code_ILLEGAL_MESSAGE_PROPERTY_KEY, "key of property", func(m *pb.Message) { m.UserProperties = map[string]string{"x\x01y\x02PGROUP": "x"} }},
		{"a property that smuggles", pb.Code_ILLEGAL_MESSAGE_PROPERTY_KEY, "value of property", func(m *pb.Message) { m.UserProperties = map[string]string{"x": "y\x02TIMER_OUT_MS\x011"} }},
		{"large properties", pb.Code_MESSAGE_PROPERTIES_TOO_LARGE, "16384", func(m *pb.Message) { m.UserProperties = map[string]string{"x": strings.Repeat("x", 16384)} }},
		{"another type", pb.Code_MESSAGE_PROPERTY_CONFLICT_WITH_TYPE, "expected type is NORMAL", func(m *pb.Message) { m.SystemProperties.MessageType = pb.MessageType_FIFO }},
		{"no type", pb.Code_MESSAGE_PROPERTY_CONFLICT_WITH_TYPE, "expected type is NORMAL", func(m *pb.Message) { m.SystemProperties.MessageType = 0 }},
	} {
		m := normal("orders", "ID", "body")
		c.change(m)
		if st := b.send(m).GetStatus(); st.GetCode() != c.code || !strings.Contains(st.GetMessage(), c.text) {
			t.Errorf("%s: %v, want %s with %q", c.what, st, c.code, c.text)
		}
	}
	far := normal("later", "ID", "body")
	far.SystemProperties.MessageType, far.SystemProperties.DeliveryTimestamp = pb.MessageType_DELAY, timestamppb.New(time.Now().Add(25*time.Hour))
	if st := b.send(far).GetStatus(); st.GetCode() != pb.Code_ILLEGAL_DELIVERY_TIME || !strings.Contains(st.GetMessage(), "86400000") {
		t.Errorf("too far ahead: %v", st)
	}
	if st := b.send().GetStatus(); st.GetCode() != pb.Code_MESSAGE_CORRUPTED {
		t.Errorf("nothing: %v", st)
	}
	if st := b.send(normal("orders", "1", "x"), normal("all", "2", "x")).GetStatus(); st.GetCode() != pb.Code_MESSAGE_CORRUPTED || st.GetMessage() != "topic in message is not same" {
		t.Errorf("two topics: %v", st)
	}
	if _, max, _ := b.svc.Shard().Index().Lookup("orders").Queue(0).Bounds(); max != 0 {
		t.Errorf("%d were stored", max)
	}
}

// TestWhoDoesNotSayWhoItIs: every call wants the client's id, and answers in its own form.
func TestWhoDoesNotSayWhoItIs(t *testing.T) {
	b, ctx := start(t), context.Background()
	want := func(what string, st *pb.Status, err error) {
		t.Helper()
		if err != nil || st.GetCode() != pb.Code_CLIENT_ID_REQUIRED || st.GetMessage() != "client id cannot be empty" {
			t.Errorf("%s: %v %v", what, st, err)
		}
	}
	route, err := b.QueryRoute(ctx, &pb.QueryRouteRequest{Topic: resource("orders")})
	want("route", route.GetStatus(), err)
	beat, err := b.Heartbeat(ctx, &pb.HeartbeatRequest{})
	want("heartbeat", beat.GetStatus(), err)
	sent, err := b.SendMessage(ctx, &pb.SendMessageRequest{Messages: []*pb.Message{normal("orders", "1", "x")}})
	want("send", sent.GetStatus(), err)
	assignment, err := b.QueryAssignment(ctx, &pb.QueryAssignmentRequest{})
	want("assignment", assignment.GetStatus(), err)
	ack, err := b.AckMessage(ctx, &pb.AckMessageRequest{})
	want("ack", ack.GetStatus(), err)
	change, err := b.ChangeInvisibleDuration(ctx, &pb.ChangeInvisibleDurationRequest{})
	want("change", change.GetStatus(), err)
	dead, err := b.ForwardMessageToDeadLetterQueue(ctx, &pb.ForwardMessageToDeadLetterQueueRequest{})
	want("dead letter", dead.GetStatus(), err)
	end, err := b.EndTransaction(ctx, &pb.EndTransactionRequest{})
	want("end", end.GetStatus(), err)
	recall, err := b.RecallMessage(ctx, &pb.RecallMessageRequest{})
	want("recall", recall.GetStatus(), err)
	gone, err := b.NotifyClientTermination(ctx, &pb.NotifyClientTerminationRequest{})
	want("termination", gone.GetStatus(), err)
	stream, err := b.ReceiveMessage(ctx, &pb.ReceiveMessageRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	want("receive", first.GetStatus(), err)
	if beat, err := b.Heartbeat(as("stranger"), &pb.HeartbeatRequest{}); err != nil || beat.GetStatus().GetCode() != pb.Code_UNRECOGNIZED_CLIENT_TYPE {
		t.Errorf("heartbeat of one that told no settings: %v %v", beat, err)
	}
}

func TestSettingsAreAnswered(t *testing.T) {
	b := start(t)
	g := catalog.NewGroup("ordered")
	g.ConsumeMessageOrderly, g.RetryMaxTimes, g.RetryPolicy = true, 2, &catalog.RetryPolicy{Type: "CUSTOMIZED", Customized: &catalog.CustomizedRetryPolicy{NextMillis: []int64{0, 0, 1000, 2000}}}
	if err := b.svc.PutGroup(context.Background(), g); err != nil {
		t.Fatal(err)
	}
	s := answered(t, b.consumer("c", "ordered"))
	next := s.GetBackoffPolicy().GetCustomizedBackoff().GetNext()
	if !s.GetSubscription().GetFifo() || s.GetBackoffPolicy().GetMaxAttempts() != 3 || len(next) != 2 || next[0].AsDuration() != time.Second || next[1].AsDuration() != 2*time.Second || s.GetSubscription().GetReceiveBatchSize() != 32 {
		t.Errorf("%v", s)
	}
	s = answered(t, b.consumer("c2", "plain"))
	if n := s.GetBackoffPolicy().GetCustomizedBackoff().GetNext(); s.GetSubscription().GetFifo() || s.GetBackoffPolicy().GetMaxAttempts() != 17 || len(n) != 16 || n[0].AsDuration() != 10*time.Second || n[15].AsDuration() != 2*time.Hour {
		t.Errorf("%v", s)
	}
	if _, ok := b.svc.Group("plain"); !ok {
		t.Error("the group was not made")
	}
	kind := pb.ClientType_PRODUCER
	s = answered(t, b.tell("p", &pb.Settings{ClientType: &kind, PubSub: &pb.Settings_Publishing{Publishing: &pb.Publishing{Topics: []*pb.Resource{resource("orders")}}}}))
	if s.GetPublishing().GetMaxBodySize() != maxBody || !s.GetPublishing().GetValidateMessageType() || s.GetBackoffPolicy().GetExponentialBackoff() == nil {
		t.Errorf("%v", s)
	}
	if ids := b.member.Clients.ConsumerIDs("ordered"); !slices.Equal(ids, []string{"c"}) {
		t.Errorf("members %q", ids)
	}
	for what, bad := range map[string]*pb.Settings{
		"nothing":                {ClientType: &kind},
		"a system group":         {PubSub: &pb.Settings_Subscription{Subscription: &pb.Subscription{Group: resource("CID_RMQ_SYS_TRANS")}}},
		"a group that is a path": {PubSub: &pb.Settings_Subscription{Subscription: &pb.Subscription{Group: resource("../x")}}},
		"too many topics":        {PubSub: &pb.Settings_Publishing{Publishing: &pb.Publishing{Topics: slices.Repeat([]*pb.Resource{resource("orders")}, topicsMax+1)}}},
	} {
		if _, err := b.tell("bad", bad).Recv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A client leaves its groups with its stream, and by its word.
func TestClientsLeaveTheirGroups(t *testing.T) {
	b := start(t)
	ctx, cancel := context.WithCancel(as("c1"))
	stream, err := b.Telemetry(ctx)
	if err != nil {
		t.Fatal(err)
	}
	kind := pb.ClientType_PUSH_CONSUMER
	settings := &pb.Settings{ClientType: &kind, PubSub: &pb.Settings_Subscription{Subscription: &pb.Subscription{Group: resource("billing")}}}
	if err := stream.Send(&pb.TelemetryCommand{Command: &pb.TelemetryCommand_Settings{Settings: settings}}); err != nil {
		t.Fatal(err)
	}
	answered(t, stream)
	answered(t, b.consumer("c2", "billing"))
	if ids := b.member.Clients.ConsumerIDs("billing"); !slices.Equal(ids, []string{"c1", "c2"}) {
		t.Fatalf("members %q", ids)
	}
	cancel()
	eventually(t, "the one without a stream is out", func() bool { return slices.Equal(b.member.Clients.ConsumerIDs("billing"), []string{"c2"}) })
	if r, err := b.NotifyClientTermination(as("c2"), &pb.NotifyClientTerminationRequest{Group: resource("billing")}); err != nil || r.GetStatus().GetCode() != pb.Code_OK {
		t.Fatal(r, err)
	}
	if ids := b.member.Clients.ConsumerIDs("billing"); len(ids) != 0 {
		t.Errorf("members %q", ids)
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

// TestReceiptsSettleOnlyWhatTheyAreOf: nobody can make one up, use it for another group or topic, or use it twice for different things.
func TestReceiptsSettleOnlyWhatTheyAreOf(t *testing.T) {
	b := start(t)
	b.send(normal("orders", "1", "x"))
	answered(t, b.consumer("c", "billing"))
	got, _ := b.receive("c", "billing", "orders", nil)
	if len(got) != 1 {
		t.Fatalf("%v", got)
	}
	receipt := got[0].GetSystemProperties().GetReceiptHandle()
	ack := func(group, topic, receipt string) pb.Code {
		t.Helper()
		r, err := b.AckMessage(as("c"), &pb.AckMessageRequest{Group: resource(group), Topic: resource(topic), Entries: []*pb.AckMessageEntry{{MessageId: "1", ReceiptHandle: receipt}}})
		if err != nil || len(r.GetEntries()) != 1 || r.GetEntries()[0].GetStatus().GetCode() != r.GetStatus().GetCode() {
			t.Fatal(r, err)
		}
		return r.GetStatus().GetCode()
	}
	change := func(receipt string, d time.Duration) (string, pb.Code) {
		t.Helper()
		r, err := b.ChangeInvisibleDuration(as("c"), &pb.ChangeInvisibleDurationRequest{Group: resource("billing"), Topic: resource("orders"), ReceiptHandle: receipt, InvisibleDuration: durationpb.New(d)})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetReceiptHandle(), r.GetStatus().GetCode()
	}
	forged := []byte(receipt)
	forged[len(forged)-1] ^= 1
	for what, bad := range map[string]string{"none": "", "garbage": "%%%", "short": "AAAA", "forged": string(forged), "endless": strings.Repeat("A", 1<<16), "remoting's": "0 1700000000000 60000 0 0 broker-a 0 0"} {
		if code := ack("billing", "orders", bad); code != pb.Code_INVALID_RECEIPT_HANDLE {
			t.Errorf("%s: %s", what, code)
		}
		if _, code := change(bad, 10*time.Second); code != pb.Code_INVALID_RECEIPT_HANDLE {
			t.Errorf("change of %s: %s", what, code)
		}
	}
	for _, other := range [][2]string{{"audit", "orders"}, {"billing", "all"}} {
		if code := ack(other[0], other[1], receipt); code == pb.Code_OK {
			t.Errorf("%v acknowledged by the receipt of billing in orders", other)
		}
	}
	if _, code := change(receipt, 13*time.Hour); code != pb.Code_ILLEGAL_INVISIBLE_TIME {
		t.Errorf("13 hours: %s", code)
	}
	newest, code := change(receipt, 20*time.Second)
	if code != pb.Code_OK || newest == receipt {
		t.Fatalf("change: %s", code)
	}
	if _, code := change(receipt, 20*time.Second); code != pb.Code_INVALID_RECEIPT_HANDLE {
		t.Errorf("change by the old receipt: %s", code)
	}
	if code := ack("billing", "orders", newest); code != pb.Code_OK {
		t.Errorf("by the new one: %s", code)
	}
	r, err := b.AckMessage(as("c"), &pb.AckMessageRequest{Group: resource("billing"), Topic: resource("orders"), Entries: []*pb.AckMessageEntry{{ReceiptHandle: newest}, {ReceiptHandle: "x"}}})
	if err != nil || r.GetStatus().GetCode() != pb.Code_MULTIPLE_RESULTS {
		t.Errorf("one good and one bad: %v %v", r, err)
	}
	h, st := b.server.readReceipt(newest)
	if st != nil || !expired(&h, time.UnixMilli(h.PopMillis+h.InvisibleMillis)) || expired(&h, time.UnixMilli(h.PopMillis+h.InvisibleMillis-1)) {
		t.Errorf("%+v %v", h, st)
	}
}

func TestReceivesAreChecked(t *testing.T) {
	b := start(t)
	answered(t, b.consumer("c", "billing"))
	for _, c := range []struct {
		what   string
		code   pb.Code
		change func(*pb.ReceiveMessageRequest)
	}{
		{"1 s", pb.Code_ILLEGAL_INVISIBLE_TIME, func(r *pb.ReceiveMessageRequest) { r.InvisibleDuration = durationpb.New(time.Second) }},
		{"13 h", pb.Code_ILLEGAL_INVISIBLE_TIME, func(r *pb.ReceiveMessageRequest) { r.InvisibleDuration = durationpb.New(13 * time.Hour) }},
		{"no time", pb.Code_ILLEGAL_INVISIBLE_TIME, func(r *pb.ReceiveMessageRequest) { r.InvisibleDuration = nil }},
		{"an unknown topic", pb.Code_TOPIC_NOT_FOUND, func(r *pb.ReceiveMessageRequest) { r.MessageQueue.Topic = resource("unknown") }},
		{"no topic", pb.Code_ILLEGAL_TOPIC, func(r *pb.ReceiveMessageRequest) { r.MessageQueue = nil }},
		{"a system group", pb.Code_ILLEGAL_CONSUMER_GROUP, func(r *pb.ReceiveMessageRequest) { r.Group = resource("CID_RMQ_SYS_TRANS") }},
		{"a long attempt id", pb.Code_BAD_REQUEST, func(r *pb.ReceiveMessageRequest) { a := strings.Repeat("x", 256); r.AttemptId = &a }},
		{"SQL that is none", pb.Code_ILLEGAL_FILTER_EXPRESSION, func(r *pb.ReceiveMessageRequest) {
			r.FilterExpression = &pb.FilterExpression{Type: pb.FilterType_SQL, Expression: "a >"}
		}},
		{"SQL that is deep", pb.Code_ILLEGAL_FILTER_EXPRESSION, func(r *pb.ReceiveMessageRequest) {
			r.FilterExpression = &pb.FilterExpression{Type: pb.FilterType_SQL, Expression: strings.Repeat("(", 10_000) + "a=1" + strings.Repeat(")", 10_000)}
		}},
	} {
		if got, st := b.receive("c", "billing", "orders", c.change); st.GetCode() != c.code || len(got) != 0 {
			t.Errorf("%s: %v", c.what, st)
		}
	}
	b.send(normal("orders", "1", "x"))
	if got, st := b.receive("stranger", "strangers", "orders", nil); len(got) != 1 {
		t.Errorf("one that told no settings: %v", st)
	}
	if sub, found, online := b.member.Clients.Subscription("strangers", "orders"); !found || !online || sub.Expression != "*" {
		t.Errorf("what it subscribes to: %+v %v %v", sub, found, online)
	}
}

func TestHowLongAReceiveIsHeld(t *testing.T) {
	const never = time.Duration(-1)
	s := time.Second
	for _, c := range []struct {
		deadline, asked, want time.Duration
		version               string
		code                  pb.Code
	}{
		{never, never, 20 * s, "5.1.4", 0},
		{never, 7 * s, 7 * s, "5.1.4", 0},
		{never, s, 5 * s, "5.1.4", 0},
		{60 * s, 40 * s, 20 * s, "5.1.4", 0},
		{13 * s, 10 * s, 10 * s, "5.1.4", 0},
		{10 * s, never, 8500 * time.Millisecond, "5.1.4", 0}, // without half of 3 s
		{10 * s, 10 * s, 9850 * time.Millisecond, "5.0.0", 0},
		{8 * s, 10 * s, 7850 * time.Millisecond, "5.0.0", 0},
		{5100 * time.Millisecond, 5100 * time.Millisecond, 4950 * time.Millisecond, "5.0.0", 0},
		{4 * s, 4 * s, 0, "5.0.0", pb.Code_BAD_REQUEST},
		{4 * s, 4 * s, 0, "5.0.3", pb.Code_ILLEGAL_POLLING_TIME},
	} {
		ctx, cancel := context.Background(), func() {}
		if c.deadline != never {
			ctx, cancel = context.WithTimeout(ctx, c.deadline)
		}
		r := &pb.ReceiveMessageRequest{}
		if c.asked != never {
			r.LongPollingTimeout = durationpb.New(c.asked)
		}
		got, st := pollTime(ctx, r, 3*s, c.version)
		cancel()
		if st.GetCode() != c.code || got > c.want || got < c.want-s/2 { // some of the time is gone
			t.Errorf("%v of %v: %v %v, expected %v %v", c.asked, c.deadline, got, st, c.want, c.code)
		}
	}
}

// Who gives a call as long as it asks the receive to be held is told that nothing came: its time is not over before.
func TestNothingCameWithinTheCallsTime(t *testing.T) {
	b := start(t)
	answered(t, b.consumer("c", "billing"))
	const d = 5100 * time.Millisecond
	var st *pb.Status
	for try := 0; try < 3 && st == nil; try++ { // a machine may be busy for longer than is left
		ctx, cancel := context.WithTimeout(as("c"), d)
		stream, err := b.ReceiveMessage(ctx, &pb.ReceiveMessageRequest{
			Group: resource("billing"), MessageQueue: &pb.MessageQueue{Topic: resource("orders")}, InvisibleDuration: durationpb.New(10 * time.Second), LongPollingTimeout: durationpb.New(d),
		})
		if err != nil {
			t.Fatal(err)
		}
		a, err := stream.Recv()
		if cancel(); err != nil {
			t.Log(err)
		}
		st = a.GetStatus()
	}
	if st.GetCode() != pb.Code_MESSAGE_NOT_FOUND {
		t.Errorf("answered %v", st)
	}
}

// The first decision wins; the same again is no error.
func TestTransactionsEndOnce(t *testing.T) {
	b := start(t)
	m := normal("money", "TX1", "x")
	m.SystemProperties.MessageType = pb.MessageType_TRANSACTION
	r := b.send(m)
	if r.GetStatus().GetCode() != pb.Code_OK {
		t.Fatal(r)
	}
	end := func(id string, to pb.TransactionResolution) pb.Code {
		t.Helper()
		e, err := b.EndTransaction(as("p"), &pb.EndTransactionRequest{Topic: resource("money"), MessageId: id, TransactionId: id, Resolution: to})
		if err != nil {
			t.Fatal(err)
		}
		return e.GetStatus().GetCode()
	}
	for _, c := range []struct {
		id   string
		to   pb.TransactionResolution
		want pb.Code
	}{
		{"TX2", pb.TransactionResolution_COMMIT, pb.Code_NOT_FOUND}, {"", pb.TransactionResolution_COMMIT, pb.Code_ILLEGAL_MESSAGE_ID},
		{"TX1", pb.TransactionResolution_TRANSACTION_RESOLUTION_UNSPECIFIED, pb.Code_OK}, {"TX1", pb.TransactionResolution_COMMIT, pb.Code_OK},
		{"TX1", pb.TransactionResolution_COMMIT, pb.Code_OK}, {"TX1", pb.TransactionResolution_ROLLBACK, pb.Code_INTERNAL_SERVER_ERROR},
	} {
		if code := end(c.id, c.to); code != c.want {
			t.Errorf("%s of %q: %s, want %s", c.to, c.id, code, c.want)
		}
	}
	answered(t, b.consumer("c", "billing"))
	got, _ := b.receive("c", "billing", "money", nil)
	if len(got) != 1 || got[0].GetSystemProperties().GetMessageType() != pb.MessageType_TRANSACTION || got[0].GetUserProperties()[message.PropTransactionID] != "TX1" {
		t.Errorf("%v", got)
	}
}

func TestRecallHandlesAreChecked(t *testing.T) {
	b := start(t)
	m := normal("later", "D1", "x")
	m.SystemProperties.MessageType, m.SystemProperties.DeliveryTimestamp = pb.MessageType_DELAY, timestamppb.New(time.Now().Add(time.Hour))
	handle := b.send(m).GetEntries()[0].GetRecallHandle()
	recall := func(topic, handle string) *pb.RecallMessageResponse {
		t.Helper()
		r, err := b.RecallMessage(as("p"), &pb.RecallMessageRequest{Topic: resource(topic), RecallHandle: handle})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range [][3]string{{"later", "nonsense", "recall handle is invalid"}, {"later", "", "recall handle is invalid"}, {"orders", handle, "topic not match"}} {
		if r := recall(c[0], c[1]); r.GetStatus().GetCode() != pb.Code_INTERNAL_SERVER_ERROR || !strings.Contains(r.GetStatus().GetMessage(), c[2]) {
			t.Errorf("%v: %v", c, r)
		}
	}
	if r := recall("later", handle); r.GetStatus().GetCode() != pb.Code_OK || r.GetMessageId() != "D1" {
		t.Errorf("%v", r)
	}
	if r := recall("later", handle); r.GetStatus().GetCode() != pb.Code_INTERNAL_SERVER_ERROR || !strings.Contains(r.GetStatus().GetMessage(), "cancelled already") {
		t.Errorf("again: %v", r)
	}
}

// TestBrokerGroupsAreApart: a node has members of several, and one client sends to all of them. What is kept of a client for one of them is nothing to another:
// a message that was stored in one log with the place in a queue of another one stopped both.
func TestBrokerGroupsAreApart(t *testing.T) {
	b := start(t)
	b.members = append(b.members, b.open("broker-b"))
	for i := range 60 {
		if r := b.send(normal("orders", fmt.Sprint("ID", i), "x")); r.GetStatus().GetCode() != pb.Code_OK {
			t.Fatal(r)
		}
	}
	total := int64(0)
	for _, m := range b.members {
		stored := int64(0)
		for id := range int32(4) {
			_, end, _ := m.Service.Shard().Index().Lookup("orders").Queue(id).Bounds()
			stored += end
		}
		if total += stored; stored == 0 {
			t.Errorf("%s has none", m.Name)
		}
	}
	if total != 60 {
		t.Errorf("%d of 60 are stored", total)
	}
}

// TestOnePortForAll: TLS, no TLS, and neither of them.
func TestOnePortForAll(t *testing.T) {
	b := start(t)
	secure := pb.NewMessagingServiceClient(b.dial(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})))
	for name, c := range map[string]pb.MessagingServiceClient{"plain": b, "TLS": secure} {
		if r, err := c.QueryRoute(as("p"), &pb.QueryRouteRequest{Topic: resource("orders")}); err != nil || len(r.GetMessageQueues()) != 4 {
			t.Errorf("%s: %v %v", name, r, err)
		}
	}
	if _, err := pb.NewMessagingServiceClient(b.dial(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}))).QueryRoute(as("p"), &pb.QueryRouteRequest{Topic: resource("orders")}); err == nil {
		t.Error("TLS 1.1 is taken")
	}
	silent, err := net.Dial("tcp", b.server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	garbage, err := net.Dial("tcp", b.server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer garbage.Close()
	if _, err := garbage.Write(bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 100)); err != nil {
		t.Fatal(err)
	}
	_ = garbage.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.Copy(io.Discard, garbage); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("garbage is not hung up on: %v", err)
	}
	if _, err := b.QueryRoute(as("p"), &pb.QueryRouteRequest{Topic: resource("orders")}); err != nil {
		t.Errorf("beside a silent connection: %v", err)
	}
}

func TestLargeRequestsAreRefused(t *testing.T) {
	b := start(t)
	_, err := b.SendMessage(as("p"), &pb.SendMessageRequest{Messages: []*pb.Message{normal("orders", "1", strings.Repeat("x", frameMax))}})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("%d bytes: %v", frameMax, err)
	}
	if _, err := b.QueryRoute(metadata.AppendToOutgoingContext(as("p"), "x-large", strings.Repeat("x", 1<<20)), &pb.QueryRouteRequest{Topic: resource("orders")}); err == nil {
		t.Error("a header list of 1 MiB is taken")
	}
	if st := b.send(slices.Repeat([]*pb.Message{normal("orders", "1", "x")}, messagesMax+1)...).GetStatus(); st.GetCode() != pb.Code_BAD_REQUEST || !strings.Contains(st.GetMessage(), "1024") {
		t.Errorf("%v", st)
	}
}

func TestRoutesNameTheLeader(t *testing.T) {
	b := start(t)
	route := func(topic string) *pb.QueryRouteResponse {
		t.Helper()
		r, err := b.QueryRoute(as("p"), &pb.QueryRouteRequest{Topic: resource(topic)})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := route("all")
	q := r.GetMessageQueues()[0]
	if len(r.GetMessageQueues()) != 4 || q.GetPermission() != pb.Permission_READ_WRITE || q.GetBroker().GetName() != "broker-a" || q.GetBroker().GetEndpoints().GetScheme() != pb.AddressScheme_IPv4 || len(q.GetAcceptMessageTypes()) != 4 {
		t.Errorf("%v", r)
	}
	if st := route("unknown").GetStatus(); st.GetCode() != pb.Code_TOPIC_NOT_FOUND {
		t.Errorf("%v", st)
	}
	b.member.Leader = func() (string, bool) { return "", false }
	if st := route("all").GetStatus(); st.GetCode() != pb.Code_HA_NOT_AVAILABLE {
		t.Errorf("without a leader: %v", st)
	}
}

// TestQueuesOfMessageGroupsAreJavas: computed by com.google.common.hash.Hashing.consistentHash of java.lang.String.hashCode.
func TestQueuesOfMessageGroupsAreJavas(t *testing.T) {
	for _, c := range []struct {
		name     string
		buckets  int32
		hash, at int32
	}{
		{"", 8, 0, 0}, {"a", 16, 97, 0}, {"a", 1000, 97, 346}, {"group-1", 8, 293427299, 7}, {"group-1", 16, 293427299, 15}, {"group-1", 1000, 293427299, 36},
		{"order-4711", 1, 708276994, 0}, {"order-4711", 8, 708276994, 3}, {"order-4711", 16, 708276994, 3}, {"order-4711", 1000, 708276994, 400}, {"订单", 8, 1129459, 7}, {"订单", 1000, 1129459, 50},
	} {
		if h := javaHash(c.name); h != c.hash || consistentHash(int64(h), c.buckets) != c.at {
			t.Errorf("%q of %d: %d, %d; want %d, %d", c.name, c.buckets, h, consistentHash(int64(h), c.buckets), c.hash, c.at)
		}
	}
}

// FuzzReceipt: what was not made here is not read.
func FuzzReceipt(f *testing.F) {
	s := &Server{o: Options{Key: []byte("0123456789abcdef")}}
	f.Add(s.receiptOf(service.Handle{Start: 1, PopMillis: 2, InvisibleMillis: 3, Type: "0", Broker: "b", QueueID: 4, Offset: 5}))
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, receipt string) {
		h, st := s.readReceipt(receipt)
		if st == nil && s.receiptOf(h) != receipt {
			t.Fatalf("%q is read as %+v", receipt, h)
		}
	})
}

// TestQueuesOfBrokerGroupsTakeTurns: a simple consumer that asks one after the other is at each broker group soon.
func TestQueuesOfBrokerGroupsTakeTurns(t *testing.T) {
	q := func(broker string, n int) (all []*pb.MessageQueue) {
		for id := range n {
			all = append(all, &pb.MessageQueue{Id: int32(id), Broker: &pb.Broker{Name: broker}})
		}
		return all
	}
	var got []string
	for _, m := range interleaved([][]*pb.MessageQueue{q("a", 3), q("b", 1), nil, q("c", 2)}) {
		got = append(got, fmt.Sprint(m.Broker.Name, m.Id))
	}
	if want := "a0 b0 c0 a1 c1 a2"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}
