package namesrv

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// deleteKV: DELETE_KV_CONFIG. Header: namespace*, key*. Answers 0, also when there was none.
func (s *Server) deleteKV(c *rpc.Call, f *wire.Frame) {
	s.table.DeleteKV(f.String("namespace"), f.String("key"))
	c.OK(nil)
}
