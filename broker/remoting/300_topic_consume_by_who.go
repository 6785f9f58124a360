package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// topicConsumeByWho: QUERY_TOPIC_CONSUME_BY_WHO. Header: topic*. Answers 0 with body {"groupList":[…]}: groups that are online for
// the topic or have offsets in it.
func (c *conn) topicConsumeByWho(call *rpc.Call, f *wire.Frame) {
	groups := c.s.svc.TopicGroups(f.String("topic"))
	if groups == nil {
		groups = []string{}
	}
	call.JSON(map[string][]string{"groupList": groups})
}
