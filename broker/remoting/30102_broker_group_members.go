package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// brokerGroupMembers: Contrail's own. Header: add, remove (ids of members; 0 or absent: none). A new member first learns everything,
// then votes; with both, one takes the other's place in one step (raft's joint consensus). Answers 0 when the change has begun: it
// goes on at the leader and tells its progress as happenings; 29 when it makes no sense, 2 when another change is under way.
func (c *conn) brokerGroupMembers(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	add, remove := a.int("add", 0), a.int("remove", 0)
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	if err := c.s.svc.ChangeMembers(uint64(add), uint64(remove)); err != nil {
		c.refuse(call, err)
		return
	}
	call.OK(nil)
}
