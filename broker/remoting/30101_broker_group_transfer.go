package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// brokerGroupTransfer: Contrail's own. Header: member* (id of the member that shall lead). The leader hands its office over once the
// member has everything, without refusing a request. Answers 0 when that has begun; 29 when the member is none, or lags too far.
func (c *conn) brokerGroupTransfer(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	member := a.int("member", 0)
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	if err := c.s.svc.MoveLeader(uint64(member)); err != nil {
		c.refuse(call, err)
		return
	}
	call.OK(nil)
}
