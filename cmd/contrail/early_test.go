package main

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/inspect"
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

// A node that was killed was said to serve.
func TestANodeThatIsNotHeardIsSaidToBe(t *testing.T) {
	member := func(id uint64, active bool) inspect.BrokerMember { return inspect.BrokerMember{ID: id, Active: active} }
	groups := []inspect.BrokerGroup{
		{Name: "broker-a", Members: []inspect.BrokerMember{member(1, true), member(2, false), member(3, false)}},
		{Name: "broker-b", Members: []inspect.BrokerMember{member(1, true), member(2, false), member(3, true)}},
	}
	var b strings.Builder
	showNodes(&b, []inspect.ClusterNode{{ID: 1, Name: "one"}, {ID: 2, Name: "two", Drained: true}, {ID: 3, Name: "three"}, {ID: 4, Name: "four"}}, groups)
	want := "NODE\tNAME\tSTATE\tLEADS\tMEMBER OF\n1\tone\tserves\t-\t-\n2\ttwo\tdrained, not heard\t-\t-\n3\tthree\tserves\t-\t-\n4\tfour\tserves\t-\t-\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
