package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// pollingInfo: POLLING_INFO (3447 in the binary form). Header: consumerGroup*, topic*, queueId*. Answers 0 with pollingNum, how many pops of
// the group wait for the queue; 16, 17, 26, 29.
func (c *conn) pollingInfo(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	id, err := a.int32("queueId", -1), a.refusal()
	if err != nil {
		c.refuse(call, err)
		return
	}
	n, err := c.s.svc.PollingPops(f.String("consumerGroup"), f.String("topic"), id)
	if err != nil {
		c.refuse(call, err)
		return
	}
	call.OK(nil, number("pollingNum", int64(n)))
}
