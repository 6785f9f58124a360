package remoting

import (
	"context"
	"fmt"
	"strconv"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// consumeDirectly: CONSUME_MESSAGE_DIRECTLY. Header: consumerGroup*, clientId*, msgId* (an offset message id; ours: or UNIQ_KEY with
// topic), topic, brokerName. Hands one stored message to that client, which consumes it outside its queues; nothing of the group's place
// is changed. Answers as the client does (body ConsumeMessageDirectlyResult); 1 when the client is not online or the message not there,
// 207 when it does not answer in time. Checked against AdminBrokerProcessor.consumeMessageDirectly.
func (c *conn) consumeDirectly(call *rpc.Call, f *wire.Frame) {
	to, ok := c.consumerOf(call, f)
	if !ok {
		return
	}
	topic, id := f.String("topic"), f.String("msgId")
	body, err := c.s.messageOf(topic, id)
	if err != nil {
		c.offline(call, f, err) // the leader may have what this member has not applied yet
		return
	}
	more := []rpc.Field{{Name: "brokerName", Value: c.s.opts.Broker}}
	if t, ok := c.s.svc.Topic(string(message.View(body).Topic())); ok {
		more = append(more, rpc.Field{Name: "topicSysFlag", Value: strconv.Itoa(int(t.SysFlag))})
	}
	name := f.String("consumerGroup")
	if g, ok := c.s.svc.Group(name); ok {
		more = append(more, rpc.Field{Name: "groupSysFlag", Value: strconv.Itoa(int(g.SysFlag))})
	}
	c.s.svc.Verified(topic, name, fmt.Sprintf("message %s handed to client %s, by %s", id, f.String("clientId"), c.who.AddrText()))
	c.handTo(to, call, f, body, more...)
}

// messageOf finds a message by its offset message id, or by UNIQ_KEY in a topic: both are hexadecimal and may be as long.
func (s *Server) messageOf(topic, id string) ([]byte, *service.Error) {
	if _, position, err := message.ParseOffsetID(id); err == nil {
		if body, err := s.svc.ViewByPosition("", position); err == nil {
			return body, nil
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), queryPatience)
	defer cancel()
	body, _, _, err := s.svc.Query(ctx, service.QueryRequest{Topic: topic, Key: id, Unique: true, MaxMessages: 1})
	if err != nil {
		return nil, service.Refuse(service.CodeSystemError, "can not find message %.100s of topic [%.127s]", id, topic)
	}
	v, e := message.Parse(body)
	if e != nil {
		return nil, &service.Error{Code: service.CodeSystemError, Text: "the message is not readable", Cause: e}
	}
	return v, nil
}
