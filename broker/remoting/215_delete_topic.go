package remoting

import (
	"context"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// deleteTopic: DELETE_TOPIC_IN_BROKER. Header: topic*. Removes the topic with its messages and the groups' offsets in it. Answers
// 0, also when there was none; 16 for the broker's own topics; 29.
func (c *conn) deleteTopic(call *rpc.Call, f *wire.Frame) {
	ctx, cancel := context.WithTimeout(context.Background(), changePatience)
	defer cancel()
	c.done(call, c.s.svc.DeleteTopic(ctx, f.String("topic")))
}
