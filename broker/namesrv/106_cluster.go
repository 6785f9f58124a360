package namesrv

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// cluster: GET_BROKER_CLUSTER_INFO. Answers 0 with body ClusterInfo.
func (s *Server) cluster(c *rpc.Call, _ *wire.Frame) { c.JSON(s.table.Cluster()) }
