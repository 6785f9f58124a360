package grpcapi

import (
	"context"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/service"
)

const recallPatience = 5 * time.Second

// RecallMessage: topic, recall_handle. Cancels a scheduled message by the handle that its send was answered with; answers its message id.
// INTERNAL_SERVER_ERROR with RocketMQ's texts when it is too late, or the handle is none.
func (s *Server) RecallMessage(ctx context.Context, r *pb.RecallMessageRequest) (*pb.RecallMessageResponse, error) {
	fail := func(st *pb.Status) *pb.RecallMessageResponse { return &pb.RecallMessageResponse{Status: st} }
	c, st := s.caller(ctx)
	if st != nil {
		return fail(st), nil
	}
	topic, st := s.checkTopic(r.GetTopic())
	if st != nil {
		return fail(st), nil
	}
	broker, err := service.RecallBroker(r.GetRecallHandle())
	m := s.member(broker)
	if err != nil || m == nil {
		return fail(refuse(pb.Code_INTERNAL_SERVER_ERROR, "recall handle is invalid")), nil
	}
	return route(ctx, s, c, m,
		func() (*pb.RecallMessageResponse, bool) {
			h := c.take(m)
			defer c.give(m, h)
			ctx, cancel := context.WithTimeout(ctx, recallPatience)
			defer cancel()
			id, err := m.Service.Recall(ctx, h, topic, r.GetRecallHandle())
			switch {
			case err.NotLed():
				return nil, false
			case err != nil:
				s.told(c, m, "RecallMessage", topic, "", err)
				return fail(statusOf(err)), true
			}
			return &pb.RecallMessageResponse{Status: statusOK, MessageId: id}, true
		},
		func(ctx context.Context, p pb.MessagingServiceClient) (*pb.RecallMessageResponse, error) {
			return p.RecallMessage(ctx, r)
		}, fail), nil
}
