package grpcapi

import (
	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/contrailmq/contrail/broker/inspect"
)

// What is kept of a client's settings for people to look at; of longer lists it is said how much is missing.
const (
	shownMax      = 16 << 10 // bytes of topics and expressions of one client
	shownListMax  = 100      // topics, subscriptions, delays
	expressionMax = 1 << 10
	nameMax       = 255 // also of what an SDK says of its machine
)

// shown is what a client was answered, in the console's words.
func shown(a *pb.Settings, givenAt int64) *inspect.ClientSettings {
	ua := a.GetUserAgent()
	s := &inspect.ClientSettings{
		GivenAt: givenAt, ClientType: a.GetClientType().String(), RequestTimeout: inMillis(a.GetRequestTimeout()),
		UserAgent: inspect.UserAgent{Version: inspect.Cut(ua.GetVersion(), wordMax), Platform: inspect.Cut(ua.GetPlatform(), nameMax), Hostname: inspect.Cut(ua.GetHostname(), nameMax)},
		Backoff:   shownBackoff(a.GetBackoffPolicy()),
	}
	if ua.GetLanguage() != pb.Language_LANGUAGE_UNSPECIFIED {
		s.UserAgent.Language = ua.GetLanguage().String()
	}
	if p := a.GetPublishing(); p != nil {
		s.Publishing = shownPublishing(p)
	}
	if sub := a.GetSubscription(); sub != nil {
		s.Subscription = shownSubscription(sub)
	}
	return s
}

func shownBackoff(p *pb.RetryPolicy) *inspect.Backoff {
	if p == nil {
		return nil
	}
	b := &inspect.Backoff{MaxAttempts: p.GetMaxAttempts(), Delays: []int64{}}
	if e := p.GetExponentialBackoff(); e != nil {
		b.Strategy, b.Initial, b.Max, b.Multiplier = "exponential", inMillis(e.GetInitial()), inMillis(e.GetMax()), e.GetMultiplier()
	}
	if c := p.GetCustomizedBackoff(); c != nil {
		next := c.GetNext()
		kept := next[:min(len(next), shownListMax)]
		b.Strategy, b.DelaysOmitted = "customized", len(next)-len(kept)
		for _, d := range kept {
			b.Delays = append(b.Delays, inMillis(d))
		}
	}
	return b
}

func shownPublishing(p *pb.Publishing) *inspect.Publishing {
	out := &inspect.Publishing{Topics: []string{}, MaxBodyBytes: p.GetMaxBodySize(), ValidateMessageType: p.GetValidateMessageType()}
	left := shownMax
	for i, t := range p.GetTopics() {
		name := inspect.Cut(nameOf(t), nameMax)
		if left -= len(name); left < 0 || i == shownListMax {
			out.TopicsOmitted = len(p.GetTopics()) - i
			break
		}
		out.Topics = append(out.Topics, name)
	}
	return out
}

func shownSubscription(s *pb.Subscription) *inspect.Subscribed {
	out := &inspect.Subscribed{
		Group: inspect.Cut(nameOf(s.GetGroup()), nameMax), FIFO: s.GetFifo(), ReceiveBatchSize: s.GetReceiveBatchSize(),
		LongPolling: inMillis(s.GetLongPollingTimeout()), Subscriptions: []inspect.Subscription{},
	}
	left := shownMax
	for i, e := range s.GetSubscriptions() {
		kind, expression := expressionOf(e.GetExpression())
		one := inspect.Subscription{Topic: inspect.Cut(nameOf(e.GetTopic()), nameMax), Type: kind, Expression: inspect.Cut(expression, expressionMax)}
		if left -= len(one.Topic) + len(one.Expression); left < 0 || i == shownListMax {
			out.SubscriptionsOmitted = len(s.GetSubscriptions()) - i
			break
		}
		out.Subscriptions = append(out.Subscriptions, one)
	}
	return out
}

func inMillis(d *durationpb.Duration) int64 { return d.AsDuration().Milliseconds() }
