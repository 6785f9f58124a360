package grpcapi

import (
	"context"
	"strings"
	"testing"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// TestOperatorsAskClients: what codes 307 and 309 ask goes over the stream; a client that cannot, or is gone, is said so.
func TestOperatorsAskClients(t *testing.T) {
	b := start(t)
	b.send(normal("orders", "1", "x"))
	stream := b.consumer("c", "billing")
	answered(t, stream)
	m, ok := b.member.Clients.Member("billing", "c")
	if !ok {
		t.Fatal("not a member")
	}
	stored, _, _, refused := b.svc.Query(context.Background(), service.QueryRequest{Topic: "orders", Key: "1", Unique: true, MaxMessages: 1})
	if refused != nil {
		t.Fatal(refused)
	}
	type said struct {
		code   int32
		remark string
		body   string
	}
	for _, c := range []struct {
		code   int32
		answer func(*pb.TelemetryCommand) *pb.TelemetryCommand
		want   said
	}{
		{wire.ConsumerRunningInfo, func(q *pb.TelemetryCommand) *pb.TelemetryCommand {
			stack := "goroutine 1"
			return &pb.TelemetryCommand{Status: statusOK, Command: &pb.TelemetryCommand_ThreadStackTrace{ThreadStackTrace: &pb.ThreadStackTrace{Nonce: q.GetPrintThreadStackTraceCommand().GetNonce(), ThreadStackTrace: &stack}}}
		}, said{0, "", "goroutine 1"}},
		{wire.ConsumeDirectly, func(q *pb.TelemetryCommand) *pb.TelemetryCommand {
			if string(q.GetVerifyMessageCommand().GetMessage().GetBody()) != "x" {
				t.Errorf("asked %v", q)
			}
			return &pb.TelemetryCommand{Status: refuse(pb.Code_FAILED_TO_CONSUME_MESSAGE, "no"), Command: &pb.TelemetryCommand_VerifyMessageResult{VerifyMessageResult: &pb.VerifyMessageResult{Nonce: q.GetVerifyMessageCommand().GetNonce()}}}
		}, said{0, "", "CR_LATER"}},
		{wire.ConsumeDirectly, func(q *pb.TelemetryCommand) *pb.TelemetryCommand {
			return &pb.TelemetryCommand{Status: refuse(pb.Code_NOT_IMPLEMENTED, "cannot"), Command: &pb.TelemetryCommand_VerifyMessageResult{VerifyMessageResult: &pb.VerifyMessageResult{Nonce: q.GetVerifyMessageCommand().GetNonce()}}}
		}, said{1, "NOT_IMPLEMENTED: cannot", ""}},
	} {
		got := make(chan said, 1)
		m.Conn.(*client).Ask(c.code, nil, stored, func(code int32, remark string, body []byte) { got <- said{code, remark, string(body)} })
		q, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(c.answer(q)); err != nil {
			t.Fatal(err)
		}
		if s := <-got; s.code != c.want.code || !strings.Contains(s.remark, c.want.remark) || !strings.Contains(s.body, c.want.body) {
			t.Errorf("%d: %+v, want %+v", c.code, s, c.want)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() bool { return !m.Conn.(*client).hasStream() })
	got := make(chan said, 1)
	m.Conn.(*client).Ask(wire.ConsumerRunningInfo, nil, nil, func(code int32, remark string, _ []byte) { got <- said{code, remark, ""} })
	if s := <-got; s.code != service.CodeConsumeTimeout {
		t.Errorf("%+v", s)
	}
}
