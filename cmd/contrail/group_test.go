package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/remoting"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/vfs"
)

// oneBroker is a cluster with one broker group.
type oneBroker struct{ front *remoting.Server }

func (o *oneBroker) ClusterChange([]byte) ([]byte, *service.Error) { return nil, nil }
func (o *oneBroker) Cluster() inspect.Cluster {
	members := []inspect.BrokerMember{{ID: 1, Addr: o.front.Addr().String()}}
	return inspect.Cluster{Groups: []inspect.BrokerGroup{{Name: "broker-a", Leader: 1, Members: members}}}
}

// startBroker has a topic with three messages, of which the group has consumed two.
func startBroker(t *testing.T) (addr string, svc *service.Service) {
	t.Helper()
	svc, err := service.Open(context.Background(), service.Options{
		Cluster: "DefaultCluster", Broker: "broker-a", StoreHost: netip.MustParseAddrPort("10.0.0.1:10911"), FS: vfs.NewMem(), Dir: "log",
		SegmentBytes: 1 << 20, AutoCreateTopic: true, AutoCreateGroup: true, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	o := &oneBroker{}
	if o.front, err = remoting.Start(svc, remoting.Options{Cluster: "DefaultCluster", Broker: "broker-a", Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), Whole: o}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = o.front.Shutdown(ctx)
		_ = svc.Close()
	})
	p, done := svc.Parcel(service.NewClient(netip.MustParseAddrPort("10.0.0.9:1"), "remoting")), make(chan struct{})
	for range 3 {
		p.Add(&service.SendHeader{ProducerGroup: []byte("pg"), Topic: []byte("orders"), DefaultTopic: []byte(service.DefaultTopic), DefaultTopicQueueNums: 1}, []byte("x"), service.Token{})
	}
	p.Submit(func(p *service.Parcel) { p.Release(); close(done) })
	<-done
	if _, err := svc.EnsureGroup(t.Context(), "billing"); err != nil {
		t.Fatal(err)
	}
	svc.CommitOffset(entry.Offset{Group: "billing", Topic: "orders", Offset: 2}, nil)
	return o.front.Addr().String(), svc
}

// A reset is shown before it is done, and done only when it is asked for.
func TestResetOffsetIsShownFirst(t *testing.T) {
	addr, svc := startBroker(t)
	run := func(args ...string) (string, error) {
		return command(append([]string{"group", "reset-offset", "billing", "--broker", addr, "--topic", "orders"}, args...)...)
	}
	place := func() int64 {
		at, err := svc.QueryOffset("billing", "orders", 0, false)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	out, err := run("--to", "earliest")
	if err != nil || place() != 2 || !strings.Contains(out, "2 messages would be delivered to billing again, and 0 never. Nothing is changed") {
		t.Fatalf("%v, the group is at %d\n%s", err, place(), out)
	}
	out, err = run("--to", "latest", "--output", "json")
	var answer struct {
		Applied bool
		Queues  []moved
	}
	if err != nil || json.Unmarshal([]byte(out), &answer) != nil || answer.Applied || len(answer.Queues) != 1 || answer.Queues[0].Skipped != 1 || answer.Queues[0].BrokerGroup != "broker-a" {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err = run("--queue", "0", "--offset", "1", "--yes")
	if err != nil || place() != 1 || !strings.Contains(out, "moved: 1 messages are delivered to billing again") {
		t.Fatalf("%v, the group is at %d\n%s", err, place(), out)
	}
	if out, err = run("--to", time.Now().Add(time.Hour).Format(time.RFC3339), "--yes"); err != nil || place() != 3 {
		t.Fatalf("%v, the group is at %d\n%s", err, place(), out)
	}
	for want, args := range map[string][]string{
		"either --to or --offset":    {},
		"needs --queue":              {"--offset", "3"},
		"earliest, latest":           {"--to", "yesterday"},
		"text, json":                 {"--to", "latest", "--output", "xml"},
		"not in consume queue range": {"--queue", "0", "--offset", "99"},
		"is not in this cluster":     {"--to", "latest", "--groups", "broker-z"},
		"Topic none does not exist":  {"--to", "latest", "--topic", "none"},
	} {
		if out, err := run(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v %s, expected %s", args, err, out, want)
		}
	}
}
