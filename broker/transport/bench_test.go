package transport

import (
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// BenchmarkEncode is what framing four entries of 256 KiB costs, without writing them.
func BenchmarkEncode(b *testing.B) {
	f := newBuilder()
	data := make([]byte, 256<<10)
	m := appending(1, 2, 3, data, data, data, data)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		f.room(messageRoom("group", m))
		_ = f.message("group", m, messageSize("group", m))
		f.cut()
		f.reset()
	}
}

func BenchmarkSend1MB(b *testing.B) { benchmarkSend(b, 1<<20) }
func BenchmarkSend1KB(b *testing.B) { benchmarkSend(b, 1<<10) }

// benchmarkSend sends messages of one entry and keeps at most window bytes on the way.
func benchmarkSend(b *testing.B, size int) {
	const window = 16 << 20
	o, p := options(1), options(2)
	o.Message, o.Aside, o.Unreachable = func(string, *pb.Message) {}, func(string, uint64, uint8, []byte) {}, func(string, uint64) {}
	slots := make(chan struct{}, min(window/size, 1000))
	p.Aside, p.Unreachable = o.Aside, o.Unreachable
	p.Message = func(string, *pb.Message) { <-slots }
	from, _ := couple(b, o, p)
	ms := []*pb.Message{appending(1, 2, 1, make([]byte, size))}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		slots <- struct{}{}
		from.Send("g", ms)
	}
	for range cap(slots) {
		slots <- struct{}{}
	}
}

// BenchmarkRoundTrip is a heartbeat and its answer.
func BenchmarkRoundTrip(b *testing.B) {
	o, p := options(1), options(2)
	back := make(chan struct{})
	var from, to *Transport
	answer := []*pb.Message{heartbeat(2, 1, 1)}
	o.Aside, o.Unreachable = func(string, uint64, uint8, []byte) {}, func(string, uint64) {}
	o.Message = func(string, *pb.Message) { back <- struct{}{} }
	p.Message, p.Aside, p.Unreachable = func(string, *pb.Message) { to.Send("g", answer) }, o.Aside, o.Unreachable
	from, to = couple(b, o, p)
	ms := []*pb.Message{heartbeat(1, 2, 1)}
	b.ReportAllocs()
	for b.Loop() {
		from.Send("g", ms)
		<-back
	}
}

// couple starts two transports that are connected.
func couple(b *testing.B, o, p Options) (from, to *Transport) {
	b.Helper()
	from, err := Start(o)
	if err != nil {
		b.Fatal(err)
	}
	to, err = Start(p)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = from.Close(); _ = to.Close() })
	from.SetPeers(map[uint64]string{2: to.Addr()})
	to.SetPeers(map[uint64]string{1: from.Addr()})
	until(b, "connected", func() bool { return from.Peers()[0].Connected && to.Peers()[0].Connected })
	return from, to
}
