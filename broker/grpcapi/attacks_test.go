package grpcapi

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// serves says that the port answers a client as ever.
func (b *broker) serves() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(as("other"), 10*time.Second)
	defer cancel()
	if r, err := b.QueryRoute(ctx, &pb.QueryRouteRequest{Topic: resource("orders")}); err != nil || r.GetStatus().GetCode() != pb.Code_OK {
		b.t.Fatalf("another client is answered %v %v", r, err)
	}
}

// TestTooLargeRequests: a message of 100 MB and headers of 1 MB are refused by the limits, which the answer names.
func TestTooLargeRequests(t *testing.T) {
	b := start(t)
	m := normal("orders", "ID1", "")
	m.Body = make([]byte, 100<<20)
	_, err := b.SendMessage(as("p"), &pb.SendMessageRequest{Messages: []*pb.Message{m}}, grpc.MaxCallSendMsgSize(200<<20))
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "16777216") {
		t.Errorf("100 MB: %v", err)
	}
	_, err = b.QueryRoute(metadata.AppendToOutgoingContext(as("p"), "x-large", strings.Repeat("x", 1<<20)), &pb.QueryRouteRequest{Topic: resource("orders")})
	if err == nil {
		t.Error("headers of 1 MB are taken")
	}
	b.serves()
}

// raw is a connection whose frames a test makes itself.
type raw struct {
	t      *testing.T
	conn   net.Conn
	framer *http2.Framer
	block  bytes.Buffer
	hpack  *hpack.Encoder
}

func (b *broker) raw() *raw {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.server.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	r := &raw{t: b.t, conn: conn, framer: http2.NewFramer(conn, conn)}
	r.hpack = hpack.NewEncoder(&r.block)
	if _, err := conn.Write([]byte(preface)); err != nil {
		b.t.Fatal(err)
	}
	if err := r.framer.WriteSettings(); err != nil {
		b.t.Fatal(err)
	}
	return r
}

// request opens a stream with a call's headers.
func (r *raw) request(stream uint32) error {
	r.block.Reset()
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", pb.MessagingService_ReceiveMessage_FullMethodName}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"}, {clientIDKey, "rapid"},
	} {
		if err := r.hpack.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return err
		}
	}
	return r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: r.block.Bytes(), EndHeaders: true})
}

// watch reads what the server says until it hangs up.
func (r *raw) watch(settings func(streams uint32), reset func()) {
	for {
		f, err := r.framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			reset()
		case *http2.SettingsFrame:
			if n, ok := f.Value(http2.SettingMaxConcurrentStreams); ok {
				settings(n)
			}
		}
	}
}

// TestRapidReset (CVE-2023-44487): a hundred thousand receives that are asked for and reset at once cost neither memory nor goroutines nor the other clients'
// answers.
func TestRapidReset(t *testing.T) {
	b := start(t)
	stream := b.consumer("rapid", "billing")
	answered(t, stream)
	ask, err := proto.Marshal(&pb.ReceiveMessageRequest{
		Group: resource("billing"), MessageQueue: &pb.MessageQueue{Topic: resource("orders"), Broker: &pb.Broker{Name: "broker-a"}}, BatchSize: 1,
		InvisibleDuration: durationpb.New(time.Minute), FilterExpression: &pb.FilterExpression{Expression: "*"}, LongPollingTimeout: durationpb.New(5 * time.Second),
	})
	if err != nil {
		t.Fatal(err)
	}
	ask = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(ask))), ask...)
	bytes, goroutines := heapBytes(), runtime.NumGoroutine()
	r := b.raw()
	go r.watch(func(uint32) {}, func() {})
	_ = r.conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
	for i := range uint32(100_000) {
		id := 2*i + 1
		if r.request(id) != nil || r.framer.WriteData(id, true, ask) != nil || r.framer.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			break // it hung up, or reads no more, which are answers, too
		}
		if i%20_000 == 0 {
			b.serves()
		}
	}
	b.serves()
	eventually(t, "no goroutine waits for what was given up", func() bool { return runtime.NumGoroutine() < goroutines+500 })
	if after := heapBytes(); after > bytes+64<<20 {
		t.Errorf("%d MiB of memory more", (after-bytes)>>20)
	}
}

// TestStreamsAtOnce: more streams than the limit of a connection are refused, each.
func TestStreamsAtOnce(t *testing.T) {
	b := start(t)
	r := b.raw()
	var streams, refused atomic.Uint32
	go r.watch(func(n uint32) { streams.Store(n) }, func() { refused.Add(1) })
	for i := range uint32(streamsMax + 100) {
		if err := r.request(2*i + 1); err != nil {
			t.Fatal(err)
		}
	}
	b.serves()
	eventually(t, "the limit is told, and a hundred streams are refused", func() bool { return streams.Load() == streamsMax && refused.Load() == 100 })
}

// TestStreamsOfOneClient: its telemetry streams are bounded, and another client's are not its business.
func TestStreamsOfOneClient(t *testing.T) {
	b := start(t)
	var refused error
	for range streamsOf + 1 {
		stream, err := b.Telemetry(as("many"))
		if err == nil {
			err = stream.Send(&pb.TelemetryCommand{Command: &pb.TelemetryCommand_Settings{Settings: &pb.Settings{PubSub: &pb.Settings_Publishing{Publishing: &pb.Publishing{Topics: []*pb.Resource{resource("orders")}}}}}})
		}
		if err == nil {
			_, err = stream.Recv()
		}
		if err != nil {
			refused = err
			break
		}
	}
	if status.Code(refused) != codes.ResourceExhausted || !strings.Contains(refused.Error(), "64 telemetry streams") {
		t.Errorf("%v", refused)
	}
	answered(t, b.consumer("other", "billing"))
}

// TestSettingsAreBounded: they are kept as long as the client is there.
func TestSettingsAreBounded(t *testing.T) {
	b := start(t)
	stream := b.tell("large", &pb.Settings{PubSub: &pb.Settings_Subscription{Subscription: &pb.Subscription{Group: resource("billing"), Subscriptions: []*pb.SubscriptionEntry{
		{Topic: resource("orders"), Expression: &pb.FilterExpression{Expression: strings.Repeat("x", settingsMax)}},
	}}}})
	if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "the limit is 262144") {
		t.Errorf("%v", err)
	}
}

func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
