package grpcapi

import (
	"context"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/service"
)

// GetOffset: group, message_queue. Answers up to where the group has consumed the queue; OFFSET_NOT_FOUND: it never did. RocketMQ's proxy does not offer it.
func (s *Server) GetOffset(ctx context.Context, r *pb.GetOffsetRequest) (*pb.GetOffsetResponse, error) {
	fail := func(st *pb.Status) *pb.GetOffsetResponse { return &pb.GetOffsetResponse{Status: st} }
	c, q, group, st := s.placeOf(ctx, r.GetGroup(), r.GetMessageQueue())
	if st != nil {
		return fail(st), nil
	}
	return route(ctx, s, c, q.m,
		func() (*pb.GetOffsetResponse, bool) {
			at, err := q.m.Service.QueryOffset(group, q.topic, q.id, false)
			switch {
			case err.NotLed():
				return nil, false
			case err != nil && err.Code == service.CodeQueryNotFound:
				return fail(refuse(pb.Code_OFFSET_NOT_FOUND, "group %s has no offset in queue %d of topic %s", group, q.id, q.topic)), true
			}
			return &pb.GetOffsetResponse{Status: statusOf(err), Offset: at}, true
		},
		func(ctx context.Context, p pb.MessagingServiceClient) (*pb.GetOffsetResponse, error) {
			return p.GetOffset(ctx, r)
		}, fail), nil
}

// placeOf checks who asks of which group's place in which queue.
func (s *Server) placeOf(ctx context.Context, group *pb.Resource, queue *pb.MessageQueue) (c *client, q *oneQueue, name string, st *pb.Status) {
	if c, st = s.caller(ctx); st != nil {
		return c, nil, "", st
	}
	if name, st = checkGroup(group); st != nil {
		return c, nil, name, st
	}
	q, st = s.queueOf(queue)
	return c, q, name, st
}
