package namesrv

import (
	"strconv"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// wipeWritePerm: WIPE_WRITE_PERM_OF_BROKER. Header: brokerName*. Routes of the broker lose write permission until 327.
// Answers 0 with wipeTopicCount; 1 for an unknown broker.
func (s *Server) wipeWritePerm(c *rpc.Call, f *wire.Frame) {
	s.writePerm(c, f.String("brokerName"), false, "wipeTopicCount")
}

func (s *Server) writePerm(c *rpc.Call, broker string, allowed bool, count string) {
	n, ok := s.table.WritePerm(broker, allowed)
	if !ok {
		c.Fail(codeError, "broker %q is not registered", broker)
		return
	}
	c.OK(nil, rpc.Field{Name: count, Value: strconv.Itoa(n)})
}
