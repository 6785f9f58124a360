package grpcapi

import (
	"context"
	"testing"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/service"
)

// TestResentLettersComeAgain: a consumer of gRPC gets a dead letter that is given to its group again, whether it consumes in order or not; and the letter tells
// how often it was tried.
func TestResentLettersComeAgain(t *testing.T) {
	for group, topic := range map[string]string{"billing": "orders", "fitting": "steps"} {
		t.Run(topic, func(t *testing.T) {
			b := start(t)
			g := catalog.NewGroup(group)
			g.ConsumeMessageOrderly, g.RetryMaxTimes = topic == "steps", 4
			if err := b.svc.PutGroup(context.Background(), g); err != nil {
				t.Fatal(err)
			}
			m := normal(topic, "ID1", "x")
			if g.ConsumeMessageOrderly {
				m.SystemProperties.MessageType, m.SystemProperties.MessageGroup = pb.MessageType_FIFO, &group
			}
			b.send(m)
			answered(t, b.consumer("c", group))
			got, st := b.receive("c", group, topic, nil)
			if len(got) != 1 {
				t.Fatal(st)
			}
			dead, err := b.ForwardMessageToDeadLetterQueue(as("c"), &pb.ForwardMessageToDeadLetterQueueRequest{
				Group: resource(group), Topic: resource(topic), ReceiptHandle: got[0].GetSystemProperties().GetReceiptHandle(), MessageId: "ID1", DeliveryAttempt: 3, MaxDeliveryAttempts: 3,
			})
			if err != nil || dead.GetStatus().GetCode() != pb.Code_OK {
				t.Fatal(dead, err)
			}
			if l, refused := b.svc.DeadLetters(group, 0, 10); refused != nil || len(l.Letters) != 1 || l.Letters[0].Attempts != 3 {
				t.Errorf("letters %+v %v", l, refused)
			}
			done := make(chan inspect.Resent, 2)
			b.svc.Resend(group, 0, false, "an operator", func(r inspect.Resent, err *service.Error) { done <- r })
			if r := <-done; r.Outcome != service.OutcomeResent {
				t.Fatalf("%+v", r)
			}
			got, st = b.receive("c", group, topic, nil)
			if len(got) != 1 || string(got[0].GetBody()) != "x" || got[0].GetTopic().GetName() != topic {
				t.Fatalf("%v %v", got, st)
			}
			ack, err := b.AckMessage(as("c"), &pb.AckMessageRequest{Group: resource(group), Topic: resource(topic), Entries: []*pb.AckMessageEntry{{MessageId: "ID1", ReceiptHandle: got[0].GetSystemProperties().GetReceiptHandle()}}})
			if err != nil || ack.GetStatus().GetCode() != pb.Code_OK {
				t.Fatal(ack, err)
			}
			b.svc.Resend(group, 0, false, "an operator", func(r inspect.Resent, err *service.Error) { done <- r })
			if r := <-done; r.Outcome != service.OutcomeAlready {
				t.Errorf("again: %+v", r)
			}
		})
	}
}

// TestBacklogOfAGroupThatFoundNothing: it asked once, and is behind by what came after that.
func TestBacklogOfAGroupThatFoundNothing(t *testing.T) {
	b := start(t)
	answered(t, b.consumer("c", "billing"))
	if got, _ := b.receive("c", "billing", "orders", nil); len(got) != 0 {
		t.Fatal(got)
	}
	for range 5 {
		b.send(normal("orders", "ID", "x"))
	}
	g, ok := b.svc.InspectGroup("billing")
	if lag := g.LagMessages; !ok || lag != 5 {
		t.Errorf("behind by %d: %+v", lag, g)
	}
}
