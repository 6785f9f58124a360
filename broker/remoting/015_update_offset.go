package remoting

import (
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// updateOffset: UPDATE_CONSUMER_OFFSET, usually one-way. Header: consumerGroup*, topic*, queueId*, commitOffset*. Answers 0 when
// the offset is stored; 17, 29.
func (c *conn) updateOffset(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	o := entry.Offset{
		Group: f.String("consumerGroup"), Topic: f.String("topic"), QueueID: a.int32("queueId", -1), Offset: a.int("commitOffset", -1),
		Client: c.client.Identity().ClientID, AtMicros: c.now(),
	}
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	if call.Oneway {
		if o.Offset >= 0 { // clients that consumed nothing yet send -1: there is nothing to keep, and nothing wrong
			c.s.svc.CommitOffset(o, nil)
		}
		return
	}
	k := *call
	c.s.svc.CommitOffset(o, func(err *service.Error) { c.done(&k, err) })
}
