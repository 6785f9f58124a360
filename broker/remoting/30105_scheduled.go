package remoting

import (
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

const waitingList = 100 // of a list, unless the request says how many

// scheduled: Contrail's own. Header: limit (default 100, at most 1000). Answers 0 with body inspect.ScheduledList: the scheduled messages of
// this broker group that are due next, and counts.
func (c *conn) scheduled(call *rpc.Call, f *wire.Frame) {
	limit, ok := c.waitingLimit(call, f)
	if !ok {
		return
	}
	list, err := c.s.svc.Scheduled(limit)
	if err != nil {
		c.refuse(call, err)
		return
	}
	call.JSON(list)
}

func (c *conn) waitingLimit(call *rpc.Call, f *wire.Frame) (int, bool) {
	a := args{f: f}
	limit := a.int32("limit", waitingList)
	err := a.refusal()
	if err == nil && (limit < 0 || limit > service.WaitingMax) {
		err = service.Refuse(service.CodeInvalidParameter, "limit %d; from 0 to %d are possible", limit, service.WaitingMax)
	}
	if err != nil {
		c.refuse(call, err)
	}
	return int(limit), err == nil
}
