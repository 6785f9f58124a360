package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// topicConfig: GET_TOPIC_CONFIG. Header: topic*. Answers 0 with body TopicConfigAndQueueMapping (there are no static topics); 17.
func (c *conn) topicConfig(call *rpc.Call, f *wire.Frame) {
	t, ok := c.s.svc.Topic(f.String("topic"))
	if !ok {
		c.refuse(call, service.Refuse(service.CodeTopicNotExist, "No topic in this broker. topic: %s", f.String("topic")))
		return
	}
	call.JSON(t)
}
