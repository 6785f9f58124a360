package remoting

import (
	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// resendDeadLetter: Contrail's own. Header: consumerGroup*, offset* of the letter, again (true: also one that was resent before), by (who
// asked). Gives the letter to its group once more. Answers 0 with body inspect.Resent, whose outcome is resent, already or missing; 26.
func (c *conn) resendDeadLetter(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	group, offset, again, by := f.String("consumerGroup"), a.int("offset", -1), f.String("again") == "true", f.String("by")
	err := a.refusal()
	if err == nil && len(by) > lockNameMax {
		err = service.Refuse(service.CodeInvalidParameter, "by of %d bytes, the limit is %d", len(by), lockNameMax)
	}
	if err != nil {
		c.refuse(call, err)
		return
	}
	if by == "" {
		by = c.who.AddrText()
	}
	k, who := *call, c.who
	c.rpc.Owe(1)
	c.s.svc.Resend(group, offset, again, by, func(r inspect.Resent, err *service.Error) {
		if err == nil {
			k.JSON(r)
		} else {
			k.Fail(err.Code, "%s", err.Text)
			c.refused(who, int(k.Code), "", group, err)
		}
		c.rpc.Owe(-1)
	})
}
