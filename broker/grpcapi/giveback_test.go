package grpcapi

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"
)

// broken is a receive's stream that breaks after some messages.
type broken struct {
	grpc.ServerStream
	ctx  context.Context
	left int
}

func (b *broken) Context() context.Context { return b.ctx }

func (b *broken) Send(*pb.ReceiveMessageResponse) error { return nil }

func (b *broken) SendMsg(any) error {
	if b.left--; b.left < 0 {
		return errors.New("broken")
	}
	return nil
}

// received asks with an invisible time of half a day.
func (b *broker) received(g grpc.ServerStreamingServer[pb.ReceiveMessageResponse]) error {
	return b.server.ReceiveMessage(&pb.ReceiveMessageRequest{
		Group: resource("billing"), MessageQueue: &pb.MessageQueue{Topic: resource("orders"), Broker: &pb.Broker{Name: "broker-a"}}, BatchSize: 8,
		InvisibleDuration: durationpb.New(invisibleMax), FilterExpression: &pb.FilterExpression{Expression: "*"}, LongPollingTimeout: durationpb.New(5 * time.Second),
	}, g)
}

// incoming is what a call of a client looks like to the server.
func incoming(id string) context.Context {
	return metadata.NewIncomingContext(context.Background(), metadata.Pairs(clientIDKey, id))
}

// TestWhatReachedNobodyComesAgain within seconds, and not when its half a day is over: what a broken stream could not send, and all of a call that was given up.
func TestWhatReachedNobodyComesAgain(t *testing.T) {
	b := start(t)
	answered(t, b.consumer("c", "billing"))
	for i := range 8 {
		b.send(normal("orders", fmt.Sprint("ID", i), "x"))
	}
	if err := b.received(&broken{ctx: incoming("c"), left: 3}); err == nil {
		t.Fatal("it did not break")
	}
	seen := map[string]bool{}
	eventually(t, "the five that were not sent come again", func() bool {
		got, _ := b.receive("c", "billing", "orders", nil)
		for _, m := range got {
			seen[m.GetSystemProperties().GetMessageId()] = true
		}
		return len(seen) == 5
	})
}

// TestReceivesThatAreGivenUp leave nothing behind: no goroutine, and no message that is leased to nobody.
func TestReceivesThatAreGivenUp(t *testing.T) {
	b := start(t)
	answered(t, b.consumer("c", "billing"))
	before := runtime.NumGoroutine()
	for range 300 {
		ctx, cancel := context.WithCancel(incoming("c"))
		time.AfterFunc(time.Millisecond, cancel)
		if err := b.received(&broken{ctx: ctx}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() < before+20 })
	b.send(normal("orders", "ID1", "x"))
	ctx, cancel := context.WithCancel(incoming("c"))
	cancel()
	_ = b.received(&broken{ctx: ctx, left: 8}) // it may get the message, but has nobody to give it to
	eventually(t, "the message comes", func() bool {
		got, _ := b.receive("c", "billing", "orders", nil)
		return len(got) == 1
	})
}

// TestNodeThatStopsLeasesNothing.
func TestNodeThatStopsLeasesNothing(t *testing.T) {
	b := start(t)
	answered(t, b.consumer("c", "billing"))
	b.send(normal("orders", "ID1", "x"))
	stopping := &Server{o: b.server.o, stop: make(chan struct{})}
	stopping.clients.by = map[string]*client{}
	stopping.renewals.init()
	close(stopping.stop)
	of := &broker{t: t, server: stopping}
	for range 20 {
		if err := of.received(&broken{ctx: incoming("c"), left: 8}); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := b.receive("c", "billing", "orders", nil); len(got) != 1 {
		t.Errorf("%d messages are left", len(got))
	}
}
