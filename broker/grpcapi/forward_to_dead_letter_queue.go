package grpcapi

import (
	"context"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/service"
)

// ForwardMessageToDeadLetterQueue: group, topic, receipt_handle, message_id, delivery_attempt, max_delivery_attempts. A push consumer that consumes in order gives
// a message up: it goes among the group's dead letters and is acknowledged. The same again makes no other copy. INVALID_RECEIPT_HANDLE.
func (s *Server) ForwardMessageToDeadLetterQueue(ctx context.Context, r *pb.ForwardMessageToDeadLetterQueueRequest) (*pb.ForwardMessageToDeadLetterQueueResponse, error) {
	fail := func(st *pb.Status) *pb.ForwardMessageToDeadLetterQueueResponse {
		return &pb.ForwardMessageToDeadLetterQueueResponse{Status: st}
	}
	c, topic, group, st := s.settler(ctx, r.GetTopic(), r.GetGroup())
	if st != nil {
		return fail(st), nil
	}
	var k ask
	m, st := s.ackOf(ctx, topic, group, r.GetReceiptHandle(), time.Now(), &k)
	if st != nil {
		return fail(st), nil
	}
	a := route(ctx, s, c, m,
		func() (*pb.ForwardMessageToDeadLetterQueueResponse, bool) {
			return s.bury(c, m, &k.req, r.GetDeliveryAttempt())
		},
		func(ctx context.Context, p pb.MessagingServiceClient) (*pb.ForwardMessageToDeadLetterQueueResponse, error) {
			return p.ForwardMessageToDeadLetterQueue(ctx, r)
		}, fail)
	k.release(a.GetStatus().GetCode() == pb.Code_OK)
	return a, nil
}

// bury copies the message to the dead letters first: if the acknowledgement behind it is lost, the copy is known and not made twice.
func (s *Server) bury(c *client, m *Member, req *service.AckRequest, attempts int32) (*pb.ForwardMessageToDeadLetterQueueResponse, bool) {
	answer := func(st *pb.Status) (*pb.ForwardMessageToDeadLetterQueueResponse, bool) {
		return &pb.ForwardMessageToDeadLetterQueueResponse{Status: st}, true
	}
	position, refused := m.Service.PositionOf(req.Topic, req.QueueID, req.Offset)
	if refused != nil {
		return answer(settleStatus(refused))
	}
	if err := m.Service.EnsurePopRetryTopic(req.Topic, req.Group); err != nil { // who resends the letter finds it
		s.o.Log.Warn("the topic for resent dead letters could not be made", "group", req.Group, "topic", req.Topic, "err", err)
	}
	h := c.take(m)
	defer c.give(m, h)
	done := make(chan *service.Error, 1)
	m.Service.SendBack(h, &service.Back{Group: req.Group, Position: position, DelayLevel: -1, MaxReconsumeTimes: -1, Attempts: attempts, ReceivedMicros: time.Now().UnixMicro()}, func(err *service.Error) { done <- err })
	err := <-done
	if err == nil {
		req.Client = h
		m.Service.Ack(req, func(err *service.Error) { done <- err })
		err = <-done
	}
	switch {
	case err.NotLed():
		return nil, false
	case err != nil:
		s.told(c, m, "ForwardMessageToDeadLetterQueue", req.Topic, req.Group, err)
		return answer(settleStatus(err))
	}
	return answer(statusOK)
}
