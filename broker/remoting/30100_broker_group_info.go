package remoting

import (
	"encoding/json"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// brokerGroupInfo: Contrail's own. No header. Answers 0 with body inspect.BrokerGroup: who leads the broker group, its members and
// how far they are, as this member sees it. It is answered where it is asked, so that a tool can ask a member that nobody leads.
func (c *conn) brokerGroupInfo(call *rpc.Call, _ *wire.Frame) {
	b, err := json.Marshal(c.s.svc.InspectNode().Groups[0])
	if err != nil {
		call.Fail(service.CodeSystemError, "the answer could not be encoded: %v", err)
		return
	}
	call.OK(b)
}
