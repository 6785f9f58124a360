package grpcapi

import (
	"context"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/service"
)

// QueryOffset: message_queue, query_offset_policy (BEGINNING, END, TIMESTAMP), timestamp. Answers where the queue begins, where it ends, or the first message that
// was stored at that time or later. RocketMQ's proxy does not offer it. ILLEGAL_OFFSET: a policy without its timestamp.
func (s *Server) QueryOffset(ctx context.Context, r *pb.QueryOffsetRequest) (*pb.QueryOffsetResponse, error) {
	fail := func(st *pb.Status) *pb.QueryOffsetResponse { return &pb.QueryOffsetResponse{Status: st} }
	c, st := s.caller(ctx)
	if st != nil {
		return fail(st), nil
	}
	q, st := s.queueOf(r.GetMessageQueue())
	if st != nil {
		return fail(st), nil
	}
	if r.GetQueryOffsetPolicy() == pb.QueryOffsetPolicy_TIMESTAMP && !r.GetTimestamp().IsValid() {
		return fail(refuse(pb.Code_ILLEGAL_OFFSET, "the policy TIMESTAMP wants a timestamp")), nil
	}
	return route(ctx, s, c, q.m,
		func() (*pb.QueryOffsetResponse, bool) {
			at, err := q.offset(r)
			if err.NotLed() {
				return nil, false
			}
			return &pb.QueryOffsetResponse{Status: statusOf(err), Offset: at}, true
		},
		func(ctx context.Context, p pb.MessagingServiceClient) (*pb.QueryOffsetResponse, error) {
			return p.QueryOffset(ctx, r)
		}, fail), nil
}

func (q *oneQueue) offset(r *pb.QueryOffsetRequest) (int64, *service.Error) {
	switch r.GetQueryOffsetPolicy() {
	case pb.QueryOffsetPolicy_BEGINNING:
		return q.m.Service.MinOffset(q.topic, q.id)
	case pb.QueryOffsetPolicy_END:
		return q.m.Service.MaxOffset(q.topic, q.id)
	case pb.QueryOffsetPolicy_TIMESTAMP:
		return q.m.Service.OffsetByTime(q.topic, q.id, r.GetTimestamp().AsTime().UnixMilli(), "")
	}
	return 0, service.Refuse(service.CodeInvalidParameter, "query offset policy %d: BEGINNING, END and TIMESTAMP are possible", r.GetQueryOffsetPolicy())
}

// oneQueue is a queue that a client names.
type oneQueue struct {
	m     *Member
	topic string
	id    int32
}

// queueOf finds it; a refusal: there is none.
func (s *Server) queueOf(q *pb.MessageQueue) (*oneQueue, *pb.Status) {
	topic, st := s.checkTopic(q.GetTopic())
	if st != nil {
		return nil, st
	}
	m := s.member(q.GetBroker().GetName())
	if m == nil {
		return nil, refuse(pb.Code_BAD_REQUEST, "broker group %.100q is not known", q.GetBroker().GetName())
	}
	t, ok := m.Service.Topic(topic)
	if !ok {
		return nil, topicMissing(topic)
	}
	if id := q.GetId(); id < 0 || id >= t.ReadQueues {
		return nil, refuse(pb.Code_BAD_REQUEST, "queue %d of topic %s: from 0 to %d are possible in broker group %s", id, topic, t.ReadQueues-1, m.Name)
	}
	return &oneQueue{m, topic, q.GetId()}, nil
}
