package remoting

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/vfs"
	"github.com/contrailmq/contrail/broker/wire"
)

// A message that is being stored when the broker stops is answered: else its producer sends it again.
func TestShutdownAnswersWhatWasAsked(t *testing.T) {
	var slow atomic.Bool
	fs := &vfs.Fault{FS: vfs.NewMem(), Hook: func(op vfs.Op, _ string) error {
		if op == vfs.OpSync && slow.Load() {
			time.Sleep(500 * time.Millisecond)
		}
		return nil
	}}
	svc, err := service.Open(context.Background(), service.Options{
		Cluster: "DefaultCluster", Broker: "broker-a", NodeID: "n", StoreHost: netip.MustParseAddrPort("10.0.0.1:10911"), FS: fs, Dir: "log",
		SegmentBytes: 1 << 20, Durable: true, AutoCreateTopic: true, AutoCreateGroup: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer svc.Close()
	front, err := Start(svc, Options{Cluster: "DefaultCluster", Broker: "broker-a", Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	slow.Store(true)
	w := wire.Request(nil, wire.JSON, 5, wire.SendMessageV2)
	fields := sendFields("BenchmarkTest")
	for i := 0; i < len(fields); i += 2 {
		w.String(fields[i], fields[i+1])
	}
	if _, err := c.Write(append(w.End(1), 'x')); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ch := make(chan error, 1)
	go func() { ch <- front.Shutdown(ctx) }()
	_ = c.SetReadDeadline(time.Now().Add(4 * time.Second))
	if n, err := c.Read(make([]byte, 1000)); n == 0 {
		t.Errorf("not answered: %v", err)
	}
	if err := <-ch; err != nil {
		t.Error(err)
	}
}
