package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// minOffset: GET_MIN_OFFSET. Header: topic*, queueId*. Answers 0 with offset, the first one kept; 17, 29.
func (c *conn) minOffset(call *rpc.Call, f *wire.Frame) {
	c.queueNumber(call, f, "offset", c.s.svc.MinOffset)
}
