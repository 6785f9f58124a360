package remoting

import (
	"sync"

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
	r.Flush = c.flushAcks
	c.s.svc.Ack(&r, func(err *service.Error) {
		if err != nil {
			l.fail(err)
			return
		}
		c.acked.add(l)
	})
}

// acked is acks that are recorded and not answered yet: what one record of the log has of a connection is answered with one write.
type acked struct {
	mu    sync.Mutex
	calls []*later
}

func (a *acked) add(l *later) {
	a.mu.Lock()
	a.calls = append(a.calls, l)
	a.mu.Unlock()
}

// flushAcks answers what was recorded.
func (c *conn) flushAcks() {
	c.acked.mu.Lock()
	calls := c.acked.calls
	c.acked.calls = nil
	c.acked.mu.Unlock()
	if len(calls) == 0 {
		return
	}
	c.rpc.Reply(func(dst []byte) []byte {
		for _, l := range calls {
			if !l.call.Oneway {
				w := wire.Response(dst, l.call.Type, l.call.Opaque, service.CodeSuccess, "")
				dst = w.End(0)
			}
		}
		return dst
	})
	for _, l := range calls {
		c.rpc.Answered(l.call.Code, service.CodeSuccess, l.call.Took(), false)
		l.owe(-1)
	}
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
