package registrar

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/namesrv"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

func nameServer(t *testing.T, listen string) *namesrv.Server {
	t.Helper()
	s, err := namesrv.Start(namesrv.Options{Listen: listen, Log: slog.New(slog.DiscardHandler), AcceptBrokers: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stop(s *namesrv.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.Shutdown(ctx)
}

// routed asks a name server until it has a route, or for as long as patience lasts.
func routed(addr, topic string, patience time.Duration) bool {
	c := rpc.Client{Addr: addr, Timeout: time.Second}
	defer c.Close()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if f, err := c.Do(wire.RouteInfo, []rpc.Field{{Name: "topic", Value: topic}}, nil); err == nil && f.Code == 0 {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// TestRestartedNameServerKnowsItsRoutesSoon: a broker registers, tells changes at once, and registers again by itself with a name
// server that came back with nothing.
func TestRestartedNameServerKnowsItsRoutesSoon(t *testing.T) {
	s := nameServer(t, "127.0.0.1:0")
	addr := s.Addr().String()
	topics := func() []catalog.Topic {
		return []catalog.Topic{catalog.NewTopic("broker-a", 1), catalog.NewTopic("orders", 4)}
	}
	r := Start(namesrv.Member{Cluster: "c", Broker: "broker-a", Addr: "10.0.0.1:10911"}, []NameServer{NewRemote(addr)}, topics, slog.New(slog.DiscardHandler))
	defer r.Close()
	if !routed(addr, "orders", 0) {
		t.Fatal("Start returned before the broker was registered")
	}
	r.Changed([]catalog.Topic{catalog.NewTopic("late", 1)})
	if !routed(addr, "late", 0) {
		t.Fatal("Changed returned before the name server knew the topic")
	}
	stop(s)
	s = nameServer(t, addr)
	defer stop(s)
	if !routed(addr, "orders", 10*time.Second) {
		t.Fatal("a restarted name server does not learn of the broker")
	}
}

// TestAwayNameServerDoesNotHoldUp: nobody listens there; the broker starts all the same.
func TestAwayNameServerDoesNotHoldUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	r := Start(namesrv.Member{Broker: "b"}, []NameServer{NewRemote(addr)}, func() []catalog.Topic { return nil }, slog.New(slog.DiscardHandler))
	r.Changed([]catalog.Topic{catalog.NewTopic("t", 1)})
	r.Close()
}

// TestChangeOfLeaderIsToldAtOnce: SetID returns at once, and the routes follow long before the next regular registration.
func TestChangeOfLeaderIsToldAtOnce(t *testing.T) {
	s := nameServer(t, "127.0.0.1:0")
	defer stop(s)
	addr := s.Addr().String()
	topics := func() []catalog.Topic { return []catalog.Topic{catalog.NewTopic("broker-a", 1)} }
	start := func(id int64, at string) *Registrar {
		m := namesrv.Member{Cluster: "c", Broker: "broker-a", ID: id, Addr: at, Term: 1}
		return Start(m, []NameServer{NewRemote(addr)}, topics, slog.New(slog.DiscardHandler))
	}
	one, two := start(0, "one"), start(2, "two")
	defer two.Close()
	inRoute(t, addr, `"brokerAddrs":{"0":"one","2":"two"}`)
	began := time.Now()
	one.SetID(1, 2)
	two.SetID(0, 2)
	if took := time.Since(began); took > 100*time.Millisecond {
		t.Fatalf("SetID took %v", took)
	}
	inRoute(t, addr, `"brokerAddrs":{"0":"two","1":"one"}`)
	one.SetID(0, 1) // it has not heard of the other
	two.SetID(0, 3)
	inRoute(t, addr, `"brokerAddrs":{"0":"two"`)
	one.Close()
	inRoute(t, addr, `"brokerAddrs":{"0":"two"}`)
}

func inRoute(t *testing.T, addr, want string) {
	t.Helper()
	c := rpc.Client{Addr: addr, Timeout: time.Second}
	defer c.Close()
	var got string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		f, err := c.Do(wire.RouteInfo, []rpc.Field{{Name: "topic", Value: "broker-a"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got = string(f.Body); strings.Contains(got, want) {
			return
		}
	}
	t.Fatalf("route %s, expected %s", got, want)
}

// TestNameServerThatForgotOneMember: it still has the group, but not this member; it learns of it within a second or so.
func TestNameServerThatForgotOneMember(t *testing.T) {
	s := nameServer(t, "127.0.0.1:0")
	defer stop(s)
	topics := func() []catalog.Topic { return []catalog.Topic{catalog.NewTopic("broker-a", 1)} }
	for id, at := range []string{"one", "two"} {
		m := namesrv.Member{Cluster: "c", Broker: "broker-a", ID: int64(2 * id), Addr: at}
		defer Start(m, []NameServer{NewRemote(s.Addr().String())}, topics, slog.New(slog.DiscardHandler)).Close()
	}
	s.Unregister(namesrv.Member{Broker: "broker-a", Addr: "two"})
	inRoute(t, s.Addr().String(), `"brokerAddrs":{"0":"one","2":"two"}`)
}

// TestSilentNameServerDoesNotHoldUp: a name server that accepts and never answers, as behind a cut network, is not waited for: its
// request is still open when the broker has started.
func TestSilentNameServerDoesNotHoldUp(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	good := nameServer(t, "127.0.0.1:0")
	defer stop(good)
	topics := func() []catalog.Topic { return []catalog.Topic{catalog.NewTopic("orders", 4)} }
	servers := []NameServer{NewRemote(silent.Addr().String()), NewRemote(good.Addr().String())}
	r := Start(namesrv.Member{Cluster: "c", Broker: "broker-a", Addr: "10.0.0.1:10911"}, servers, topics, slog.New(slog.DiscardHandler))
	defer r.Close()
	c, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !routed(good.Addr().String(), "orders", 0) {
		t.Error("Start returned before a name server that answers knew the broker")
	}
	got := make([]byte, 1<<16)
	for {
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := c.Read(got); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Start waited until the silent name server's request had failed: %v", err)
			}
			return
		}
	}
}
