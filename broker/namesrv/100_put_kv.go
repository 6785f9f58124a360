package namesrv

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// putKV: PUT_KV_CONFIG. Header: namespace*, key*, value*. Answers 0; 1 over the limits of KVMax and KVBytesMax.
func (s *Server) putKV(c *rpc.Call, f *wire.Frame) {
	if err := s.table.PutKV(f.String("namespace"), f.String("key"), f.String("value")); err != nil {
		c.Fail(codeError, "%v", err)
		return
	}
	c.OK(nil)
}
