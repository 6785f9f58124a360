package grpcapi

import (
	"encoding/json"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// Ask implements remoting.Foreign: what operators ask of a consumer, in the words of its telemetry stream. 307 becomes a request for its stacks, 309 for consuming one
// message (org.apache.rocketmq.proxy.grpc.v2.client.ClientActivity). SDKs may answer that they cannot.
func (c *client) Ask(code int32, _ map[string]string, body []byte, done func(code int32, remark string, body []byte)) {
	switch code {
	case wire.ConsumerRunningInfo:
		c.ask(func(nonce string) *pb.TelemetryCommand {
			return &pb.TelemetryCommand{Status: statusOK, Command: &pb.TelemetryCommand_PrintThreadStackTraceCommand{PrintThreadStackTraceCommand: &pb.PrintThreadStackTraceCommand{Nonce: nonce}}}
		}, func(m *pb.TelemetryCommand) {
			reply(m, done, map[string]any{"jstack": m.GetThreadStackTrace().GetThreadStackTrace(), "properties": map[string]string{}})
		})
	case wire.ConsumeDirectly:
		c.verify(body, done)
	default:
		done(service.CodeNotSupported, "gRPC clients cannot be asked that", nil)
	}
}

func (c *client) verify(body []byte, done func(code int32, remark string, body []byte)) {
	msg, err := messageOf(body)
	if err != nil {
		done(service.CodeSystemError, "the message is not readable", nil)
		return
	}
	began := time.Now()
	c.ask(func(nonce string) *pb.TelemetryCommand {
		return &pb.TelemetryCommand{Status: statusOK, Command: &pb.TelemetryCommand_VerifyMessageCommand{VerifyMessageCommand: &pb.VerifyMessageCommand{Nonce: nonce, Message: msg}}}
	}, func(m *pb.TelemetryCommand) {
		result := "CR_SUCCESS"
		if m.GetStatus().GetCode() == pb.Code_FAILED_TO_CONSUME_MESSAGE {
			result, m.Status = "CR_LATER", statusOK
		}
		reply(m, done, map[string]any{"order": false, "autoCommit": true, "consumeResult": result, "spentTimeMills": time.Since(began).Milliseconds()})
	})
}

// reply tells what the client answered; nil: it did not.
func reply(m *pb.TelemetryCommand, done func(code int32, remark string, body []byte), says map[string]any) {
	switch code := m.GetStatus().GetCode(); {
	case m == nil:
		done(service.CodeConsumeTimeout, "the client did not answer", nil)
	case code != pb.Code_OK && code != pb.Code_CODE_UNSPECIFIED:
		done(service.CodeSystemError, "the client answered "+code.String()+": "+m.GetStatus().GetMessage(), nil)
	default:
		b, _ := json.Marshal(says)
		done(service.CodeSuccess, "", b)
	}
}
