package grpcapi

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/inspect"
)

func pushConsumer(group string, entries ...*pb.SubscriptionEntry) *pb.Settings {
	kind := pb.ClientType_PUSH_CONSUMER
	return &pb.Settings{
		ClientType: &kind, RequestTimeout: durationpb.New(3 * time.Second), UserAgent: &pb.UA{Language: pb.Language_GOLANG, Version: "5.1.4", Platform: "linux", Hostname: "shop-7"},
		PubSub: &pb.Settings_Subscription{Subscription: &pb.Subscription{Group: resource(group), Subscriptions: entries}},
	}
}

func entryOf(topic, expression string) *pb.SubscriptionEntry {
	return &pb.SubscriptionEntry{Topic: resource(topic), Expression: &pb.FilterExpression{Type: pb.FilterType_TAG, Expression: expression}}
}

func settingsMessage(s *pb.Settings) *pb.TelemetryCommand {
	return &pb.TelemetryCommand{Command: &pb.TelemetryCommand_Settings{Settings: s}}
}

// A client that tells settings is shown with what it was answered, by all broker groups' registries; what it is told later is shown then.
func TestSettingsAreShownAsTheyWereAnswered(t *testing.T) {
	b := start(t)
	b.members = append(b.members, b.open("broker-b"))
	g := catalog.NewGroup("billing")
	g.RetryMaxTimes, g.RetryPolicy = 2, &catalog.RetryPolicy{Type: "CUSTOMIZED", Customized: &catalog.CustomizedRetryPolicy{NextMillis: []int64{0, 0, 1000, 2000}}}
	if err := b.svc.PutGroup(context.Background(), g); err != nil {
		t.Fatal(err)
	}
	began := time.Now().UnixMilli()
	stream := b.tell("c", pushConsumer("billing", entryOf("orders", "paid")))
	answered(t, stream)
	first, found := b.svc.InspectClient("c", "")
	if !found || first.Settings == nil || first.Settings.GivenAt < began {
		t.Fatalf("%+v", first)
	}
	want := &inspect.ClientSettings{
		GivenAt: first.Settings.GivenAt, ClientType: "PUSH_CONSUMER", RequestTimeout: 3000, UserAgent: inspect.UserAgent{Language: "GOLANG", Version: "5.1.4", Platform: "linux", Hostname: "shop-7"},
		Backoff: &inspect.Backoff{MaxAttempts: 3, Strategy: "customized", Delays: []int64{1000, 2000}},
		Subscription: &inspect.Subscribed{
			Group: "billing", ReceiveBatchSize: receiveMax, LongPolling: pollMax.Milliseconds(), Subscriptions: []inspect.Subscription{{Topic: "orders", Type: "TAG", Expression: "paid"}},
		},
	}
	if !reflect.DeepEqual(first.Settings, want) {
		t.Errorf("%+v", first.Settings)
	}
	if other, _ := b.members[1].Service.InspectClient("c", ""); other.Settings != first.Settings {
		t.Errorf("broker-b says %+v", other.Settings)
	}

	g.RetryMaxTimes, g.RetryPolicy = 4, &catalog.RetryPolicy{Type: "EXPONENTIAL", Exponential: &catalog.ExponentialRetryPolicy{InitialMillis: 500, MaxMillis: 8000, Multiplier: 2}}
	if err := b.svc.PutGroup(context.Background(), g); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Heartbeat(as("c"), &pb.HeartbeatRequest{Group: resource("billing")}); err != nil {
		t.Fatal(err)
	}
	if d, _ := b.svc.InspectClient("c", ""); d.Settings != first.Settings {
		t.Errorf("it was not told that yet: %+v", d.Settings)
	}
	if err := stream.Send(settingsMessage(pushConsumer("billing", entryOf("orders", "*"), entryOf("all", "x")))); err != nil {
		t.Fatal(err)
	}
	answered(t, stream)
	again, _ := b.svc.InspectClient("c", "")
	if got := again.Settings.Backoff; !reflect.DeepEqual(got, &inspect.Backoff{MaxAttempts: 5, Strategy: "exponential", Initial: 500, Max: 8000, Multiplier: 2, Delays: []int64{}}) {
		t.Errorf("%+v", got)
	}
	if subs := again.Settings.Subscription.Subscriptions; len(subs) != 2 || subs[0].Expression != "*" || again.Settings.GivenAt < first.Settings.GivenAt {
		t.Errorf("%+v", again.Settings)
	}

	kind := pb.ClientType_PRODUCER
	answered(t, b.tell("p", &pb.Settings{ClientType: &kind, PubSub: &pb.Settings_Publishing{Publishing: &pb.Publishing{Topics: []*pb.Resource{resource("orders")}}}}))
	p, _ := b.svc.InspectClient("p", "")
	if got := p.Settings.Publishing; !reflect.DeepEqual(got, &inspect.Publishing{Topics: []string{"orders"}, MaxBodyBytes: maxBody, ValidateMessageType: true}) || p.Settings.Subscription != nil {
		t.Errorf("%+v", p.Settings)
	}
	if p.Settings.Backoff.Strategy != "exponential" || p.Settings.Backoff.MaxAttempts != sendAttempts {
		t.Errorf("%+v", p.Settings.Backoff)
	}
}

