package namesrv

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// getKV: GET_KV_CONFIG. Header: namespace*, key*. Answers 0 with header value; 22 when there is none.
func (s *Server) getKV(c *rpc.Call, f *wire.Frame) {
	v, ok := s.table.KV(f.String("namespace"), f.String("key"))
	if !ok {
		c.Fail(codeNotFound, "No config item, Namespace: %s Key: %s", f.String("namespace"), f.String("key"))
		return
	}
	c.OK(nil, rpc.Field{Name: "value", Value: v})
}
