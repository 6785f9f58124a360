package remoting

import (
	"strconv"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// allGroupConfig: GET_ALL_SUBSCRIPTIONGROUP_CONFIG. Answers 0 with body SubscriptionGroupWrapper, all groups in one page.
func (c *conn) allGroupConfig(call *rpc.Call, _ *wire.Frame) {
	table := map[string]catalog.Group{}
	for _, g := range c.s.svc.Groups() {
		table[g.Name] = g
	}
	call.JSON(map[string]any{"dataVersion": dataVersion{}, "forbiddenTable": map[string]any{}, "subscriptionGroupTable": table},
		rpc.Field{Name: "totalGroupNum", Value: strconv.Itoa(len(table))})
}
