package remoting

import (
	"context"
	"encoding/json"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// updateGroup: UPDATE_AND_CREATE_SUBSCRIPTIONGROUP. Body: SubscriptionGroupConfig; what it does not say is RocketMQ's default.
// Answers 0; 1, 29.
func (c *conn) updateGroup(call *rpc.Call, f *wire.Frame) {
	g := catalog.NewGroup("")
	if err := json.Unmarshal(f.Body, &g); err != nil {
		c.refuse(call, service.Refuse(service.CodeSystemError, "group settings not readable: %v", err))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), changePatience)
	defer cancel()
	c.done(call, c.s.svc.PutGroup(ctx, g))
}
