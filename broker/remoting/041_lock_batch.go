package remoting

import (
	"context"
	"encoding/json"
	"time"

	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// lockRequest is the body of codes 41 and 42.
type lockRequest struct {
	Group    string           `json:"consumerGroup"`
	ClientID string           `json:"clientId"`
	Queues   []group.QueueRef `json:"mqSet"`
}

const (
	lockQueuesMax = 10_000
	lockNameMax   = 255 // bytes of each name, which a lock keeps
	lockPatience  = 3 * time.Second
)

func (c *conn) lockRequest(call *rpc.Call, f *wire.Frame) (r lockRequest, ok bool) {
	if err := json.Unmarshal(f.Body, &r); err != nil {
		c.refuse(call, service.Refuse(service.CodeSystemError, "lock request not readable: %v", err))
		return r, false
	}
	if len(r.Queues) > lockQueuesMax {
		c.refuse(call, service.Refuse(service.CodeInvalidParameter, "%d queues in one request, the limit is %d", len(r.Queues), lockQueuesMax))
		return r, false
	}
	longest := max(len(r.Group), len(r.ClientID))
	for _, q := range r.Queues {
		longest = max(longest, len(q.Topic), len(q.Broker))
	}
	if longest > lockNameMax {
		c.refuse(call, service.Refuse(service.CodeInvalidParameter, "a name of %d bytes in a lock request, the limit is %d", longest, lockNameMax))
		return r, false
	}
	return r, true
}

// lockBatch: LOCK_BATCH_MQ. Body: lockRequest. The client holds a queue for 60 s. Answers 0 with body {"lockOKMQSet":[…]}: the
// queues that it holds now.
func (c *conn) lockBatch(call *rpc.Call, f *wire.Frame) {
	r, ok := c.lockRequest(call, f)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	held, err := c.s.svc.LockQueues(ctx, r.Group, r.ClientID, r.Queues)
	if err != nil {
		c.refuse(call, err)
		return
	}
	call.JSON(map[string]any{"lockOKMQSet": held})
}
