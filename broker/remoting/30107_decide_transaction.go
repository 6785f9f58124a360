package remoting

import (
	"context"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// decideTransaction: Contrail's own: an operator's word on a half message whose producers are gone. Header: halfOffset*, position*, decision*
// commit or rollback. Answers 0 when it is done or was decided the same before; 1 and 604 as 37.
func (c *conn) decideTransaction(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	offset, position, decision := a.int("halfOffset", -1), a.int("position", -1), f.String("decision")
	err := a.refusal()
	if err == nil && decision != "commit" && decision != "rollback" {
		err = service.Refuse(service.CodeInvalidParameter, "decision %.20q; possible are commit and rollback", decision)
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), recallPatience)
		defer cancel()
		err = c.s.svc.DecideTransaction(ctx, offset, position, decision == "commit")
	}
	if err != nil {
		c.refuse(call, err)
		return
	}
	call.OK(nil)
}
