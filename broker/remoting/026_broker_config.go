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
	body := fmt.Sprintf("brokerClusterName=%s\nbrokerName=%s\nbrokerId=0\nbrokerRole=SYNC_MASTER\nflushDiskType=%s\nlistenPort=%s\nmaxMessageSize=%d\nbrokerPermission=6\nfileReservedTime=%d\n",
		n.Cluster, n.Broker, flush, portOf(n.StoreHost), c.s.svc.MaxMessage(), int(c.s.svc.RetentionAge().Hours()))
	call.OK([]byte(body), rpc.Field{Name: "version", Value: "{\"counter\":0,\"stateVersion\":0,\"timestamp\":0}"})
}
