package remoting

import (
	"bytes"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// clusterChange: Contrail's own. No header; body inspect.ClusterChange. Answers 0 when a majority has the change: the nodes then do
// what it says, and repeating it does nothing more. 29 names what is not possible; 14 when nobody leads the group that keeps the plan; 2 when
// changesMax are being made.
func (c *conn) clusterChange(call *rpc.Call, f *wire.Frame) {
	if c.s.opts.Whole == nil {
		c.refuse(call, noCluster)
		return
	}
	select {
	case c.s.changes <- struct{}{}:
	default:
		c.refuse(call, service.Refuse(service.CodeSystemBusy, "%d changes of the cluster are being made, which is the limit; try again", changesMax))
		return
	}
	answer, owed := *call, bytes.Clone(f.Body)
	c.rpc.Owe(1)
	go func() { // it asks other nodes, perhaps this one
		defer func() { <-c.s.changes; c.rpc.Owe(-1) }()
		body, err := c.s.opts.Whole.ClusterChange(owed)
		if err != nil {
			answer.Fail(err.Code, "%s", err.Text)
			return
		}
		answer.OK(body)
	}()
}
