package grpcapi

import (
	"strings"
	"testing"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc/metadata"
)

// TestSignedCalls: what SDKs write into authorization, and what is no signature.
func TestSignedCalls(t *testing.T) {
	const whole = "MQv2-HMAC-SHA1 Credential=key-7/cn/Rocketmq, SignedHeaders=x-mq-date-time, Signature=0A1B"
	for text, want := range map[string]authorization{
		whole: {"key-7", "0A1B"},
		"MQv2-HMAC-SHA1 Credential=key-7//Rocketmq,SignedHeaders=x-mq-date-time,Signature=0A1B": {"key-7", "0A1B"},
	} {
		if a, ok := parseAuthorization(text); !ok || a != want {
			t.Errorf("%q is read as %+v %v", text, a, ok)
		}
	}
	for _, text := range []string{
		"", "Bearer x", "MQv2-HMAC-SHA1", "MQv2-HMAC-SHA1 Credential=/x, Signature=0A", "MQv2-HMAC-SHA1 Credential=key-7/x", "MQv2-HMAC-SHA256 " + whole[15:],
		"MQv2-HMAC-SHA1 Credential=a\nb/x, Signature=0A", whole + strings.Repeat(",x=y", 500),
	} {
		if a, ok := parseAuthorization(text); ok {
			t.Errorf("%q is read as %+v", text, a)
		}
	}
}

// TestSignersAreShown: the console tells which key a client signs with.
func TestSignersAreShown(t *testing.T) {
	b := start(t)
	ctx := metadata.AppendToOutgoingContext(as("signer"), authorizationKey, "MQv2-HMAC-SHA1 Credential=key-7/cn/Rocketmq, SignedHeaders=x-mq-date-time, Signature=0A1B")
	stream, err := b.Telemetry(ctx)
	if err != nil {
		t.Fatal(err)
	}
	kind := pb.ClientType_SIMPLE_CONSUMER
	if err := stream.Send(&pb.TelemetryCommand{Command: &pb.TelemetryCommand_Settings{Settings: &pb.Settings{
		ClientType: &kind, PubSub: &pb.Settings_Subscription{Subscription: &pb.Subscription{Group: resource("billing")}},
	}}}); err != nil {
		t.Fatal(err)
	}
	answered(t, stream)
	d, ok := b.member.Service.InspectClient("signer", "")
	if !ok || d.Settings == nil || d.Settings.AccessKey != "key-7" {
		t.Errorf("%+v %v", d, ok)
	}
}
