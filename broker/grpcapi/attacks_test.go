package grpcapi

import (
	"bytes"
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
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

// discard reads what the server says until it hangs up.
func (r *raw) discard() (streams, resets int) {
	for {
		f, err := r.framer.ReadFrame()
		if err != nil {
			return streams, resets
		}
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			resets++
		case *http2.SettingsFrame:
			if n, ok := f.Value(http2.SettingMaxConcurrentStreams); ok {
				streams = int(n)
			}
		}
	}
}

// TestRapidReset (CVE-2023-44487): a hundred thousand streams that are opened and reset at once cost neither memory nor the other clients' answers.
func TestRapidReset(t *testing.T) {
	b := start(t)
	r := b.raw()
	go r.discard()
	before := heapBytes()
	_ = r.conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
	for i := range uint32(100_000) {
		if r.request(2*i+1) != nil || r.framer.WriteRSTStream(2*i+1, http2.ErrCodeCancel) != nil {
			break // it hung up, or reads no more, which are answers, too
		}
		if i%20_000 == 0 {
			b.serves()
		}
	}
	b.serves()
	if after := heapBytes(); after > before+64<<20 {
		t.Errorf("%d MiB of memory more", (after-before)>>20)
	}
}

// TestStreamsAtOnce: more streams than the limit of a connection are refused, each.
func TestStreamsAtOnce(t *testing.T) {
	b := start(t)
	r := b.raw()
	got := make(chan [2]int, 1)
	go func() {
		streams, resets := r.discard()
		got <- [2]int{streams, resets}
	}()
	for i := range uint32(streamsMax + 100) {
		if err := r.request(2*i + 1); err != nil {
			break
		}
	}
	b.serves()
	time.AfterFunc(time.Second, func() { _ = r.conn.Close() })
	if n := <-got; n[0] != streamsMax || n[1] < 100 {
		t.Errorf("the limit is told as %d, %d streams were refused", n[0], n[1])
	}
}

func heapBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
