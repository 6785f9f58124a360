package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// timeSpan is RocketMQ's QueueTimeSpan; times are ms.
type timeSpan struct {
	Queue   queueKey `json:"messageQueue"`
	Min     int64    `json:"minTimeStamp"`
	Max     int64    `json:"maxTimeStamp"`
	Consume int64    `json:"consumeTimeStamp"`
	Delay   int64    `json:"delayTime"`
}

// consumeTimeSpan: QUERY_CONSUME_TIME_SPAN. Header: topic*, group*. Answers 0 with body {"consumeTimeSpanSet":[…]}: when each queue's
// oldest and newest message, and the last one that the group consumed, were stored, and how old the next one is; -1 where there is no
// message; 17. Checked against AdminBrokerProcessor.queryConsumeTimeSpan.
func (c *conn) consumeTimeSpan(call *rpc.Call, f *wire.Frame) {
	topic := f.String("topic")
	spans, err := c.s.svc.TimeSpans(f.String("group"), topic)
	if err != nil {
		c.refuse(call, err)
		return
	}
	out := make([]timeSpan, 0, len(spans))
	for _, s := range spans {
		out = append(out, timeSpan{queueKey{c.s.opts.Broker, s.QueueID, topic}, s.Oldest, s.Newest, s.Consumed, s.Delay})
	}
	call.JSON(map[string]any{"consumeTimeSpanSet": out})
}
