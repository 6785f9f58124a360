package remoting

import (
	"context"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// unlockBatch: UNLOCK_BATCH_MQ, usually one-way. Body: lockRequest. Answers 0.
func (c *conn) unlockBatch(call *rpc.Call, f *wire.Frame) {
	r, ok := c.lockRequest(call, f)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	c.done(call, c.s.svc.UnlockQueues(ctx, r.Group, r.ClientID, r.Queues))
}
