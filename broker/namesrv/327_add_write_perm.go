package namesrv

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// addWritePerm: ADD_WRITE_PERM_OF_BROKER. Header: brokerName*. Undoes 205. Answers 0 with addTopicCount; 1 for an unknown broker.
func (s *Server) addWritePerm(c *rpc.Call, f *wire.Frame) {
	s.writePerm(c, f.String("brokerName"), true, "addTopicCount")
}
