package grpcapi

import (
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/group"
)

// What clients are told (org.apache.rocketmq.proxy.grpc.v2.common.GrpcClientSettingsManager).
const (
	sendAttempts = 3
	sendFirst    = 10 * time.Millisecond
	sendLast     = time.Second
	topicsMax    = 1000      // of one client's settings
	settingsMax  = 256 << 10 // bytes; they are kept as long as the client is there, by each node

	consumesPassively, consumesActively = "CONSUME_PASSIVELY", "CONSUME_ACTIVELY"
	clustering, fromLast                = "CLUSTERING", "CONSUME_FROM_LAST_OFFSET"
)

// answerSettings fills in what the broker decides.
func (s *Server) answerSettings(told *pb.Settings) *pb.Settings {
	a := proto.Clone(told).(*pb.Settings)
	a.Metric = &pb.Metric{}
	if p := a.GetPublishing(); p != nil {
		p.MaxBodySize, p.ValidateMessageType = int32(s.maxBody()), true
		a.BackoffPolicy = &pb.RetryPolicy{MaxAttempts: sendAttempts, Strategy: &pb.RetryPolicy_ExponentialBackoff{ExponentialBackoff: &pb.ExponentialBackoff{
			Initial: durationpb.New(sendFirst), Max: durationpb.New(sendLast), Multiplier: 2,
		}}}
		return a
	}
	sub := a.GetSubscription()
	g := s.groupSettings(nameOf(sub.GetGroup()))
	sub.Fifo, sub.ReceiveBatchSize, sub.LongPollingTimeout = &g.ConsumeMessageOrderly, proto.Int32(receiveMax), durationpb.New(pollMax)
	a.BackoffPolicy = backoffOf(&g)
	return a
}

func (s *Server) maxBody() int {
	if all := s.o.Members(); len(all) > 0 {
		return all[0].Service.MaxMessage()
	}
	return 0
}

// groupSettings are a group's; those of a new one when no broker group has it yet.
func (s *Server) groupSettings(name string) catalog.Group {
	for _, m := range s.o.Members() {
		if g, ok := m.Service.Group(name); ok {
			return g
		}
	}
	return catalog.NewGroup(name)
}

// backoffOf are the delays between attempts; SDKs want a strategy to be set.
func backoffOf(g *catalog.Group) *pb.RetryPolicy {
	attempts := g.RetryMaxTimes + 1
	if p := g.RetryPolicy; p != nil && p.Type == "EXPONENTIAL" && p.Exponential != nil {
		e := p.Exponential
		return &pb.RetryPolicy{MaxAttempts: attempts, Strategy: &pb.RetryPolicy_ExponentialBackoff{ExponentialBackoff: &pb.ExponentialBackoff{
			Initial: millis(e.InitialMillis), Max: millis(e.MaxMillis), Multiplier: float32(e.Multiplier),
		}}}
	}
	var next []*durationpb.Duration
	for n := range max(1, g.RetryMaxTimes) {
		next = append(next, millis(delivery.Backoff(g.RetryPolicy, n)))
	}
	return &pb.RetryPolicy{MaxAttempts: attempts, Strategy: &pb.RetryPolicy_CustomizedBackoff{CustomizedBackoff: &pb.CustomizedBackoff{Next: next}}}
}

func millis(n int64) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Millisecond) }

// heartbeatOf is what a client's settings say to the registries. The producer group of a gRPC producer is its topic.
func heartbeatOf(id string, settings *pb.Settings) *group.Heartbeat {
	hb := &group.Heartbeat{ClientID: id}
	if p := settings.GetPublishing(); p != nil {
		for _, t := range p.GetTopics() {
			hb.Producers = append(hb.Producers, group.ProducerData{Group: nameOf(t)})
		}
		return hb
	}
	sub := settings.GetSubscription()
	c := group.ConsumerData{Group: nameOf(sub.GetGroup()), ConsumeType: consumesPassively, Model: clustering, FromWhere: fromLast}
	if settings.GetClientType() == pb.ClientType_SIMPLE_CONSUMER {
		c.ConsumeType = consumesActively
	}
	for _, e := range sub.GetSubscriptions() {
		kind, expression := expressionOf(e.GetExpression())
		c.Subscriptions = append(c.Subscriptions, group.Subscription{Topic: nameOf(e.GetTopic()), Expression: expression, Type: kind})
	}
	hb.Consumers = []group.ConsumerData{c}
	return hb
}

func expressionOf(f *pb.FilterExpression) (kind, expression string) {
	kind, expression = "TAG", f.GetExpression()
	if f.GetType() == pb.FilterType_SQL {
		kind = "SQL92"
	}
	if expression == "" {
		expression = "*"
	}
	return kind, expression
}

// checkSettings refuses settings that say nothing, or too much.
func (s *Server) checkSettings(told *pb.Settings) *pb.Status {
	switch {
	case proto.Size(told) > settingsMax:
		return refuse(pb.Code_BAD_REQUEST, "settings of %d bytes, the limit is %d", proto.Size(told), settingsMax)
	case told.GetPublishing() != nil:
		if n := len(told.GetPublishing().GetTopics()); n > topicsMax {
			return refuse(pb.Code_BAD_REQUEST, "settings with %d topics, the limit is %d", n, topicsMax)
		}
		for _, t := range told.GetPublishing().GetTopics() {
			if _, st := s.checkTopic(t); st != nil {
				return st
			}
		}
	case told.GetSubscription() != nil:
		if _, st := checkGroup(told.GetSubscription().GetGroup()); st != nil {
			return st
		}
		if n := len(told.GetSubscription().GetSubscriptions()); n > topicsMax {
			return refuse(pb.Code_BAD_REQUEST, "settings with %d subscriptions, the limit is %d", n, topicsMax)
		}
	default:
		return refuse(pb.Code_BAD_REQUEST, "there is no publishing or subscription data in settings")
	}
	return nil
}
