package remoting

import (
	"context"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// deleteGroup: DELETE_SUBSCRIPTIONGROUP. Header: groupName*, cleanOffset. Removes the group with its offsets. Answers 0, also when
// there was none.
func (c *conn) deleteGroup(call *rpc.Call, f *wire.Frame) {
	ctx, cancel := context.WithTimeout(context.Background(), changePatience)
	defer cancel()
	c.done(call, c.s.svc.DeleteGroup(ctx, f.String("groupName")))
}
