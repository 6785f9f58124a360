package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// earliestStoreTime: GET_EARLIEST_MSG_STORETIME. Header: topic*, queueId*. Answers 0 with timestamp (ms; -1: no message); 17, 29.
func (c *conn) earliestStoreTime(call *rpc.Call, f *wire.Frame) {
	c.queueNumber(call, f, "timestamp", c.s.svc.EarliestStoreTime)
}
