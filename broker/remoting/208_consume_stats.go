package remoting

import (
	"slices"
	"strings"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

type consumeOffset struct {
	Broker        int64 `json:"brokerOffset"`
	Consumer      int64 `json:"consumerOffset"`
	LastTimestamp int64 `json:"lastTimestamp"`
	Pull          int64 `json:"pullOffset"`
}

// consumeStats: GET_CONSUME_STATS. Header: consumerGroup*, topic, topicList (joined by ;). Answers 0 with body ConsumeStats: the
// group's place in each queue; 17 for an unknown topic.
func (c *conn) consumeStats(call *rpc.Call, f *wire.Frame) {
	topic := f.String("topic")
	if topic != "" {
		if _, ok := c.s.svc.Topic(topic); !ok {
			c.refuse(call, service.Refuse(service.CodeTopicNotExist, "topic[%s] not exist", topic))
			return
		}
	}
	var wanted []string
	if list := f.String("topicList"); list != "" {
		wanted = strings.Split(list, ";")
	}
	g, _ := c.s.svc.InspectGroup(f.String("consumerGroup"))
	table := byQueue[consumeOffset]{}
	for _, q := range g.Queues {
		if topic != "" && q.Topic != topic || wanted != nil && !slices.Contains(wanted, q.Topic) {
			continue
		}
		committed := max(q.Committed, 0)
		table[queueKey{c.s.opts.Broker, q.QueueID, q.Topic}] = consumeOffset{q.Max, committed, q.LastCommit, max(q.LastPullOff, committed)}
	}
	table.answer(call, `"consumeTps":0`)
}
