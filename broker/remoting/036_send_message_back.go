package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// sendMessageBack: CONSUMER_SEND_MSG_BACK. Header (ConsumerSendMsgBackRequestHeader): offset* physical offset of the message, group*,
// delayLevel* 0 lets the broker choose, below 0 is to the dead letters, originMsgId, originTopic, unitMode, maxReconsumeTimes. Answers 0
// when the copy is stored, also when it was before or the group keeps no retries; 1 when there is no message at the offset; 26 when there
// is no such group.
func (c *conn) sendMessageBack(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	b := service.Back{
		Group: f.String("group"), Position: a.int("offset", -1), DelayLevel: a.int32("delayLevel", 0), MaxReconsumeTimes: a.int32("maxReconsumeTimes", -1),
		ReceivedMicros: c.now(),
	}
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	l := c.later(call, f, "", b.Group)
	c.s.svc.SendBack(l.who, &b, l.done)
}
