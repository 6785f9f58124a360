package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// consumerRunningInfo: GET_CONSUMER_RUNNING_INFO. Header: consumerGroup*, clientId*, jstackEnable. Asks that client and answers as it
// does (body ConsumerRunningInfo); 1 when it is not online, 207 when it does not answer in time. Checked against
// AdminBrokerProcessor.callConsumer, which also refuses clients before 3.1.8.
func (c *conn) consumerRunningInfo(call *rpc.Call, f *wire.Frame) {
	if to, ok := c.consumerOf(call, f); ok {
		c.handTo(to, call, f, f.Body)
	}
}

// consumerOf finds the client that a request names; !ok: it was answered, or is the leader's now.
func (c *conn) consumerOf(call *rpc.Call, f *wire.Frame) (askable, bool) {
	name, id := f.String("consumerGroup"), f.String("clientId")
	to, ok := c.s.consumer(name, id)
	if !ok {
		c.offline(call, f, service.Refuse(service.CodeSystemError, "The Consumer <%.255s> <%.255s> not online", name, id))
	}
	return to, ok
}
