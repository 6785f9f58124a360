package remoting

import (
	"strings"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// correctionOffset: QUERY_CORRECTION_OFFSET. Header: topic*, compareGroup*, filterGroups (joined by commas). Answers 0 with body
// {"correctionOffsets":{queueId:offset}}: the least that any group but the filtered ones has committed; where the compared group has
// less than that, the largest number. Checked against AdminBrokerProcessor.queryCorrectionOffset; deviates: RocketMQ deletes the
// filtered groups' offsets on the way.
func (c *conn) correctionOffset(call *rpc.Call, f *wire.Frame) {
	var without []string
	if list := f.String("filterGroups"); list != "" {
		without = strings.Split(list, ",")
	}
	call.JSON(map[string]any{"correctionOffsets": c.s.svc.CorrectionOffsets(f.String("topic"), f.String("compareGroup"), without)})
}
