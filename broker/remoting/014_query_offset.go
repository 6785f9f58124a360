package remoting

import (
	"strconv"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// queryOffset: QUERY_CONSUMER_OFFSET. Header: consumerGroup*, topic*, queueId*, setZeroIfNotFound. Answers 0 with offset; 22 when
// the group has none and does not begin at 0, as it does in a queue of which nothing is gone, empty or not.
func (c *conn) queryOffset(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	queueID := a.int32("queueId", 0)
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	n, err := c.s.svc.QueryOffset(f.String("consumerGroup"), f.String("topic"), queueID, f.Bool("setZeroIfNotFound", true))
	c.number(call, "offset", n, err)
}

// number answers with one number in the header.
func (c *conn) number(call *rpc.Call, name string, n int64, err *service.Error) {
	if err != nil {
		c.refuse(call, err)
		return
	}
	call.OK(nil, rpc.Field{Name: name, Value: strconv.FormatInt(n, 10)})
}
