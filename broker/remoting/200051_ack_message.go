package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// ackMessage: ACK_MESSAGE (3443 in the binary form). Header (AckMessageRequestHeader): consumerGroup*, topic* (the retry topic of a message
// that came from there), queueId*, extraInfo* the message's handle, offset*. Answers 0 when it is recorded, also when it was before or the
// message's time was over and it is somewhere else; 13 when the handle is none that was given; 208 when nothing was popped at the offset;
// 17.
func (c *conn) ackMessage(call *rpc.Call, f *wire.Frame) {
	r, err := c.parseAck(f)
	if err != nil {
		c.refuseOf(call, r.Topic, r.Group, err)
		return
	}
	l := c.later(call, f, r.Topic, r.Group)
	c.s.svc.Ack(&r, l.done)
}

func (c *conn) parseAck(f *wire.Frame) (r service.AckRequest, refused *service.Error) {
	a := args{f: f}
	r = service.AckRequest{
		Client: c.who, Group: c.name(f.Get("consumerGroup")), Topic: c.name(f.Get("topic")), QueueID: a.int32("queueId", -1), Offset: a.int("offset", -1),
		Handle: f.String("extraInfo"),
	}
	for _, name := range ackFieldsNeeded {
		if f.Get(name) == nil {
			return r, service.Refuse(service.CodeSystemError, "the field %s is missing", name)
		}
	}
	return r, a.refusal()
}

// ackFieldsNeeded are those without which nobody knows what is acknowledged.
var ackFieldsNeeded = []string{"consumerGroup", "topic", "queueId", "extraInfo", "offset"}
