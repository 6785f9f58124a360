package grpcapi

import (
	"context"
	"sync/atomic"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/service"
)

// ReceiveMessage: group, message_queue (its topic and its broker's name count, its id does not), filter_expression, batch_size (at most 32),
// invisible_duration, auto_renew, long_polling_timeout, attempt_id. Streams a status, then messages, then the time of delivery; MESSAGE_NOT_FOUND when none came
// in time. Other answers: ILLEGAL_INVISIBLE_TIME, ILLEGAL_POLLING_TIME, ILLEGAL_FILTER_EXPRESSION, TOPIC_NOT_FOUND. It needs no settings: some SDKs begin before
// they were answered, and go on for minutes before they tell them to a broker that was restarted.
func (s *Server) ReceiveMessage(r *pb.ReceiveMessageRequest, g grpc.ServerStreamingServer[pb.ReceiveMessageResponse]) error {
	ctx := g.Context()
	c, st := s.caller(ctx)
	if st != nil {
		return sendStatus(g, st)
	}
	w, st := s.wish(ctx, c, r)
	if st != nil {
		s.refused(c, nil, "ReceiveMessage", nameOf(r.GetMessageQueue().GetTopic()), nameOf(r.GetGroup()), st)
		return sendStatus(g, st)
	}
	until := time.Now().Add(leaderPatience)
	for {
		m, st := s.readFrom(w.req.Topic, r.GetMessageQueue().GetBroker().GetName())
		if st != nil {
			return sendStatus(g, st)
		}
		if m.Service.Leads() {
			if done, err := s.pop(g, c, m, w); done {
				return err
			}
		} else if s.relayed(ctx) {
			return sendStatus(g, notLed)
		} else if at, ok := m.Leader(); ok {
			if done, err := s.handOn(ctx, g, c, m, at, r); done {
				return err
			}
		}
		if s.relayed(ctx) {
			return sendStatus(g, notLed)
		}
		if time.Now().After(until) || !pause(ctx, leaderPause) {
			return sendStatus(g, refuse(pb.Code_HA_NOT_AVAILABLE, "broker group %s has no leader that can be asked at the moment", m.Name))
		}
	}
}

func sendStatus(g grpc.ServerStreamingServer[pb.ReceiveMessageResponse], st *pb.Status) error {
	return g.Send(&pb.ReceiveMessageResponse{Content: &pb.ReceiveMessageResponse_Status{Status: st}})
}

// wish is a receive that was checked.
type wish struct {
	req   service.PopRequest
	renew bool
}

func (s *Server) wish(ctx context.Context, c *client, r *pb.ReceiveMessageRequest) (*wish, *pb.Status) {
	topic, st := s.checkTopic(r.GetMessageQueue().GetTopic())
	if st != nil {
		return nil, st
	}
	group, st := checkGroup(r.GetGroup())
	if st != nil {
		return nil, st
	}
	w := &wish{renew: r.GetAutoRenew()}
	invisible := r.GetInvisibleDuration().AsDuration()
	if w.renew {
		invisible = renewFor
	} else if st := checkInvisible(invisible, invisibleMin); st != nil {
		return nil, st
	}
	poll, st := pollTime(ctx, r, c.requestTimeout(), c.version)
	if st != nil {
		return nil, st
	}
	kind, expression := expressionOf(r.GetFilterExpression())
	if !s.relayed(ctx) { // the other node knows it
		c.infer(group, topic, kind, expression, w.renew)
	}
	if n := len(r.GetAttemptId()); n > clientIDMax {
		return nil, refuse(pb.Code_BAD_REQUEST, "attempt id of %d bytes, the limit is %d", n, clientIDMax)
	}
	now := time.Now()
	w.req = service.PopRequest{
		Group: group, Topic: topic, QueueID: -1, MaxMessages: min(max(r.GetBatchSize(), 1), receiveMax), InvisibleMillis: invisible.Milliseconds(), PollMillis: poll.Milliseconds(),
		BornMillis: now.UnixMilli(), FromEnd: true, ExpressionType: kind, Expression: expression, Attempt: r.GetAttemptId(), ReceivedMicros: now.UnixMicro(), Handles: true,
		Order: s.groupSettings(group).ConsumeMessageOrderly,
	}
	return w, nil
}

