package grpcapi

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
	"unicode/utf16"

	pb "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/service"
)

// SendMessage: messages*, all of one topic. They are stored in one queue, which a message group decides, or else the broker. Answers OK, or what the first
// failed with, or MULTIPLE_RESULTS, with an entry for each: its status, message and transaction id, offset, and the handle by which a scheduled one is
// recalled; TOPIC_NOT_FOUND: topics are not made by sending. MESSAGE_PROPERTY_CONFLICT_WITH_TYPE when the topic does not take its type.
func (s *Server) SendMessage(ctx context.Context, r *pb.SendMessageRequest) (*pb.SendMessageResponse, error) {
	received := time.Now().UnixMicro()
	c, st := s.caller(ctx)
	if st != nil {
		return sendFailed(st), nil
	}
	topic, st := s.checkMessages(r.GetMessages())
	if st != nil {
		s.refused(c, nil, "SendMessage", topic, "", st)
		return sendFailed(st), nil
	}
	may, st := s.choose(topic, r.GetMessages()[0], s.relayedFor(ctx))
	if st != nil {
		s.refused(c, nil, "SendMessage", topic, "", st)
		return sendFailed(st), nil
	}
	there := func(ctx context.Context, p pb.MessagingServiceClient) (*pb.SendMessageResponse, error) {
		return p.SendMessage(ctx, r)
	}
	for i := range may { // a broker group that cannot be reached is not waited for while there are others
		here := func() (*pb.SendMessageResponse, bool) {
			return s.store(c, may[i].m, topic, may[i].queue, r.GetMessages(), received)
		}
		if i == len(may)-1 {
			return route(ctx, s, c, may[i].m, here, there, sendFailed), nil
		}
		if a, done := routeOnce(ctx, s, c, may[i].m, here, there, sendFailed); done {
			return a, nil
		}
	}
	return sendFailed(topicMissing(topic)), nil
}

func sendFailed(st *pb.Status) *pb.SendMessageResponse { return &pb.SendMessageResponse{Status: st} }

// checkMessages refuses what is not one topic's, or not to be stored.
func (s *Server) checkMessages(list []*pb.Message) (topic string, st *pb.Status) {
	switch n := len(list); {
	case n == 0:
		return "", refuse(pb.Code_MESSAGE_CORRUPTED, "no message to send")
	case n > messagesMax:
		return "", refuse(pb.Code_BAD_REQUEST, "%d messages in one request, the limit is %d", n, messagesMax)
	}
	topic, st = s.checkTopic(list[0].GetTopic())
	if st != nil {
		return topic, st
	}
	maxBody := s.maxBody()
	for _, m := range list {
		if nameOf(m.GetTopic()) != topic {
			return topic, refuse(pb.Code_MESSAGE_CORRUPTED, "topic in message is not same")
		}
		if a, b := m.GetSystemProperties(), list[0].GetSystemProperties(); a.GetMessageType() != b.GetMessageType() || a.GetMessageGroup() != b.GetMessageGroup() {
			return topic, refuse(pb.Code_BAD_REQUEST, "messages of one request have different types or message groups")
		}
		if st := s.checkMessage(m, maxBody); st != nil {
			return topic, st
		}
	}
	return topic, nil
}

// place is a broker group that a message may go to.
type place struct {
	m      *Member
	topic  catalog.Topic
	queues int32
}

// choice is a queue of a broker group.
type choice struct {
	m     *Member
	queue int32
}

// choose finds the broker groups that may store a message, and of each the queue: of all queues the one that the message group hashes to, or else any of any group,
// in an order that differs from message to message. A client may have one connection for all of them, so that it cannot spread its messages by itself. fixed is the
// broker group that was chosen by the node that handed the request on; "": none was. There is at least one.
func (s *Server) choose(topic string, m *pb.Message, fixed string) ([]choice, *pb.Status) {
	places, st := s.places(topic, m)
	if st != nil {
		return nil, st
	}
	if g := m.GetSystemProperties().GetMessageGroup(); g != "" {
		if fixed != "" { // its queue among all was in that broker group, as far as the other node saw
			if p, queue := hashed(places, g); p.m.Name == fixed {
				return []choice{{p.m, queue}}, nil
			}
			places = preferred(places, fixed)
		}
		p, queue := hashed(places, g)
		return []choice{{p.m, queue}}, nil
	}
	places = preferred(places, fixed)
	may := make([]choice, len(places))
	first := rand.IntN(len(places))
	for i := range places {
		p := &places[(first+i)%len(places)]
		may[i] = choice{p.m, rand.Int32N(p.queues)}
	}
	return may, nil
}

// hashed is the queue of a message group.
func hashed(places []place, messageGroup string) (place, int32) {
	total := int32(0)
	for _, p := range places {
		total += p.queues
	}
	n := consistentHash(int64(javaHash(messageGroup)), total)
	for _, p := range places {
		if n < p.queues {
			return p, n
		}
		n -= p.queues
	}
	return places[0], 0
}

