package grpcapi

import (
	"context"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/service"
)

// ChangeInvisibleDuration: group, topic, receipt_handle, invisible_duration, message_id. The message comes again after that time from now, unless it is
// acknowledged by the new handle that is answered. INVALID_RECEIPT_HANDLE, ILLEGAL_INVISIBLE_TIME.
func (s *Server) ChangeInvisibleDuration(ctx context.Context, r *pb.ChangeInvisibleDurationRequest) (*pb.ChangeInvisibleDurationResponse, error) {
	fail := func(st *pb.Status) *pb.ChangeInvisibleDurationResponse {
		return &pb.ChangeInvisibleDurationResponse{Status: st}
	}
	c, topic, group, st := s.settler(ctx, r.GetTopic(), r.GetGroup())
	if st != nil {
		return fail(st), nil
	}
	d := r.GetInvisibleDuration().AsDuration() // 0: a push consumer's next attempt comes at once
	if st := checkInvisible(d, 0); st != nil {
		return fail(st), nil
	}
	var k ask
	m, st := s.ackOf(ctx, topic, group, r.GetReceiptHandle(), time.Now(), &k)
	if st != nil {
		s.refused(c, nil, "ChangeInvisibleDuration", topic, group, st)
		return fail(st), nil
	}
	a := route(ctx, s, c, m,
		func() (*pb.ChangeInvisibleDurationResponse, bool) { return s.change(c, m, &k.req, d) },
		func(ctx context.Context, p pb.MessagingServiceClient) (*pb.ChangeInvisibleDurationResponse, error) {
			return p.ChangeInvisibleDuration(ctx, r)
		}, fail)
	k.release(a.GetStatus().GetCode() == pb.Code_OK)
	return a, nil
}

func (s *Server) change(c *client, m *Member, req *service.AckRequest, d time.Duration) (*pb.ChangeInvisibleDurationResponse, bool) {
	h := c.take(m)
	defer c.give(m, h)
	req.Client = h
	type answer struct {
		to  service.Changed
		err *service.Error
	}
	got := make(chan answer, 1)
	m.Service.ChangeInvisible(&service.ChangeRequest{AckRequest: *req, InvisibleMillis: max(1, d.Milliseconds())}, func(to service.Changed, err *service.Error) { got <- answer{to, err} })
	a := <-got
	switch {
	case a.err.NotLed():
		return nil, false
	case a.err != nil:
		s.told(c, m, "ChangeInvisibleDuration", req.Topic, req.Group, a.err)
		return &pb.ChangeInvisibleDurationResponse{Status: settleStatus(a.err)}, true
	}
	return &pb.ChangeInvisibleDurationResponse{Status: statusOK, ReceiptHandle: s.receiptOf(changedHandle(*req.Read, a.to))}, true
}

// changedHandle is the handle of a message that got another time. An ordered one keeps its begin.
func changedHandle(h service.Handle, to service.Changed) service.Handle {
	h.PopMillis, h.InvisibleMillis, h.Revive = to.PopMillis, to.InvisibleMillis, to.Revive
	return h
}
