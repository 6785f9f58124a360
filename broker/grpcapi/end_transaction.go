package grpcapi

import (
	"context"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/service"
)

// EndTransaction: topic, message_id, transaction_id, resolution, source, trace_context. Commits or rolls back the half message of that id; the first decision
// wins, and the same again is OK. UNSPECIFIED decides nothing: the producer is asked later. ILLEGAL_MESSAGE_ID, INVALID_TRANSACTION_ID, NOT_FOUND when no broker
// group has an open transaction of that id.
func (s *Server) EndTransaction(ctx context.Context, r *pb.EndTransactionRequest) (*pb.EndTransactionResponse, error) {
	fail := func(st *pb.Status) *pb.EndTransactionResponse { return &pb.EndTransactionResponse{Status: st} }
	c, st := s.caller(ctx)
	if st != nil {
		return fail(st), nil
	}
	topic, st := s.checkTopic(r.GetTopic())
	switch {
	case st != nil:
	case blank(r.GetMessageId()) || len(r.GetMessageId()) > clientIDMax:
		st = refuse(pb.Code_ILLEGAL_MESSAGE_ID, "message id cannot be empty")
	case blank(r.GetTransactionId()) || len(r.GetTransactionId()) > clientIDMax:
		st = refuse(pb.Code_INVALID_TRANSACTION_ID, "transaction id cannot be empty")
	}
	if st != nil {
		return fail(st), nil
	}
	if r.GetResolution() == pb.TransactionResolution_TRANSACTION_RESOLUTION_UNSPECIFIED {
		return fail(statusOK), nil
	}
	last := refuse(pb.Code_NOT_FOUND, "no open transaction of message %.100s in topic %s", r.GetMessageId(), topic)
	for _, m := range s.o.Members() {
		if _, ok := m.Service.Topic(topic); !ok {
			continue
		}
		if only := s.relayedFor(ctx); only != "" && only != m.Name {
			continue
		}
		if _, led := m.Leader(); !led && !m.Service.Leads() { // it may be there, and the others are not kept waiting
			last = refuse(pb.Code_HA_NOT_AVAILABLE, "broker group %s has no leader at the moment", m.Name)
			continue
		}
		a := route(ctx, s, c, m,
			func() (*pb.EndTransactionResponse, bool) { return s.endHere(ctx, c, m, topic, r) },
			func(ctx context.Context, p pb.MessagingServiceClient) (*pb.EndTransactionResponse, error) {
				return p.EndTransaction(ctx, r)
			}, fail)
		switch a.GetStatus().GetCode() {
		case pb.Code_OK:
			return a, nil
		case pb.Code_NOT_FOUND:
		default:
			last = a.GetStatus()
		}
	}
	return fail(last), nil
}

// endHere ends the transaction if this node's member has it; false: nothing was done, because it does not lead.
func (s *Server) endHere(ctx context.Context, c *client, m *Member, topic string, r *pb.EndTransactionRequest) (*pb.EndTransactionResponse, bool) {
	offset, position, found, refused := m.Service.FindHalf(ctx, topic, r.GetTransactionId())
	if refused.NotLed() {
		return nil, false
	}
	if refused != nil {
		return &pb.EndTransactionResponse{Status: statusOf(refused)}, true
	}
	if !found {
		return &pb.EndTransactionResponse{Status: &pb.Status{Code: pb.Code_NOT_FOUND}}, true
	}
	h := c.take(m)
	defer c.give(m, h)
	e := &service.EndTxn{
		Client: h, Group: topic, Offset: offset, Position: position, Decision: service.TxnCommit, FromCheck: r.GetSource() == pb.TransactionSource_SOURCE_SERVER_CHECK,
	}
	if r.GetResolution() == pb.TransactionResolution_ROLLBACK {
		e.Decision = service.TxnRollback
	}
	ended := make(chan *service.Error, 1)
	m.Service.EndTransaction(e, func(err *service.Error) { ended <- err })
	err := <-ended
	switch {
	case err.NotLed():
		return nil, false
	case err != nil:
		s.told(c, m, "EndTransaction", topic, topic, err)
		return &pb.EndTransactionResponse{Status: statusOf(err)}, true
	}
	return &pb.EndTransactionResponse{Status: statusOK}, true
}
