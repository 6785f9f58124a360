package remoting

import (
	"sync"
	"time"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// Token flags of a send.
const (
	tokenBinary  = 1
	tokenOneway  = 2
	tokenRelayed = 4 // it came through another member
)

// kept is the frames of a parcel, in the order of its results: what is not stored because this member was voted out goes to the
// leader. A group of one keeps none.
type kept struct {
	raw  []byte
	ends []int
}

var keptPool = sync.Pool{New: func() any { return &kept{} }}

const keptBytes = 1 << 20 // larger ones are not used again

func (k *kept) add(raw []byte) {
	k.raw = append(k.raw, raw...)
	k.ends = append(k.ends, len(k.raw))
}

func (k *kept) frame(i int) []byte {
	from := 0
	if i > 0 {
		from = k.ends[i-1]
	}
	return k.raw[from:k.ends[i]]
}

func (k *kept) release() {
	if cap(k.raw) <= keptBytes {
		k.raw, k.ends = k.raw[:0], k.ends[:0]
		keptPool.Put(k)
	}
}

// send adds the message in c.header to the parcel of this read.
func (c *conn) send(f *wire.Frame, err error) {
	c.store(f, err, func(t service.Token) {
		c.header.ReceivedMicros = c.now()
		c.parcel.Add(&c.header, f.Body, t)
	})
}

// store has add put what f asks for into the parcel of this read.
func (c *conn) store(f *wire.Frame, err error, add func(service.Token)) {
	if err != nil {
		call := c.rpc.Call(f)
		c.refuse(&call, service.Refuse(service.CodeSystemError, "%v", err))
		return
	}
	if c.parcel == nil {
		c.parcel = c.s.svc.Parcel(c.client)
		if c.s.relay != nil {
			c.kept = keptPool.Get().(*kept)
		}
	}
	if c.kept != nil {
		c.kept.add(f.Raw)
	}
	t := service.Token{Opaque: f.Opaque, Request: f.Code}
	if f.Type == wire.Binary {
		t.Flags |= tokenBinary
	}
	if f.Oneway() {
		t.Flags |= tokenOneway
	}
	if c.relayed {
		t.Flags |= tokenRelayed
	}
	c.parcel.From(c.who)
	add(t)
	if c.parcel.Bytes() >= parcelBytes {
		c.submit()
	}
}

// submit seals the parcel.
func (c *conn) submit() {
	if p := c.parcel; p != nil {
		frames := c.kept
		c.parcel, c.kept = nil, nil
		received := c.readAt
		c.rpc.Owe(1)
		p.Submit(func(p *service.Parcel) { c.sent(p, frames, received) })
	}
}

// sent answers a parcel; the shard's goroutine calls it.
func (c *conn) sent(p *service.Parcel, frames *kept, received int64) {
	c.rpc.Reply(func(dst []byte) []byte {
		for i := range p.Results {
			if !goesOn(frames, &p.Results[i]) {
				dst = appendSent(dst, &p.Results[i])
			}
		}
		return dst
	})
	took := time.Duration(time.Now().UnixMicro()-received) * time.Microsecond
	for i := range p.Results {
		r := &p.Results[i]
		if goesOn(frames, r) {
			c.again(frames.frame(i))
			continue
		}
		c.rpc.Answered(r.Token.Request, int32(r.Code), took, false)
		if r.Code != service.CodeSuccess && r.Token.Flags&tokenRelayed == 0 {
			c.refused(c.client, int(r.Token.Request), "", "", &service.Error{Code: r.Code, Text: r.Remark})
		}
	}
	c.rpc.Owe(-1)
	if frames != nil {
		frames.release()
	}
	p.Release()
}

// goesOn says that a message was not stored, and that the leader is asked to.
func goesOn(frames *kept, r *service.Result) bool {
	return frames != nil && r.NotLed && r.Token.Flags&tokenRelayed == 0
}

// appendSent writes SendMessageResponseHeader with what clients need to trace: MSG_REGION and TRACE_ON.
func appendSent(dst []byte, r *service.Result) []byte {
	if r.Token.Flags&tokenOneway != 0 {
		return dst
	}
	w := wire.Response(dst, uint8(r.Token.Flags&tokenBinary), r.Token.Opaque, int32(r.Code), r.Remark)
	if r.NotLed && r.Token.Flags&tokenRelayed != 0 {
		w.String(notLedField, "true")
	}
	if r.Code != service.CodeSuccess || r.Token.Request == wire.SendMessageBack {
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
	if r.RecallHandle != "" {
		w.String("recallHandle", r.RecallHandle)
	}
	w.String("MSG_REGION", "DefaultRegion")
	w.String("TRACE_ON", "true")
	return w.End(0)
}
