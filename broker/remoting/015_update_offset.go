package remoting

import (
	"bytes"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// updateOffset: UPDATE_CONSUMER_OFFSET, usually one-way. Header: consumerGroup*, topic*, queueId*, commitOffset*. Answers 0 when
// the offset is stored, or ignored because the group's place was reset and the group does not know yet; 17, 29.
func (c *conn) updateOffset(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	o := entry.Offset{
		Group: f.String("consumerGroup"), Topic: f.String("topic"), QueueID: a.int32("queueId", -1), Offset: a.int("commitOffset", -1),
		Client: c.who.Identity().ClientID, AtMicros: c.now(),
	}
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	if o.Offset == -1 { // the Go client says so of queues that it consumed nothing of: nothing to keep, nobody to tell
		call.Fail(service.CodeInvalidParameter, "offset -1 of group [%s] in %s queue %d: must be from 0", o.Group, o.Topic, o.QueueID)
		return
	}
	if !call.Oneway && c.s.svc.ResetWaits(o.Group, o.Topic, o.QueueID) {
		call.Answer(service.CodeSuccess, "Offset has been previously reset", nil)
		return
	}
	if call.Oneway {
		c.s.svc.CommitOffset(o, nil)
		return
	}
	k, who, relayed, frame := *call, c.who, c.relayed, c.copyOf(f)
	c.rpc.Owe(1)
	c.s.svc.CommitOffset(o, func(err *service.Error) {
		switch {
		case err == nil:
			k.OK(nil)
		case err.NotLed() && relayed:
			c.notLed(&k)
		case err.NotLed() && frame != nil:
			c.again(frame)
		default:
			k.Fail(err.Code, "%s", err.Text)
			c.refused(who, int(k.Code), o.Topic, o.Group, err)
		}
		c.rpc.Owe(-1)
	})
}

// copyOf is a frame that is needed after its handler returned; nil in a group of one, where it is not.
func (c *conn) copyOf(f *wire.Frame) []byte {
	if c.s.relay == nil {
		return nil
	}
	return bytes.Clone(f.Raw)
}
