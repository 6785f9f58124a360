package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// producerConnections: GET_PRODUCER_CONNECTION_LIST. Header: producerGroup*. Answers 0 with body {"connectionSet":[…]}; 1 when
// nobody is there.
func (c *conn) producerConnections(call *rpc.Call, f *wire.Frame) {
	name := f.String("producerGroup")
	conns := []connection{}
	for _, p := range c.s.clients.Producers(name) {
		conns = append(conns, connection{p.Addr, p.ClientID, p.Language, wire.VersionOrdinal(p.Version)})
	}
	if len(conns) == 0 {
		c.refuse(call, service.Refuse(service.CodeSystemError, "the producer group[%s] not exist", name))
		return
	}
	call.JSON(map[string]any{"connectionSet": conns})
}
