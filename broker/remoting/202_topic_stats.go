package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

type topicOffset struct {
	LastUpdate int64 `json:"lastUpdateTimestamp"`
	Max        int64 `json:"maxOffset"`
	Min        int64 `json:"minOffset"`
}

// topicStats: GET_TOPIC_STATS_INFO. Header: topic*. Answers 0 with body TopicStatsTable, every queue also when it is empty; 17.
func (c *conn) topicStats(call *rpc.Call, f *wire.Frame) {
	t, ok := c.s.svc.InspectTopic(f.String("topic"))
	if !ok {
		c.refuse(call, service.Refuse(service.CodeTopicNotExist, "topic[%s] not exist", f.String("topic")))
		return
	}
	table := byQueue[topicOffset]{}
	for _, q := range t.Queues {
		table[queueKey{c.s.opts.Broker, q.ID, t.Name}] = topicOffset{q.LastStored, q.Max, q.Min}
	}
	table.answer(call, `"topicPutTps":0`)
}

// answer sends {"offsetTable":{…},more}.
func (m byQueue[V]) answer(call *rpc.Call, more string) {
	body, err := m.append([]byte(`{"offsetTable":`))
	if err != nil {
		call.Fail(service.CodeSystemError, "the answer could not be encoded: %v", err)
		return
	}
	body = append(append(append(body, ','), more...), '}')
	call.OK(body)
}
