package namesrv

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// deleteTopic: DELETE_TOPIC_IN_NAMESRV. Header: topic*, clusterName. Answers 0. A topic that its broker still has comes back with
// the broker's next registration.
func (s *Server) deleteTopic(c *rpc.Call, f *wire.Frame) {
	s.table.DropTopic(f.String("topic"))
	c.OK(nil)
}
