package remoting

import (
	"fmt"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// brokerConfig: GET_BROKER_CONFIG. Answers 0 with body "key=value\n" lines under RocketMQ's names: what tools ask for, and no
// path of this machine.
func (c *conn) brokerConfig(call *rpc.Call, _ *wire.Frame) {
	n := c.s.svc.InspectNode()
	flush := "SYNC_FLUSH"
	if n.SyncMode != "fdatasync" {
		flush = "ASYNC_FLUSH"
	}
	role := "SYNC_MASTER"
	if c.s.svc.BrokerID() != 0 {
		role = "SLAVE"
	}
	body := fmt.Sprintf("brokerClusterName=%s\nbrokerName=%s\nbrokerId=%d\nbrokerRole=%s\nflushDiskType=%s\nlistenPort=%s\nmaxMessageSize=%d\nbrokerPermission=6\nfileReservedTime=%d\n",
		n.Cluster, n.Broker, c.s.svc.BrokerID(), role, flush, portOf(n.StoreHost), c.s.svc.MaxMessage(), int(c.s.svc.RetentionAge().Hours()))
	call.OK([]byte(body), rpc.Field{Name: "version", Value: "{\"counter\":0,\"stateVersion\":0,\"timestamp\":0}"})
}