// A client that comes back by a heartbeat works by the settings that it has.
func TestSettingsAreShownOfAClientThatComesBack(t *testing.T) {
	b := start(t)
	stream := b.consumer("c", "billing")
	answered(t, stream)
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is out", func() bool { _, found := b.svc.InspectClient("c", ""); return !found })
	if _, err := b.Heartbeat(as("c"), &pb.HeartbeatRequest{Group: resource("billing")}); err != nil {
		t.Fatal(err)
	}
	if d, _ := b.svc.InspectClient("c", ""); d.Settings == nil || d.Settings.ClientType != "SIMPLE_CONSUMER" {
		t.Errorf("%+v", d)
	}
}

// What another node answered its client is shown here as it was answered there, and then.
func TestMirroredSettingsAreTheOtherNodes(t *testing.T) {
	b := start(t)
	kind := pb.ClientType_PUSH_CONSUMER
	there := &pb.Settings{
		ClientType: &kind, BackoffPolicy: &pb.RetryPolicy{MaxAttempts: 99}, PubSub: &pb.Settings_Subscription{Subscription: &pb.Subscription{Group: resource("billing")}},
	}
	stream, err := b.Telemetry(b.server.asClient(context.Background(), &client{id: "c"}, anyGroup))
	if err == nil {
		err = stream.Send(asMirrored(there, 1234))
	}
	if err != nil {
		t.Fatal(err)
	}
	answered(t, stream)
	if d, _ := b.svc.InspectClient("c", ""); d.Settings == nil || d.Settings.GivenAt != 1234 || d.Settings.Backoff.MaxAttempts != 99 {
		t.Errorf("%+v", d.Settings)
	}
	forged := b.tell("forger", there)
	if err := forged.Send(asMirrored(there, 1234)); err != nil {
		t.Fatal(err)
	}
	answered(t, forged)
	if s := answered(t, forged); s.GetBackoffPolicy().GetMaxAttempts() == 99 {
		t.Error("a client decides for itself")
	}
}

// What is kept of a client has a limit; how much is missing is said.
func TestShownSettingsAreBounded(t *testing.T) {
	long := strings.Repeat("语", 100_000)
	entries := []*pb.SubscriptionEntry{entryOf("orders", long)}
	for i := range topicsMax {
		entries = append(entries, entryOf(fmt.Sprint("t", i), "*"))
	}
	told := pushConsumer("billing", entries...)
	told.UserAgent = &pb.UA{Version: long, Platform: long, Hostname: long}
	told.BackoffPolicy = &pb.RetryPolicy{MaxAttempts: 1001, Strategy: &pb.RetryPolicy_CustomizedBackoff{CustomizedBackoff: &pb.CustomizedBackoff{Next: slices.Repeat([]*durationpb.Duration{durationpb.New(time.Second)}, 1000)}}}
	s := shown(told, 1)
	if n := len(s.Subscription.Subscriptions); n != shownListMax || s.Subscription.SubscriptionsOmitted != len(entries)-n {
		t.Errorf("%d kept, %d omitted", n, s.Subscription.SubscriptionsOmitted)
	}
	if e := s.Subscription.Subscriptions[0].Expression; len(e) > expressionMax+len("…") || !strings.HasSuffix(e, "语…") {
		t.Errorf("%d bytes: %q", len(e), e[len(e)-8:])
	}
	if len(s.UserAgent.Version+s.UserAgent.Platform+s.UserAgent.Hostname) > wordMax+2*nameMax+3*len("…") || s.UserAgent.Language != "" {
		t.Errorf("%+v", s.UserAgent)
	}
	if n := len(s.Backoff.Delays); n != shownListMax || s.Backoff.DelaysOmitted != 1000-n {
		t.Errorf("%d delays kept, %d omitted", n, s.Backoff.DelaysOmitted)
	}
	for i := range entries {
		entries[i] = entryOf("orders", long)
	}
	bytes := 0
	for _, one := range shown(told, 1).Subscription.Subscriptions {
		bytes += len(one.Topic) + len(one.Expression)
	}
	if bytes == 0 || bytes > shownMax {
		t.Errorf("%d bytes are kept", bytes)
	}
	topics := slices.Repeat([]*pb.Resource{resource(strings.Repeat("x", 127))}, topicsMax)
	p := shown(&pb.Settings{PubSub: &pb.Settings_Publishing{Publishing: &pb.Publishing{Topics: topics}}}, 1).Publishing
	if len(p.Topics) != shownListMax || p.TopicsOmitted != topicsMax-shownListMax {
		t.Errorf("%d topics kept, %d omitted", len(p.Topics), p.TopicsOmitted)
	}
}
