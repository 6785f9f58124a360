package remoting

import (
	"encoding/json"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// batchLeases is how many leases one request may name.
const batchLeases = 4096

// batchAck: BATCH_ACK_MESSAGE (3543 in the binary form). Body (BatchAckMessageRequestBody): {"brokerName":…,"acks":[{"c":group,"t":topic,
// "r":type,"so":start,"q":queue,"rq":revive queue,"pt":pop time,"it":invisible time,"b":Base64 of bits, bit n is the message at start+n}]}.
// Answers 0 when all that can be is acknowledged; 208 and 13 when nothing can be. Deviates: RocketMQ answers 0 also then.
func (c *conn) batchAck(call *rpc.Call, f *wire.Frame) {
	var body struct {
		Broker string             `json:"brokerName"`
		Acks   []service.BatchAck `json:"acks"`
	}
	if err := json.Unmarshal(f.Body, &body); err != nil && len(f.Body) > 0 {
		c.refuse(call, service.Refuse(service.CodeSystemError, "batch ack not readable: %v", err))
		return
	}
	if n := len(body.Acks); n > batchLeases {
		c.refuse(call, service.Refuse(service.CodeInvalidParameter, "a batch ack of %d leases, the limit is %d", n, batchLeases))
		return
	}
	l := c.later(call, f, "", "")
	c.s.svc.BatchAck(l.who, body.Acks, l.done)
}
