package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// transactions: Contrail's own. Header: producerGroup (none: all), limit (default 100, at most 1000). Answers 0 with body
// inspect.TransactionList: the oldest half messages of this broker group that are undecided, and counts.
func (c *conn) transactions(call *rpc.Call, f *wire.Frame) {
	if limit, ok := c.waitingLimit(call, f); ok {
		call.JSON(c.s.svc.Transactions(f.String("producerGroup"), limit))
	}
}
