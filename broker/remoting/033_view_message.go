package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// viewMessage: VIEW_MESSAGE_BY_ID. Header: topic, offset* (physical; the address in an offset message id is never dialled).
// Answers 0 with the stored message; 1 when there is none.
func (c *conn) viewMessage(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	position := a.int("offset", -1)
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	body, err := c.s.svc.ViewByPosition(f.String("topic"), position)
	if err != nil {
		c.refuse(call, err)
		return
	}
	call.OK(body)
}
