package grpcapi

import (
	"context"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/service"
)

// UpdateOffset: group, message_queue, offset. The group has consumed the queue up to there; OK when it is recorded. ILLEGAL_OFFSET: outside of the queue. RocketMQ's
// proxy does not offer it.
func (s *Server) UpdateOffset(ctx context.Context, r *pb.UpdateOffsetRequest) (*pb.UpdateOffsetResponse, error) {
	fail := func(st *pb.Status) *pb.UpdateOffsetResponse { return &pb.UpdateOffsetResponse{Status: st} }
	c, q, group, st := s.placeOf(ctx, r.GetGroup(), r.GetMessageQueue())
	if st != nil {
		return fail(st), nil
	}
	return route(ctx, s, c, q.m,
		func() (*pb.UpdateOffsetResponse, bool) {
			if err := s.ensureGroup(ctx, group); err != nil {
				return fail(statusOf(err)), true
			}
			done := make(chan *service.Error, 1)
			o := entry.Offset{Group: group, Topic: q.topic, QueueID: q.id, Offset: r.GetOffset(), Client: c.id, AtMicros: time.Now().UnixMicro()}
			q.m.Service.CommitOffset(o, func(err *service.Error) { done <- err })
			err := <-done
			switch {
			case err.NotLed():
				return nil, false
			case err != nil && err.Code == service.CodeInvalidParameter:
				return fail(refuse(pb.Code_ILLEGAL_OFFSET, "%s", err.Text)), true
			}
			return fail(statusOf(err)), true
		},
		func(ctx context.Context, p pb.MessagingServiceClient) (*pb.UpdateOffsetResponse, error) {
			return p.UpdateOffset(ctx, r)
		}, fail), nil
}
