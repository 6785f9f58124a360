package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// resetOffset: INVOKE_BROKER_TO_RESET_OFFSET. Header: group*, topic*, timestamp* (ms; negative: the end), queueId (default -1: all),
// offset (of one queue), isForce (has no meaning here), _ctrlPlan (ours: only say what would be done). Answers 0 with body
// {"offsetTable":{{queue}:offset}} when the new offsets are stored, or with the plan as a JSON list; 1, 17, 26, 29.
//
// As RocketMQ with useServerSideResetOffset, its default: the next pull of each queue is answered with 21, so no client is sent a 220, and
// groups that are offline are moved, too. Checked against AdminBrokerProcessor.resetOffsetInner; deviates: an offset one behind the
// queue's end is taken as the end.
func (c *conn) resetOffset(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	q := service.ResetRequest{
		Group: f.String("group"), Topic: f.String("topic"), QueueID: a.int32("queueId", -1), Offset: a.int("offset", -1), Millis: a.int("timestamp", -1),
		By: c.who.AddrText(),
	}
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	if f.Bool("_ctrlPlan", false) {
		places, err := c.s.svc.PlanReset(q)
		c.planned(call, places, err)
		return
	}
	places, err := c.s.svc.ResetOffsets(q)
	if err != nil {
		c.refuse(call, err)
		return
	}
	table := byQueue[int64]{}
	for _, p := range places {
		table[queueKey{c.s.opts.Broker, p.QueueID, q.Topic}] = p.To
	}
	table.alone(call, "offsetTable")
}

func (c *conn) planned(call *rpc.Call, places []service.ResetPlace, err *service.Error) {
	if err != nil {
		c.refuse(call, err)
		return
	}
	call.JSON(places)
}

// alone sends {"name":{…}}.
func (m byQueue[V]) alone(call *rpc.Call, name string) {
	body, err := m.append([]byte(`{"` + name + `":`))
	if err != nil {
		call.Fail(service.CodeSystemError, "the answer could not be encoded: %v", err)
		return
	}
	call.OK(append(body, '}'))
}
