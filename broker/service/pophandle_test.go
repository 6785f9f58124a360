package service

import (
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
)

// FuzzParseHandle: what is parsed is written as it was read, or one form of it is.
func FuzzParseHandle(f *testing.F) {
	for _, text := range []string{"0 1700000000000 60000 3 0 broker-a 2 5", "7 1 1 999 1 b 0", "", "0 0 0 0 9 b 0 0", "a b c d 0 b 0 0", "0 1 1 4294967296 0 b 0 0", "0  1 1 1 0 b 0 0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHandle(text)
		if err != nil {
			if err.Code != CodeMessageIllegal || len(err.Text) > 1000 {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := ParseHandle(h.String())
		if err != nil || again != h {
			t.Fatalf("%q is %+v, written %q: %v", text, h, h.String(), err)
		}
	})
}

// FuzzUnpack: a batch ack names offsets of its bits, each once and in order, and none that its queue does not have.
func FuzzUnpack(f *testing.F) {
	s := open(f, vfs.NewMem(), "log")
	f.Cleanup(func() { _ = s.Close() })
	orders(f, s, NewClient(addr, "remoting"), 20)
	f.Fuzz(func(t *testing.T, bits []byte, start int64, kind string) {
		out, err := s.unpack(&BatchAck{Group: "g", Topic: "orders", Retry: kind, Start: start, PopMillis: 1, Bits: bits})
		if err != nil && (len(out) > 0 || kind == popNormal && len(bits) < batchAcksMax/8) {
			t.Fatalf("%d acks: %v", len(out), err)
		}
		last := int64(-1)
		for _, a := range out {
			n := a.ack.Offset - start
			if a.ack.Offset <= last || a.ack.Offset > 20 || n < 0 || bits[n/8]>>(n%8)&1 == 0 {
				t.Fatalf("offset %d after %d, start %d", a.ack.Offset, last, start)
			}
			last = a.ack.Offset
		}
	})
}
