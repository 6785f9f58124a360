package remoting

import (
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// Token flags of a send.
const (
	tokenBinary = 1
	tokenOneway = 2
)

// send adds the message in c.header to the parcel of this read.
func (c *conn) send(f *wire.Frame, err error) {
	if err != nil {
		call := c.rpc.Call(f)
		c.refuse(&call, service.Refuse(service.CodeSystemError, "%v", err))
		return
	}
	if c.parcel == nil {
		c.parcel = c.s.svc.Parcel(c.client)
	}
	t := service.Token{Opaque: f.Opaque, Request: f.Code}
	if f.Type == wire.Binary {
		t.Flags |= tokenBinary
	}
	if f.Oneway() {
		t.Flags |= tokenOneway
	}
	c.header.ReceivedMicros = c.now()
	c.parcel.Add(&c.header, f.Body, t)
	if c.parcel.Bytes() >= parcelBytes {
		c.submit()
	}
}

// submit seals the parcel.
func (c *conn) submit() {
	if p := c.parcel; p != nil {
		c.parcel = nil
		received := c.readAt
		c.rpc.Owe(1)
		p.Submit(func(p *service.Parcel) { c.sent(p, received) })
	}
}

// sent answers a parcel; the shard's goroutine calls it.
func (c *conn) sent(p *service.Parcel, received int64) {
	c.rpc.Reply(func(dst []byte) []byte {
		for i := range p.Results {
			dst = appendSent(dst, &p.Results[i])
		}
		return dst
	})
	c.rpc.Owe(-1)
	took := time.Duration(time.Now().UnixMicro()-received) * time.Microsecond
	for i := range p.Results {
		r := &p.Results[i]
		c.rpc.Answered(r.Token.Request, int32(r.Code), took, false)
		if r.Code != service.CodeSuccess {
			c.refused(int(r.Token.Request), "", "", &service.Error{Code: r.Code, Text: r.Remark})
		}
	}
	p.Release()
}

// appendSent writes SendMessageResponseHeader with what clients need to trace: MSG_REGION and TRACE_ON.
func appendSent(dst []byte, r *service.Result) []byte {
	if r.Token.Flags&tokenOneway != 0 {
		return dst
	}
	w := wire.Response(dst, uint8(r.Token.Flags&tokenBinary), r.Token.Opaque, int32(r.Code), r.Remark)
	if r.Code != service.CodeSuccess {
		return w.End(0)
	}
	var scratch [64]byte
	ids := scratch[:0]
	for i, p := range r.Positions {
		if i > 0 {
			ids = append(ids, ',')
		}
		ids = message.AppendOffsetID(ids, r.StoreHost, p)
	}
	if r.Positions == nil {
		ids = message.AppendOffsetID(ids, r.StoreHost, r.Position)
	}
	w.Bytes("msgId", ids)
	w.Int("queueId", int64(r.QueueID))
	w.Int("queueOffset", r.QueueOffset)
	if len(r.TransactionID) > 0 {
		w.Bytes("transactionId", r.TransactionID)
	}
	w.String("MSG_REGION", "DefaultRegion")
	w.String("TRACE_ON", "true")
	return w.End(0)
}
