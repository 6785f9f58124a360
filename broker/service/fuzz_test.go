package service

import (
	"encoding/binary"
	"testing"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/vfs"
)

// FuzzBatch: whatever a batch's body says of its lengths, its messages are stored whole or refused, all or none.
func FuzzBatch(f *testing.F) {
	one := func(body, props string) (b []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(22+len(body)+len(props)))
		b = append(b, make([]byte, 12)...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
		b = append(b, body...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(props)))
		return append(b, props...)
	}
	f.Add(one("x", ""))
	f.Add(append(one("x", "TAGS\x01a\x02"), one("", "K\x01v")...))
	f.Add([]byte{0, 0, 0, 22})
	f.Add(binary.BigEndian.AppendUint32(nil, 0xffffffff))
	s := open(f, vfs.NewMem(), "log")
	f.Cleanup(func() { _ = s.Close() })
	c := NewClient(addr, "remoting")
	ok(f, send(f, s, c, header("orders", "x", 0), "first"))
	f.Fuzz(func(t *testing.T, body []byte) {
		p := s.Parcel(c)
		defer p.Release()
		h := header("orders", "x", 0)
		h.Batch = true
		p.Add(h, body, Token{})
		if p.Results[0].Code != CodeSuccess {
			if len(p.batch.Items) != 0 || len(p.batch.Buf) != 0 {
				t.Fatalf("refused with %q, but %d messages are in the parcel", p.Results[0].Remark, len(p.batch.Items))
			}
			return
		}
		for _, it := range p.batch.Items {
			if v, err := message.Parse(p.batch.Buf[it.From:it.To]); err != nil || len(v) != it.To-it.From {
				t.Fatalf("message of %d bytes: %v", it.To-it.From, err)
			}
		}
	})
}
