package remoting

import (
	"context"
	"encoding/json"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// setRequestMode: SET_MESSAGE_REQUEST_MODE. Body (SetMessageRequestModeRequestBody): {"topic":…,"consumerGroup":…,"mode":"PULL" or "POP",
// "popShareQueueNum":n}. Answers 0, and makes a group that there is not where that is allowed; 16 for a retry topic, 17, 26, 29.
func (c *conn) setRequestMode(call *rpc.Call, f *wire.Frame) {
	m := service.RequestMode{Mode: service.ModePull}
	if err := json.Unmarshal(f.Body, &m); err != nil {
		c.refuse(call, service.Refuse(service.CodeSystemError, "request mode not readable: %v", err))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), changePatience)
	defer cancel()
	c.done(call, c.s.svc.SetRequestMode(ctx, m))
}
