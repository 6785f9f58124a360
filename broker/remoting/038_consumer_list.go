package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// consumerList: GET_CONSUMER_LIST_BY_GROUP. Header: consumerGroup*. Answers 0 with body {"consumerIdList":[…]}, sorted, so that
// all members allocate alike; 1 when nobody is there.
func (c *conn) consumerList(call *rpc.Call, f *wire.Frame) {
	name := f.String("consumerGroup")
	ids := c.s.clients.ConsumerIDs(name)
	if len(ids) == 0 {
		call.Fail(1, "no consumer for this group, %s", name)
		return
	}
	call.JSON(map[string][]string{"consumerIdList": ids})
}
