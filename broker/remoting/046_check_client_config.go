package remoting

import (
	"encoding/json"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// checkClientConfig: CHECK_CLIENT_CONFIG, asked at start for subscriptions that are no tags. Body: {clientId, group,
// subscriptionData}. Answers 0; 1 for an expression type that is neither TAG nor SQL92; 23 for a wrong expression, with its place.
func (c *conn) checkClientConfig(call *rpc.Call, f *wire.Frame) {
	var r struct {
		Subscription struct {
			Expression string `json:"subString"`
			Type       string `json:"expressionType"`
		} `json:"subscriptionData"`
	}
	if err := json.Unmarshal(f.Body, &r); err != nil {
		c.refuse(call, service.Refuse(service.CodeSystemError, "request not readable: %v", err))
		return
	}
	c.done(call, c.s.svc.CheckSubscription(r.Subscription.Type, r.Subscription.Expression))
}
