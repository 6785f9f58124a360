package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// deadLetters: Contrail's own. Header: consumerGroup*, offset to begin at (default the first), limit (default 100, at most 1000). Answers 0
// with body inspect.DeadLetterList: the group's dead letters of this broker group, oldest first; 26 when there is no such group.
func (c *conn) deadLetters(call *rpc.Call, f *wire.Frame) {
	limit, ok := c.waitingLimit(call, f)
	if !ok {
		return
	}
	a := args{f: f}
	from := a.int("offset", 0)
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	list, err := c.s.svc.DeadLetters(f.String("consumerGroup"), from, limit)
	if err != nil {
		c.refuse(call, err)
		return
	}
	call.JSON(list)
}
