package remoting

import (
	"time"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// unregister: UNREGISTER_CLIENT. Header: clientID*, producerGroup, consumerGroup. Takes the connection out of the groups and tells
// the others. Answers 0.
func (c *conn) unregister(call *rpc.Call, f *wire.Frame) {
	c.s.clients.Unregister(time.Now().UnixMilli(), c, f.String("producerGroup"), f.String("consumerGroup"))
	call.OK(nil)
}
