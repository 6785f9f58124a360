package remoting

import (
	"strconv"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// notification: NOTIFICATION (3446 in the binary form). Header (NotificationRequestHeader): consumerGroup*, topic*, queueId* (-1: any),
// pollTime* ms, bornTime* ms, order, attemptId. Answers 0 with hasMsg when there is something to pop or the time is up, and pollingFull
// when too many wait; 16, 17, 26, 29.
func (c *conn) notification(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	req := &service.NotifyRequest{
		Client: c.who, Group: c.name(f.Get("consumerGroup")), Topic: c.name(f.Get("topic")), QueueID: a.int32("queueId", -1),
		PollMillis: a.int("pollTime", 0), BornMillis: a.int("bornTime", 0), Order: f.Bool("order", false), Attempt: f.String("attemptId"),
	}
	if err := a.refusal(); err != nil {
		c.refuseOf(call, req.Topic, req.Group, err)
		return
	}
	l := c.later(call, f, req.Topic, req.Group)
	c.s.svc.Notify(req, func(has, full bool, err *service.Error) {
		if err != nil {
			l.fail(err)
			return
		}
		l.ok(nil, rpc.Field{Name: "hasMsg", Value: strconv.FormatBool(has)}, rpc.Field{Name: "pollingFull", Value: strconv.FormatBool(full)})
	})
}
