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

const (
	broadcasting = "BROADCASTING"
	heartbeatMax = 1 << 20 // bytes
	consumersMax = 1000    // groups of one heartbeat: each may have to be made
)

// heartbeat: HEART_BEAT. Body: HeartbeatData. Registers the connection in its producer and consumer groups; a new consumer
// group is made, with its retry topic, where that is allowed and by the leader. Answers 0 with IS_SUB_CHANGE; 1, 26. Fingerprint-only heartbeats
// (version 2) are not offered, so clients send whole ones.
func (c *conn) heartbeat(call *rpc.Call, f *wire.Frame) {
	var hb group.Heartbeat
	if n := len(f.Body); n > heartbeatMax {
		c.refuse(call, service.Refuse(service.CodeInvalidParameter, "heartbeat of %d bytes, the limit is %d", n, heartbeatMax))
		return
	}
	if err := json.Unmarshal(f.Body, &hb); err != nil {
		c.refuse(call, service.Refuse(service.CodeSystemError, "heartbeat not readable: %v", err))
		return
	}
	if n := len(hb.ClientID); n == 0 || n > clientIDMax {
		c.refuse(call, service.Refuse(service.CodeSystemError, "clientID of %d bytes: from 1 to %d are possible", n, clientIDMax))
		return
	}
	if n := len(hb.Consumers); n > consumersMax {
		c.refuse(call, service.Refuse(service.CodeInvalidParameter, "heartbeat with %d consumer groups, the limit is %d", n, consumersMax))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), changePatience)
	defer cancel()
	for i := range hb.Consumers {
		if err := c.consumerGroup(ctx, &hb.Consumers[i]); err != nil && !err.NotLed() {
			c.refuse(call, err)
			return
		}
	}
	changed, tell := c.s.clients.Beat(time.Now().UnixMilli(), c, c.identify(hb.ClientID), &hb)
	value := "false"
	if changed {
		value = "true"
	}
	call.OK(nil, rpc.Field{Name: "IS_SUPPORT_HEART_BEAT_V2", Value: "false"}, rpc.Field{Name: "IS_SUB_CHANGE", Value: value})
	tell()
}

// consumerGroup makes what a group needs before its first member is in. A member that does not lead makes nothing: consumers
// send their heartbeats to all members, and so to the leader.
func (c *conn) consumerGroup(ctx context.Context, d *group.ConsumerData) *service.Error {
	if !c.s.leads() {
		return nil
	}
	g, err := c.s.svc.EnsureGroup(ctx, d.Group)
	if err != nil {
		return err
	}
	if d.Model == broadcasting || g.RetryQueues <= 0 {
		return nil
	}
	return c.s.svc.EnsureRetryTopic(ctx, g)
}
