package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// groupConfig: GET_SUBSCRIPTIONGROUP_CONFIG. Header: group*. Answers 0 with body SubscriptionGroupConfig; 26.
func (c *conn) groupConfig(call *rpc.Call, f *wire.Frame) {
	g, ok := c.s.svc.Group(f.String("group"))
	if !ok {
		c.refuse(call, service.Refuse(service.CodeSubscriptionGroupMissing, "No group in this broker. group: %s", f.String("group")))
		return
	}
	call.JSON(g)
}
