package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// offsetByTime: SEARCH_OFFSET_BY_TIMESTAMP. Header: topic*, queueId*, timestamp* (ms), boundaryType (LOWER, UPPER). Answers 0 with
// offset; 17, 29.
func (c *conn) offsetByTime(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	queueID, millis := a.int32("queueId", -1), a.int("timestamp", 0)
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	n, err := c.s.svc.OffsetByTime(f.String("topic"), queueID, millis, f.String("boundaryType"))
	c.number(call, "offset", n, err)
}
