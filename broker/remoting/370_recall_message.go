package remoting

import (
	"context"
	"time"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

const recallPatience = 3 * time.Second

// recallMessage: RECALL_MESSAGE. Header (RecallMessageRequestHeader): producerGroup, topic*, recallHandle* as the send was answered with.
// Answers 0 with msgId (the UNIQ_KEY) when the message is cancelled; 17 when there is no such topic; 604 with the reason when it is not
// cancelled: it was delivered, was cancelled before, or is not known.
func (c *conn) recallMessage(call *rpc.Call, f *wire.Frame) {
	ctx, cancel := context.WithTimeout(context.Background(), recallPatience)
	defer cancel()
	key, err := c.s.svc.Recall(ctx, c.who, string(f.Get("topic")), string(f.Get("recallHandle")))
	if err != nil {
		c.refuse(call, err)
		return
	}
	call.OK(nil, rpc.Field{Name: "msgId", Value: key})
}
