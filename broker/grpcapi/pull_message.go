package grpcapi

import (
	"context"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/grpc"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/service"
)

// PullMessage: group, message_queue, offset, batch_size (at most 32), filter_expression, long_polling_timeout (0: it is not held). Streams a status, then messages,
// then the offset to go on from; MESSAGE_NOT_FOUND when nothing came in time, ILLEGAL_OFFSET when the offset is outside of the queue, with the one to go on from.
// Nothing is leased, and no place of the group changes: UpdateOffset does that. RocketMQ's proxy does not offer it.
func (s *Server) PullMessage(r *pb.PullMessageRequest, g grpc.ServerStreamingServer[pb.PullMessageResponse]) error {
	ctx := g.Context()
	c, q, group, st := s.placeOf(ctx, r.GetGroup(), r.GetMessageQueue())
	if st != nil {
		return pullStatus(g, st)
	}
	until := time.Now().Add(leaderPatience)
	for {
		if q.m.Service.Leads() {
			return s.pull(g, c, q, group, r)
		} else if at, ok := q.m.Leader(); ok && !s.relayed(ctx) {
			if done, err := s.pullThere(ctx, g, c, q.m, at, r); done {
				return err
			}
		}
		if s.relayed(ctx) {
			return pullStatus(g, notLed)
		}
		if time.Now().After(until) || !pause(ctx, leaderPause) {
			return pullStatus(g, refuse(pb.Code_HA_NOT_AVAILABLE, "broker group %s has no leader that can be asked at the moment", q.m.Name))
		}
	}
}

func pullStatus(g grpc.ServerStreamingServer[pb.PullMessageResponse], st *pb.Status) error {
	return g.Send(&pb.PullMessageResponse{Content: &pb.PullMessageResponse_Status{Status: st}})
}

func (s *Server) pull(g grpc.ServerStreamingServer[pb.PullMessageResponse], c *client, q *oneQueue, group string, r *pb.PullMessageRequest) error {
	ctx := g.Context()
	if err := s.ensureGroup(ctx, group); err != nil {
		return pullStatus(g, statusOf(err))
	}
	h := service.NewClient(c.addr, "grpc") // what it waits for ends with the call
	h.SetIdentity(service.Identity{ClientID: c.id, Language: c.language, Version: c.version})
	kind, expression := expressionOf(r.GetFilterExpression())
	req := &service.PullRequest{
		Client: h, Group: group, Topic: q.topic, QueueID: q.id, Offset: r.GetOffset(), MaxMessages: min(max(r.GetBatchSize(), 1), receiveMax), SysFlag: service.PullSubscription,
		Subscription: expression, ExpressionType: kind, ReceivedMicros: time.Now().UnixMicro(),
	}
	if d := min(r.GetLongPollingTimeout().AsDuration(), pollMax); d > 0 {
		req.SysFlag, req.SuspendMillis = req.SysFlag|service.PullSuspend, d.Milliseconds()
	}
	got := make(chan *service.PullResult, 1)
	q.m.Service.Pull(req, func(r *service.PullResult) { got <- r })
	select {
	case res := <-got:
		defer res.Release()
		return s.pulled(g, c, res)
	case <-ctx.Done():
		q.m.Service.CancelPulls(h)
		return ctx.Err()
	case <-s.stop:
		q.m.Service.CancelPulls(h)
		return pullStatus(g, nodeStops)
	}
}

// pulled streams what a pull gave.
func (s *Server) pulled(g grpc.ServerStreamingServer[pb.PullMessageResponse], c *client, r *service.PullResult) error {
	st := statusOK
	switch r.Code {
	case service.CodeSuccess:
	case service.CodePullNotFound, service.CodePullRetryImmediately:
		st = refuse(pb.Code_MESSAGE_NOT_FOUND, "no new message")
	case service.CodePullOffsetMoved:
		st = refuse(pb.Code_ILLEGAL_OFFSET, "the queue has offsets %d to %d", r.MinOffset, r.MaxOffset)
	default:
		return pullStatus(g, receiveStatus(&service.Error{Code: r.Code, Text: r.Remark}))
	}
	if err := pullStatus(g, st); err != nil {
		return err
	}
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	for rest := r.Body; len(rest) > 0; {
		v, err := message.Parse(rest)
		if err != nil {
			return err
		}
		rest = rest[len(v):]
		if err := g.SendMsg(e.received(v, nil)); err != nil { // field 2, as in a receive's answer
			return err
		}
	}
	return g.Send(&pb.PullMessageResponse{Content: &pb.PullMessageResponse_NextOffset{NextOffset: r.NextBegin}})
}

// pullThere streams what the node that leads answers; false: nothing was, because it does not. Then it is asked again: a pull changes nothing.
func (s *Server) pullThere(ctx context.Context, g grpc.ServerStreamingServer[pb.PullMessageResponse], c *client, m *Member, at string, r *pb.PullMessageRequest) (bool, error) {
	p, err := s.peers.to(at, 0)
	if err != nil {
		return false, nil
	}
	from, err := p.PullMessage(s.asClient(ctx, c, m.Name), r)
	if err != nil {
		return false, nil
	}
	return passOn(ctx, g, from, (*pb.PullMessageResponse).GetStatus)
}
