package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// maxOffset: GET_MAX_OFFSET. Header: topic*, queueId*. Answers 0 with offset, the next one that the queue will give; 17, 29.
func (c *conn) maxOffset(call *rpc.Call, f *wire.Frame) {
	c.queueNumber(call, f, "offset", c.s.svc.MaxOffset)
}

func (c *conn) queueNumber(call *rpc.Call, f *wire.Frame, name string, of func(string, int32) (int64, *service.Error)) {
	a := args{f: f}
	queueID := a.int32("queueId", -1)
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	n, err := of(f.String("topic"), queueID)
	c.number(call, name, n, err)
}
