package remoting

import (
	"strconv"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// changeInvisibleTime: CHANGE_MESSAGE_INVISIBLETIME (3445 in the binary form). Header (ChangeInvisibleTimeRequestHeader): as ACK_MESSAGE, and
// invisibleTime* ms from now on. Answers 0 with popTime, invisibleTime and reviveQid, of which the client makes the message's new handle
// (an ordered message keeps its old one: invisibleTime is then counted from its pop); 208 also when the message is not in flight any more
// by this handle; 13, 17, 29. Deviates: RocketMQ answers 0 and delivers such a message once more (ChangeInvisibleTimeProcessor).
func (c *conn) changeInvisibleTime(call *rpc.Call, f *wire.Frame) {
	r, err := c.parseAck(f)
	a := args{f: f}
	req := &service.ChangeRequest{AckRequest: r, InvisibleMillis: a.int("invisibleTime", 0)}
	if err == nil {
		err = a.refusal()
	}
	if err != nil {
		c.refuseOf(call, r.Topic, r.Group, err)
		return
	}
	l := c.later(call, f, r.Topic, r.Group)
	c.s.svc.ChangeInvisible(req, func(n service.Changed, err *service.Error) {
		if err != nil {
			l.fail(err)
			return
		}
		l.ok(nil, number("popTime", n.PopMillis), number("invisibleTime", n.InvisibleMillis), number("reviveQid", int64(n.Revive)))
	})
}

func number(name string, n int64) rpc.Field {
	return rpc.Field{Name: name, Value: strconv.FormatInt(n, 10)}
}
