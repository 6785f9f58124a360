package namesrv

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// kvList: GET_KVLIST_BY_NAMESPACE. Header: namespace*. Answers 0 with body {"table":{key:value}}; 22 when it is empty.
func (s *Server) kvList(c *rpc.Call, f *wire.Frame) {
	table := s.table.Namespace(f.String("namespace"))
	if len(table) == 0 {
		c.Fail(codeNotFound, "No config item, Namespace: %s", f.String("namespace"))
		return
	}
	c.JSON(map[string]any{"table": table})
}
