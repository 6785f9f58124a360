package grpcapi

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func (b *broker) pull(r *pb.PullMessageRequest) (messages []*pb.Message, next int64, st *pb.Status) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(as("puller"), 20*time.Second)
	defer cancel()
	stream, err := b.PullMessage(ctx, r)
	if err != nil {
		b.t.Fatal(err)
	}
	for {
		a, err := stream.Recv()
		if err == io.EOF {
			return messages, next, st
		}
		if err != nil {
			b.t.Fatal(err)
		}
		switch k := a.GetContent().(type) {
		case *pb.PullMessageResponse_Status:
			st = k.Status
		case *pb.PullMessageResponse_Message:
			messages = append(messages, k.Message)
		case *pb.PullMessageResponse_NextOffset:
			next = k.NextOffset
		}
	}
}

// TestPullsAndOffsets: a queue is pulled from an offset on, with a filter; its ends, a time's offset and a group's place are told, and the place is kept.
func TestPullsAndOffsets(t *testing.T) {
	b := start(t)
	var queue *pb.MessageQueue
	began := time.Now()
	for i := range 40 { // over four queues
		m := normal("orders", fmt.Sprint("ID", i), "x")
		tag := []string{"a", "b"}[i%2]
		m.SystemProperties.Tag = &tag
		b.send(m)
	}
	topic, _ := b.svc.Topic("orders")
	for id := range topic.ReadQueues {
		if n, _ := b.svc.MaxOffset("orders", id); n >= 4 {
			queue = &pb.MessageQueue{Topic: resource("orders"), Id: id, Broker: &pb.Broker{Name: "broker-a"}}
			break
		}
	}
	at := func(policy pb.QueryOffsetPolicy, when *timestamppb.Timestamp) int64 {
		t.Helper()
		r, err := b.QueryOffset(as("puller"), &pb.QueryOffsetRequest{MessageQueue: queue, QueryOffsetPolicy: policy, Timestamp: when})
		if err != nil || r.GetStatus().GetCode() != pb.Code_OK {
			t.Fatal(r, err)
		}
		return r.GetOffset()
	}
	end := at(pb.QueryOffsetPolicy_END, nil)
	if n := at(pb.QueryOffsetPolicy_BEGINNING, nil); n != 0 || end < 4 {
		t.Fatalf("from %d to %d", n, end)
	}
	if n := at(pb.QueryOffsetPolicy_TIMESTAMP, timestamppb.New(began)); n != 0 {
		t.Errorf("the first of that time is %d", n)
	}
	got, next, st := b.pull(&pb.PullMessageRequest{Group: resource("billing"), MessageQueue: queue, Offset: 1, BatchSize: 2})
	if st.GetCode() != pb.Code_OK || len(got) != 2 || next != 3 || got[0].GetSystemProperties().GetQueueOffset() != 1 || got[0].SystemProperties.ReceiptHandle != nil {
		t.Errorf("%v next %d %v", got, next, st)
	}
	got, next, _ = b.pull(&pb.PullMessageRequest{Group: resource("billing"), MessageQueue: queue, BatchSize: 32, FilterExpression: &pb.FilterExpression{Type: pb.FilterType_TAG, Expression: "a"}})
	if len(got) == 0 || next != end {
		t.Errorf("%d messages, next %d of %d", len(got), next, end)
	}
	for _, m := range got {
		if m.GetSystemProperties().GetTag() != "a" {
			t.Errorf("filtered by tag, there is %v", m)
		}
	}
	for want, r := range map[pb.Code]*pb.PullMessageRequest{
		pb.Code_MESSAGE_NOT_FOUND: {Offset: end, LongPollingTimeout: durationpb.New(50 * time.Millisecond)}, pb.Code_ILLEGAL_OFFSET: {Offset: end + 7},
		pb.Code_ILLEGAL_FILTER_EXPRESSION: {FilterExpression: &pb.FilterExpression{Type: pb.FilterType_SQL, Expression: "a ="}},
	} {
		r.Group, r.MessageQueue = resource("billing"), queue
		if got, next, st := b.pull(r); st.GetCode() != want || len(got) != 0 || want != pb.Code_ILLEGAL_FILTER_EXPRESSION && next != end {
			t.Errorf("%v: %v, next %d", r, st, next)
		}
	}
	if r, err := b.GetOffset(as("puller"), &pb.GetOffsetRequest{Group: resource("billing"), MessageQueue: queue}); err != nil || r.GetStatus().GetCode() != pb.Code_OFFSET_NOT_FOUND {
		t.Error(r, err)
	}
	for offset, want := range map[int64]pb.Code{3: pb.Code_OK, end + 1: pb.Code_ILLEGAL_OFFSET, -1: pb.Code_ILLEGAL_OFFSET} {
		if r, err := b.UpdateOffset(as("puller"), &pb.UpdateOffsetRequest{Group: resource("billing"), MessageQueue: queue, Offset: offset}); err != nil || r.GetStatus().GetCode() != want {
			t.Errorf("offset %d: %v %v", offset, r, err)
		}
	}
	if r, err := b.GetOffset(as("puller"), &pb.GetOffsetRequest{Group: resource("billing"), MessageQueue: queue}); err != nil || r.GetStatus().GetCode() != pb.Code_OK || r.GetOffset() != 3 {
		t.Error(r, err)
	}
	for what, q := range map[string]*pb.MessageQueue{
		"queue 99": {Topic: resource("orders"), Id: 99, Broker: &pb.Broker{Name: "broker-a"}}, "another broker": {Topic: resource("orders"), Broker: &pb.Broker{Name: "x"}},
		"no topic": {Topic: resource("nothing"), Broker: &pb.Broker{Name: "broker-a"}},
	} {
		if r, err := b.QueryOffset(as("puller"), &pb.QueryOffsetRequest{MessageQueue: q}); err != nil || r.GetStatus().GetCode() == pb.Code_OK {
			t.Errorf("%s: %v %v", what, r, err)
		}
	}
}
