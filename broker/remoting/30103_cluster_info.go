package remoting

import (
	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// Cluster is what a port knows of the cluster beyond its broker group.
type Cluster interface {
	Cluster() inspect.Cluster
	// ClusterChange takes an inspect.ClusterChange; it may wait for a majority.
	ClusterChange(body []byte) ([]byte, *service.Error)
}

var noCluster = service.Refuse(service.CodeNotSupported, "this port knows nothing of a cluster")

// clusterInfo: Contrail's own. No header. Answers 0 with body inspect.Cluster: nodes, broker groups with their members' addresses, and
// changes under way, as this node sees them. It is answered where it is asked.
func (c *conn) clusterInfo(call *rpc.Call, _ *wire.Frame) {
	if c.s.opts.Whole == nil {
		c.refuse(call, noCluster)
		return
	}
	call.JSON(c.s.opts.Whole.Cluster())
}
