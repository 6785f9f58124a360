package grpcapi

import (
	"context"
	"time"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/service"
)

// AckMessage: group, topic, entries* (message_id, receipt_handle). Answers OK when each is recorded, MULTIPLE_RESULTS when they differ, or what all failed with,
// and the status of each: INVALID_RECEIPT_HANDLE for one that is none, or whose time is over.
func (s *Server) AckMessage(ctx context.Context, r *pb.AckMessageRequest) (*pb.AckMessageResponse, error) {
	c, topic, group, st := s.settler(ctx, r.GetTopic(), r.GetGroup())
	if n := len(r.GetEntries()); st == nil && (n == 0 || n > acksMax) {
		st = refuse(pb.Code_BAD_REQUEST, "%d entries: from 1 to %d are possible", n, acksMax)
	}
	if st != nil {
		return &pb.AckMessageResponse{Status: st}, nil
	}
	a := &pb.AckMessageResponse{Entries: make([]*pb.AckMessageResultEntry, len(r.GetEntries()))}
	away := s.ackHere(ctx, c, topic, group, r, a)
	for m, entries := range away {
		s.ackThere(ctx, c, m, r, entries, a)
	}
	a.Status = summed(a.Entries)
	return a, nil
}

// settler checks who settles a message of what.
func (s *Server) settler(ctx context.Context, topic, group *pb.Resource) (c *client, topicName, groupName string, st *pb.Status) {
	if c, st = s.caller(ctx); st != nil {
		return c, "", "", st
	}
	if topicName, st = s.checkTopic(topic); st != nil {
		return c, topicName, "", st
	}
	groupName, st = checkGroup(group)
	return c, topicName, groupName, st
}

// ask is one message that is settled.
type ask struct {
	req     service.AckRequest
	h       service.Handle // req's
	release func(settled bool)
	err     *service.Error
	result  *pb.AckMessageResultEntry
	m       *Member
	i       int // in the request
}

// ackHere settles what is of broker groups that this node leads; the others, by member, it gives back.
func (s *Server) ackHere(ctx context.Context, c *client, topic, group string, r *pb.AckMessageRequest, a *pb.AckMessageResponse) map[*Member][]int {
	var away map[*Member][]int
	n := len(r.GetEntries())
	answers, asks, results := make(chan *ask, n), make([]ask, n), make([]pb.AckMessageResultEntry, n)
	asked := 0
	handles := map[*Member]*service.Client{}
	now := time.Now()
	for i, e := range r.GetEntries() {
		a.Entries[i] = &results[i]
		results[i].MessageId, results[i].ReceiptHandle, results[i].Status = e.GetMessageId(), e.GetReceiptHandle(), statusOK
		k := &asks[i]
		m, st := s.ackOf(ctx, topic, group, e.GetReceiptHandle(), now, k)
		switch {
		case st != nil:
			results[i].Status = st
		case !m.Service.Leads():
			k.release(false)
			if away == nil {
				away = map[*Member][]int{}
			}
			away[m] = append(away[m], i)
		default:
			if handles[m] == nil {
				handles[m] = c.take(m)
			}
			k.req.Client, k.result, k.m, k.i = handles[m], &results[i], m, i
			asked++
			m.Service.Ack(&k.req, func(err *service.Error) { k.err = err; answers <- k })
		}
	}
	for range asked {
		k := <-answers
		switch k.release(k.err == nil); {
		case k.err.NotLed(): // not any more; an ack may be given twice
			if away == nil {
				away = map[*Member][]int{}
			}
			away[k.m] = append(away[k.m], k.i)
		case k.err != nil:
			k.result.Status = settleStatus(k.err)
		}
	}
	for m, h := range handles {
		c.give(m, h)
	}
	return away
}

// ackOf reads a receipt into k; what is renewed is settled by its newest handle, and is not renewed until k.release says what became of that.
func (s *Server) ackOf(ctx context.Context, topic, group, receipt string, now time.Time, k *ask) (m *Member, st *pb.Status) {
	h, st := s.readReceipt(receipt)
	if st != nil {
		return nil, st
	}
	if m = s.member(h.Broker); m == nil {
		return nil, refuse(pb.Code_INVALID_RECEIPT_HANDLE, "receipt handle is invalid: its broker group %.100s is not known", h.Broker)
	}
	stands, err := service.RealTopic(topic, group, h.Type)
	if err != nil {
		return nil, receiptInvalid
	}
	newest, release, renewed := s.renewals.hold(ctx, receipt, group, topic)
	if renewed {
		h = newest
	} else {
		release = func(bool) {}
	}
	if m.Service.Leads() && expired(&h, now) { // where it is led it may be renewed
		release(false)
		return nil, receiptExpired
	}
	k.h, k.release = h, release
	k.req = service.AckRequest{Group: group, Topic: stands, QueueID: h.QueueID, Offset: h.Offset, Read: &k.h}
	return m, nil
}

// settleStatus: what is not leased by the handle any more is a wrong handle.
func settleStatus(err *service.Error) *pb.Status {
	switch err.Code {
	case service.CodeMessageIllegal, service.CodeNoMessage:
		return refuse(pb.Code_INVALID_RECEIPT_HANDLE, "%s", err.Text)
	}
	return statusOf(err)
}

// ackThere has the node that leads settle its part.
func (s *Server) ackThere(ctx context.Context, c *client, m *Member, r *pb.AckMessageRequest, entries []int, a *pb.AckMessageResponse) {
	part := &pb.AckMessageRequest{Group: r.GetGroup(), Topic: r.GetTopic()}
	for _, i := range entries {
		part.Entries = append(part.Entries, r.GetEntries()[i])
	}
	fail := func(st *pb.Status) *pb.AckMessageResponse {
		failed := &pb.AckMessageResponse{Status: st}
		for range entries {
			failed.Entries = append(failed.Entries, &pb.AckMessageResultEntry{Status: st})
		}
		return failed
	}
	got := route(ctx, s, c, m,
		func() (*pb.AckMessageResponse, bool) { // it leads by now
			here := &pb.AckMessageResponse{Entries: make([]*pb.AckMessageResultEntry, len(entries))}
			away := s.ackHere(ctx, c, nameOf(r.GetTopic()), nameOf(r.GetGroup()), part, here)
			here.Status = statusOK
			return here, len(away) == 0
		},
		func(ctx context.Context, p pb.MessagingServiceClient) (*pb.AckMessageResponse, error) {
			return p.AckMessage(ctx, part)
		}, fail)
	for n, i := range entries {
		if n < len(got.GetEntries()) {
			a.Entries[i].Status = got.GetEntries()[n].GetStatus()
		} else {
			a.Entries[i].Status = got.GetStatus()
		}
	}
}

// summed is the status of all.
func summed(entries []*pb.AckMessageResultEntry) *pb.Status {
	all := entries[0].Status
	for _, e := range entries[1:] {
		if e.Status.GetCode() != all.GetCode() {
			return &pb.Status{Code: pb.Code_MULTIPLE_RESULTS, Message: "MULTIPLE_RESULTS"}
		}
	}
	return all
}