// pollTime is how long a receive is held: what the client asks for, or what is left of the call's time without half of the client's request timeout, from 5 to
// 20 s (org.apache.rocketmq.proxy.grpc.v2.consumer.ReceiveMessageActivity). Some SDKs, Rust's among them, ask for as long as the call may take: they are answered
// before its end (by RocketMQ up to 50 ms, org.apache.rocketmq.broker.longpolling.PopRequest), else nothing were an error to them.
func pollTime(ctx context.Context, r *pb.ReceiveMessageRequest, requestTimeout time.Duration, version string) (time.Duration, *pb.Status) {
	left := pollMax + pollMin
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	poll := left - requestTimeout/2
	if r.LongPollingTimeout != nil {
		poll = r.LongPollingTimeout.AsDuration()
	}
	poll = min(max(poll, pollMin), pollMax)
	if left >= pollMin {
		return min(poll, left-answerTime), nil
	}
	code := pb.Code_ILLEGAL_POLLING_TIME
	if version == "" || version < "5.0.3" {
		code = pb.Code_BAD_REQUEST
	}
	return 0, refuse(code, "The deadline time remaining is not enough for polling, please check network condition")
}

// readFrom is the broker group to read from: the named one, or any that has the topic.
func (s *Server) readFrom(topic, broker string) (*Member, *pb.Status) {
	var any *Member
	for _, m := range s.o.Members() {
		if _, ok := m.Service.Topic(topic); !ok {
			continue
		}
		if m.Name == broker {
			return m, nil
		}
		if any == nil || m.Service.Leads() {
			any = m
		}
	}
	if any == nil {
		return nil, topicMissing(topic)
	}
	return any, nil
}

// pop asks the service, and streams what it gives; false: nothing was, because this node does not lead.
func (s *Server) pop(g grpc.ServerStreamingServer[pb.ReceiveMessageResponse], c *client, m *Member, w *wish) (bool, error) {
	ctx := g.Context()
	if err := s.ensureGroup(ctx, w.req.Group); err != nil {
		return true, sendStatus(g, statusOf(err))
	}
	select {
	case <-s.stop:
		return true, sendStatus(g, nodeStops)
	default:
	}
	r, err := s.wait(ctx, c, m, w)
	switch {
	case err != nil:
		return true, err
	case r == nil:
		return true, sendStatus(g, nodeStops)
	}
	defer r.Release()
	switch {
	case r.Refused != nil && r.Refused.NotLed():
		return false, nil
	case r.Refused != nil:
		s.told(c, m, "ReceiveMessage", w.req.Topic, w.req.Group, r.Refused)
		return true, sendStatus(g, receiveStatus(r.Refused))
	case r.Messages == 0:
		return true, sendStatus(g, refuse(pb.Code_MESSAGE_NOT_FOUND, "no new message"))
	}
	if m.Flush != nil {
		m.Flush()
	}
	return true, s.deliver(g, c, m, w, r)
}

var nodeStops = refuse(pb.Code_MESSAGE_NOT_FOUND, "this node stops")

// wait gives a pop's result; nil without an error: the node stops. Either the caller takes a result, or it goes back by itself: one that comes when the caller
// is gone already costs no goroutine that waits for it, and most that are cancelled never come.
func (s *Server) wait(ctx context.Context, c *client, m *Member, w *wish) (*service.PopResult, error) {
	h := service.NewClient(c.addr, "grpc") // what it waits for ends with the call
	h.SetIdentity(service.Identity{ClientID: c.id, Language: c.language, Version: c.version})
	req := w.req
	req.Client = h
	var settled atomic.Bool // the result is taken, or the caller is gone
	got := make(chan *service.PopResult, 1)
	m.Service.Pop(&req, func(r *service.PopResult) {
		if settled.CompareAndSwap(false, true) {
			got <- r
			return
		}
		go func() { // not here: this is the log's goroutine
			s.giveBack(c, m, w, r, r.Body)
			r.Release()
		}()
	})
	var err error
	select {
	case r := <-got:
		return r, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.stop:
	}
	m.Service.CancelPulls(h)
	if !settled.CompareAndSwap(false, true) {
		r := <-got
		s.giveBack(c, m, w, r, r.Body)
		r.Release()
	}
	return nil, err
}

