package namesrv

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// unregisterBroker: UNREGISTER_BROKER. Header: brokerName*, brokerAddr*, clusterName*, brokerId*. The other members of the
// broker group stay. Answers 0; 16 where brokers of
// other processes are not accepted.
func (s *Server) unregisterBroker(c *rpc.Call, f *wire.Frame) {
	if !s.opts.AcceptBrokers {
		c.Fail(codeNoPermission, "this name server takes no brokers of other processes (nameServer.acceptBrokers)")
		return
	}
	id, err := f.Int("brokerId", 0)
	if err != nil {
		c.Fail(codeError, "%v", err)
		return
	}
	s.table.Unregister(Member{Broker: f.String("brokerName"), ID: id, Addr: f.String("brokerAddr")})
	c.OK(nil)
}
