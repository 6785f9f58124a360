package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// sendReplyV2: SEND_REPLY_MESSAGE_V2. Header as 310, else as 324.
func (c *conn) sendReplyV2(call *rpc.Call, f *wire.Frame) {
	if err := c.parseV2(f); err != nil {
		c.refuse(call, service.Refuse(service.CodeSystemError, "%v", err))
		return
	}
	c.replyTo(call, f)
}
