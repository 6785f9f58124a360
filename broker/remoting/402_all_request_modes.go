package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// allRequestModes: GET_ALL_MESSAGE_REQUEST_MODE. Answers 0 with body (MessageRequestModeSerializeWrapper) {"messageRequestModeMap":{topic:
// {group:mode as in 401}}}: what was set.
func (c *conn) allRequestModes(call *rpc.Call, _ *wire.Frame) {
	call.JSON(map[string]any{"messageRequestModeMap": c.s.svc.RequestModes()})
}
