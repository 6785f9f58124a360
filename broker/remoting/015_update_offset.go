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
	if o.Offset == -1 { // the Go client says so of queues that it consumed nothing of: nothing to keep, nobody to tell
		call.Fail(service.CodeInvalidParameter, "offset -1 of group [%s] in %s queue %d: must be from 0", o.Group, o.Topic, o.QueueID)
		return
	}
	if call.Oneway {
		c.s.svc.CommitOffset(o, nil)
		return
	}
	k := *call
	c.rpc.Owe(1)
	c.s.svc.CommitOffset(o, func(err *service.Error) {
		c.done(&k, err)
		c.rpc.Owe(-1)
	})
}
