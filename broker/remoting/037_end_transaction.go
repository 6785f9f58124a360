package remoting

import (
	"strconv"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// endTransaction: END_TRANSACTION. Header (EndTransactionRequestHeader): producerGroup*, tranStateTableOffset* the half message's offset in
// its queue, commitLogOffset* its position, commitOrRollback* 8 commit, 12 rollback, 0 not known yet, fromTransactionCheck, msgId,
// transactionId, bname. Clients send it one-way. Answers 0 also when the same was decided before; 1 when there is no such half message or it
// is another group's; 604 when it was decided otherwise, or later than the producer's own time before the first check.
func (c *conn) endTransaction(call *rpc.Call, f *wire.Frame) {
	a := args{f: f}
	e := service.EndTxn{
		Client: c.who, Group: f.String("producerGroup"), Offset: a.int("tranStateTableOffset", -1), Position: a.int("commitLogOffset", -1),
		Decision: a.int32("commitOrRollback", -1), FromCheck: f.String("fromTransactionCheck") == "true",
	}
	if err := a.refusal(); err != nil {
		c.refuse(call, err)
		return
	}
	k, who := *call, c.who
	c.rpc.Owe(1)
	c.s.svc.EndTransaction(&e, func(err *service.Error) {
		if err == nil {
			k.OK(nil)
		} else {
			k.Fail(err.Code, "%s", err.Text)
			c.refused(who, int(k.Code), "", e.Group, err)
		}
		c.rpc.Owe(-1)
	})
}

// Producer implements service.Asker.
func (s *Server) Producer(group string) (client string, ask func(*service.Check), ok bool) {
	m, ok := s.clients.Producer(group)
	if !ok {
		return "", nil, false
	}
	to, ok := m.Conn.(service.Checker) // a client of this front, or of another one
	if !ok {
		return "", nil, false
	}
	return m.ID.ClientID, to.Check, true
}

// Check sends CHECK_TRANSACTION_STATE (39), one-way. Header (CheckTransactionStateRequestHeader): tranStateTableOffset,
// commitLogOffset, msgId and transactionId (the UNIQ_KEY), offsetMsgId; body: the message in its real topic. The producer answers with 37.
func (c *conn) Check(k *service.Check) {
	c.rpc.Reply(func(dst []byte) []byte {
		v := message.View(k.Message)
		w := wire.Oneway(dst, pushedOpaque, wire.CheckTransaction)
		w.String("tranStateTableOffset", strconv.FormatInt(k.Half.Offset, 10))
		w.String("commitLogOffset", strconv.FormatInt(k.Half.Position, 10))
		w.String("msgId", k.UniqKey)
		w.String("transactionId", k.UniqKey)
		w.Bytes("offsetMsgId", message.AppendOffsetID(nil, v.StoreHost(), v.Position()))
		return append(w.End(len(v)), v...)
	})
}
