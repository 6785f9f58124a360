package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// popMessage: POP_MESSAGE (3442 in the binary form). Header (PopMessageRequestHeader): consumerGroup*, topic*, queueId* (-1: any),
// maxMsgNums* (at most 32), invisibleTime* ms, pollTime* ms, bornTime* ms by the client's clock, initMode* (0 from the first message, 1
// from the last), expType, exp, order, attemptId. Answers 0 with messages in their stored form, those of the retry topic with their own
// topic and POP_CK; 209 too many wait; 210 nothing came in time; each with popTime, invisibleTime, reviveQid, restNum and, where messages
// are, startOffsetInfo, msgOffsetInfo, orderCountInfo; 1, 2, 14, 16, 17, 23, 26, 29.
func (c *conn) popMessage(call *rpc.Call, f *wire.Frame) {
	req := &service.PopRequest{Client: c.who, ReceivedMicros: c.now()}
	if err := c.parsePop(req, f); err != nil {
		c.refuseOf(call, req.Topic, req.Group, err)
		return
	}
	l := c.later(call, f, req.Topic, req.Group)
	c.s.svc.Pop(req, func(r *service.PopResult) { l.popped(r) })
}

func (c *conn) parsePop(req *service.PopRequest, f *wire.Frame) *service.Error {
	var err error
	var init int32
	for i := range f.Fields {
		v := f.Fields[i].Value
		switch string(f.Fields[i].Name) {
		case "consumerGroup":
			req.Group = c.name(v)
		case "topic":
			req.Topic = c.name(v)
		case "queueId":
			int32Into(&req.QueueID, "queueId", v, &err)
		case "maxMsgNums":
			int32Into(&req.MaxMessages, "maxMsgNums", v, &err)
		case "invisibleTime":
			int64Into(&req.InvisibleMillis, "invisibleTime", v, &err)
		case "pollTime":
			int64Into(&req.PollMillis, "pollTime", v, &err)
		case "bornTime":
			int64Into(&req.BornMillis, "bornTime", v, &err)
		case "initMode":
			int32Into(&init, "initMode", v, &err)
		case "expType":
			req.ExpressionType = c.name(v)
		case "exp":
			req.Expression = c.name(v)
		case "order":
			req.Order = string(v) == "true"
		case "attemptId":
			req.Attempt = string(v)
		}
	}
	if req.FromEnd = init == 1; err != nil {
		return service.Refuse(service.CodeSystemError, "%v", err)
	}
	if n := len(req.Attempt); n > attemptMax {
		return service.Refuse(service.CodeInvalidParameter, "attemptId of %d bytes, the limit is %d", n, attemptMax)
	}
	return nil
}

const attemptMax = 255

// popped answers.
func (l *later) popped(r *service.PopResult) {
	if r.Refused != nil {
		l.fail(r.Refused)
		return
	}
	write := func(dst []byte) []byte {
		w := wire.Response(dst, l.call.Type, l.call.Opaque, int32(r.Code), r.Remark)
		w.Int("popTime", r.PopMillis)
		w.Int("invisibleTime", r.InvisibleMillis)
		w.Int("reviveQid", int64(r.ReviveQueue))
		w.Int("restNum", r.Rest)
		w.String("startOffsetInfo", r.StartOffsets)
		w.String("msgOffsetInfo", r.MessageOffsets)
		if r.OrderCounts != "" {
			w.String("orderCountInfo", r.OrderCounts)
		}
		return append(w.End(len(r.Body)), r.Body...)
	}
	switch {
	case l.call.Oneway:
	case r.Messages > 0:
		l.c.rpc.Delivery(write)
	default:
		l.c.rpc.Reply(write)
	}
	l.c.rpc.Answered(l.call.Code, int32(r.Code), l.call.Took(), r.WaitedMicros > 0)
	r.Release()
	l.owe(-1)
}