// nackAfter is when messages come again that reached nobody (org.apache.rocketmq.proxy.grpc.v2.consumer.ReceiveMessageResponseStreamWriter): not when the time
// is over that was asked for, which may be half a day.
const nackAfter = time.Second

// giveBack lets those of rest, which is the end of r's body, come again.
func (s *Server) giveBack(c *client, m *Member, w *wish, r *service.PopResult, rest []byte) {
	if r.Refused != nil || len(rest) == 0 {
		return
	}
	h := c.take(m)
	asked := atomic.Int32{}
	asked.Store(1)
	done := func(service.Changed, *service.Error) { // what it cannot be said of has its time
		if asked.Add(-1) == 0 {
			c.give(m, h)
		}
	}
	for len(rest) > 0 {
		v, err := message.Parse(rest)
		if err != nil {
			break
		}
		rest = rest[len(v):]
		handle, ok := r.Handle(v)
		stands, refused := service.RealTopic(w.req.Topic, w.req.Group, handle.Type)
		if !ok || refused != nil {
			continue
		}
		asked.Add(1)
		m.Service.ChangeInvisible(&service.ChangeRequest{InvisibleMillis: nackAfter.Milliseconds(), AckRequest: service.AckRequest{
			Client: h, Group: w.req.Group, Topic: stands, QueueID: handle.QueueID, Offset: handle.Offset, Read: &handle,
		}}, done)
	}
	done(service.Changed{}, nil)
}

// receiveStatus: a wrong expression is named as what it is.
func receiveStatus(err *service.Error) *pb.Status {
	if err.Code == service.CodeSubscriptionParseFailed {
		return refuse(pb.Code_ILLEGAL_FILTER_EXPRESSION, "%s", err.Text)
	}
	return statusOf(err)
}

// deliver streams messages with their receipts.
func (s *Server) deliver(g grpc.ServerStreamingServer[pb.ReceiveMessageResponse], c *client, m *Member, w *wish, r *service.PopResult) error {
	var renewed []string
	rest, err := s.stream(g, c, m, w, r, &renewed)
	if g.Context().Err() != nil { // who gave the call up has none of them
		rest = r.Body
	}
	if len(rest) > 0 {
		s.renewals.forget(renewed)
	}
	s.giveBack(c, m, w, r, rest)
	return err
}

// stream gives what it could not send.
func (s *Server) stream(g grpc.ServerStreamingServer[pb.ReceiveMessageResponse], c *client, m *Member, w *wish, r *service.PopResult, renewed *[]string) (rest []byte, err error) {
	if err := sendStatus(g, statusOK); err != nil {
		return r.Body, err
	}
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	d := delivered{invisible: time.Duration(r.InvisibleMillis) * time.Millisecond, crc32: readsCRC32(c.language, c.version)}
	for rest = r.Body; len(rest) > 0; {
		v, err := message.Parse(rest)
		if err != nil {
			return rest, err
		}
		h, ok := r.Handle(v)
		if !ok {
			rest = rest[len(v):]
			continue
		}
		d.receipt = s.appendReceipt(d.receipt[:0], &h)
		if w.renew {
			receipt := string(d.receipt)
			s.renewals.add(c, m, w.req.Group, w.req.Topic, receipt, h)
			*renewed = append(*renewed, receipt)
		}
		if err := g.SendMsg(e.received(v, &d)); err != nil {
			return rest, err
		}
		rest = rest[len(v):]
	}
	return nil, g.Send(&pb.ReceiveMessageResponse{Content: &pb.ReceiveMessageResponse_DeliveryTimestamp{DeliveryTimestamp: timestamppb.Now()}})
}

// handOn streams what the node that leads answers; false: nothing was, because it does not. At worst messages come again after their invisible time.
func (s *Server) handOn(ctx context.Context, g grpc.ServerStreamingServer[pb.ReceiveMessageResponse], c *client, m *Member, at string, r *pb.ReceiveMessageRequest) (bool, error) {
	p, err := s.peers.to(at, 0)
	if err != nil {
		return false, nil
	}
	from, err := p.ReceiveMessage(s.asClient(ctx, c, m.Name), r)
	if err != nil {
		return false, nil
	}
	return passOn(ctx, g, from, (*pb.ReceiveMessageResponse).GetStatus)
}
