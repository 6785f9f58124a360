package remoting

import (
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// sendMessageBack: CONSUMER_SEND_MSG_BACK. Header (ConsumerSendMsgBackRequestHeader): offset* physical offset of the message, group*,
// delayLevel* 0 lets the broker choose, below 0 is to the dead letters, originMsgId, originTopic, unitMode, maxReconsumeTimes. Answers 0
// when the copy is stored, also when the group keeps no retries; 1 when there is no message at the offset; 26 when there is no such group.
func (c *conn) sendMessageBack(f *wire.Frame) {
	b := service.Back{MaxReconsumeTimes: -1}
	var err error
	for i := range f.Fields {
		v := f.Fields[i].Value
		switch string(f.Fields[i].Name) {
		case "offset":
			int64Into(&b.Position, "offset", v, &err)
		case "group":
			b.Group = string(v)
		case "delayLevel":
			int32Into(&b.DelayLevel, "delayLevel", v, &err)
		case "maxReconsumeTimes":
			int32Into(&b.MaxReconsumeTimes, "maxReconsumeTimes", v, &err)
		}
	}
	c.store(f, err, func(t service.Token) {
		b.ReceivedMicros = c.now()
		c.parcel.AddBack(&b, t)
	})
}
