package main

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/vfs"
)

// A node that was asked about the cluster while it opened its ports, one broker group after the other, fell over.
func TestANodeIsAskedBeforeItsPortsAreOpen(t *testing.T) {
	store := netip.MustParseAddrPort("10.0.0.1:10911")
	svc, err := service.Open(context.Background(), service.Options{
		Cluster: "DefaultCluster", Broker: "broker-a", NodeID: "n", StoreHost: store, FS: vfs.NewMem(), Dir: "log",
		SegmentBytes: 1 << 20, Durable: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer svc.Close()
	n := &node{log: slog.New(slog.DiscardHandler)}
	n.brokers.add(&broker{name: "broker-a", svc: svc, store: store})
	if c := n.Cluster(); len(c.Groups) != 1 || c.Groups[0].Name != "broker-a" {
		t.Errorf("the cluster is %+v", c)
	}
	if f := n.frontNumbers(); f.Connections != 0 {
		t.Errorf("%d connections", f.Connections)
	}
}