// preferred are the named broker group, or those that are led, or else all.
func preferred(places []place, name string) []place {
	var led []place
	for _, p := range places {
		if p.m.Name == name {
			return []place{p}
		}
		if _, ok := p.m.Leader(); ok {
			led = append(led, p)
		}
	}
	if len(led) > 0 {
		return led
	}
	return places
}

// places are the broker groups that take the message, by name: every node sees the same.
func (s *Server) places(topic string, m *pb.Message) (places []place, st *pb.Status) {
	known := false
	for _, member := range s.o.Members() {
		t, ok := member.Service.Topic(topic)
		if !ok {
			continue
		}
		known = true
		if kind := m.GetSystemProperties().GetMessageType(); !slices.Contains(acceptedTypes(&t), kind) {
			return nil, refuse(pb.Code_MESSAGE_PROPERTY_CONFLICT_WITH_TYPE, "TopicMessageType validate failed, the expected type is %s, but actual type is %s", acceptedTypes(&t)[0], kind)
		}
		if t.Perm&catalog.PermWrite != 0 && t.WriteQueues > 0 {
			places = append(places, place{member, t, t.WriteQueues})
		}
	}
	switch {
	case !known:
		return nil, topicMissing(topic)
	case len(places) == 0:
		return nil, refuse(pb.Code_FORBIDDEN, "no writable message queue of topic %s", topic)
	}
	return places, nil
}

// sending is the memory of one request.
type sending struct {
	header service.SendHeader
	done   chan struct{}
}

var sendings = sync.Pool{New: func() any { return &sending{done: make(chan struct{}, 1)} }}

// store has the service store the messages; false: nothing was, because this node does not lead.
func (s *Server) store(c *client, m *Member, topic string, queue int32, list []*pb.Message, received int64) (*pb.SendMessageResponse, bool) {
	h := c.take(m)
	defer c.give(m, h)
	w := sendings.Get().(*sending)
	defer sendings.Put(w)
	p := m.Service.Parcel(h)
	for i, msg := range list {
		w.header.Topic, w.header.ProducerGroup, w.header.ReceivedMicros = []byte(topic), []byte(topic), received
		header(&w.header, msg)
		w.header.QueueID = queue
		p.Add(&w.header, msg.GetBody(), service.Token{Opaque: int32(i)})
	}
	p.Submit(func(*service.Parcel) { w.done <- struct{}{} })
	<-w.done
	defer p.Release()
	return s.sent(c, m, topic, list, p.Results)
}

// sent makes the answer of what became of each message.
func (s *Server) sent(c *client, m *Member, topic string, list []*pb.Message, results []service.Result) (*pb.SendMessageResponse, bool) {
	a := &pb.SendMessageResponse{Status: statusOK, Entries: make([]*pb.SendResultEntry, len(results))}
	failed, notLed := 0, 0
	for i := range results {
		r := &results[i]
		e := &pb.SendResultEntry{Status: statusOK, MessageId: list[i].GetSystemProperties().GetMessageId(), Offset: r.QueueOffset, RecallHandle: r.RecallHandle}
		e.TransactionId = e.MessageId
		if r.Code != service.CodeSuccess {
			failed++
			err := &service.Error{Code: r.Code, Text: r.Remark}
			e.Status = statusOf(err)
			if r.NotLed {
				notLed++
			} else if m.Refused != nil {
				s.told(c, m, "SendMessage", topic, "", err)
			}
			a.Status = e.Status
		}
		a.Entries[i] = e
	}
	if failed > 0 && failed < len(results) {
		a.Status = refuse(pb.Code_MULTIPLE_RESULTS, "%d of %d messages were not stored", failed, len(results))
	}
	return a, notLed < len(results)
}

// refused tells the trail of a refusal that the service did not see; m may be nil.
func (s *Server) refused(c *client, m *Member, call, topic, group string, st *pb.Status) {
	if m == nil {
		all := s.o.Members()
		if len(all) == 0 {
			return
		}
		m = all[0]
	}
	s.told(c, m, call, topic, group, &service.Error{Code: int(st.GetCode()), Text: st.GetMessage()})
}

func (s *Server) told(c *client, m *Member, call, topic, group string, err *service.Error) {
	if m.Refused == nil {
		return
	}
	h := c.take(m)
	m.Refused(h, call, topic, group, err)
	c.give(m, h)
}

// javaHash is java.lang.String.hashCode: of UTF-16 units.
func javaHash(s string) (h int32) {
	for _, u := range utf16.Encode([]rune(s)) {
		h = 31*h + int32(u)
	}
	return h
}

// consistentHash is com.google.common.hash.Hashing.consistentHash, by which proxies choose the queue of a message group: a queue more moves few groups.
func consistentHash(input int64, buckets int32) int32 {
	state := uint64(input)
	candidate := int32(0)
	for {
		state = 2862933555777941757*state + 1
		next := float64(candidate+1) / (float64(int32(state>>33)+1) / (1 << 31))
		if next < 0 || next >= float64(buckets) {
			return candidate
		}
		candidate = int32(next)
	}
}
