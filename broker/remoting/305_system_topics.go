package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// systemTopics: GET_SYSTEM_TOPIC_LIST_FROM_BROKER. Answers 0 with body {"topicList":[…]}.
func (c *conn) systemTopics(call *rpc.Call, _ *wire.Frame) {
	list := []string{}
	for _, t := range c.s.svc.Topics() {
		if c.s.svc.IsSystemTopic(t.Name) {
			list = append(list, t.Name)
		}
	}
	call.JSON(map[string][]string{"topicList": list})
}
