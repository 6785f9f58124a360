package namesrv

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

func member(id int64, addr string, term uint64) Member {
	return Member{Cluster: "c", Broker: "broker-a", ID: id, Addr: addr, Term: term}
}

// addrs is what a route answers, or nil.
func addrs(n *Table, topic string) map[string]string {
	r, ok := n.Route(topic)
	if !ok {
		return nil
	}
	return r.Brokers[0].Addrs
}

func register(t *testing.T, n *Table, m Member, names ...string) {
	t.Helper()
	if err := n.Register(1, m, topics(names...), m.Addr); err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Fatalf("route %v, expected %v", got, want)
	}
}

func TestLeadershipMovesInTheRoutes(t *testing.T) {
	n := NewTable()
	register(t, n, member(0, "one", 1), "orders")
	register(t, n, member(2, "two", 1), "late")
	register(t, n, member(3, "three", 1))
	same(t, addrs(n, "orders"), map[string]string{"0": "one", "2": "two", "3": "three"})
	if addrs(n, "late") != nil {
		t.Fatal("a follower's topics count although the leader told its own")
	}
	register(t, n, member(0, "two", 2), "orders", "new")
	same(t, addrs(n, "new"), map[string]string{"0": "two", "3": "three"})
	register(t, n, member(1, "one", 2), "orders")
	same(t, addrs(n, "new"), map[string]string{"0": "two", "1": "one", "3": "three"})
	if b := n.Cluster().Brokers["broker-a"]; len(b.Addrs) != 3 {
		t.Fatalf("cluster %+v", b)
	}
}

func TestStaleLeaderIsNotRegistered(t *testing.T) {
	n := NewTable()
	register(t, n, member(0, "one", 1), "orders")
	register(t, n, member(0, "two", 2), "orders")
	err := n.Register(1, member(0, "one", 1), topics("old"), "one")
	if err == nil || !strings.Contains(err.Error(), "term 1 is over") {
		t.Fatalf("stale registration: %v", err)
	}
	same(t, addrs(n, "orders"), map[string]string{"0": "two"})
	if addrs(n, "old") != nil {
		t.Fatal("a stale leader changed the topics")
	}
	n.Unregister(member(0, "two", 2))
	register(t, n, member(3, "three", 2), "orders")
	register(t, n, member(0, "apache", 0), "orders") // tells no term
	same(t, addrs(n, "orders"), map[string]string{"0": "apache", "3": "three"})
}

// A leader that was voted out told its topics one by one (code 217), and the name servers took them for the next leader's.
func TestAStaleLeaderChangesNoTopic(t *testing.T) {
	n := NewTable()
	register(t, n, member(0, "one", 1), "orders")
	register(t, n, member(0, "two", 2), "orders")
	if err := n.Topics(member(0, "one", 1), topics("late")); err == nil || !strings.Contains(err.Error(), "term 1 is over") {
		t.Errorf("a topic of a term that is over: %v", err)
	}
	if addrs(n, "late") != nil {
		t.Error("it has a route")
	}
	for _, m := range []Member{member(0, "two", 2), member(0, "apache", 0)} {
		if err := n.Topics(m, topics("new")); err != nil || addrs(n, "new") == nil {
			t.Errorf("topic of %s: %v", m.Addr, err)
		}
	}
}

func TestOneMemberGoesTheOthersStay(t *testing.T) {
	for name, gone := range map[string]func(*Table){
		"closed":     func(n *Table) { n.Disconnected("one") },
		"unregister": func(n *Table) { n.Unregister(member(0, "one", 1)) },
		"by its id":  func(n *Table) { n.Unregister(member(0, "", 0)) },
		"silent": func(n *Table) {
			register(t, n, member(2, "two", 1))
			_ = n.Register(5, member(2, "two", 1), nil, "two")
			if owners := n.Expire(ExpireAfterMillis + 1); len(owners) != 1 || owners[0] != "one" {
				t.Errorf("owners of what expired: %v", owners)
			}
		},
	} {
		n := NewTable()
		register(t, n, member(0, "one", 1), "orders")
		register(t, n, member(2, "two", 1))
		gone(n)
		if got := addrs(n, "orders"); !maps.Equal(got, map[string]string{"2": "two"}) {
			t.Errorf("%s: route %v", name, got)
		}
	}
	n := NewTable()
	register(t, n, member(0, "two", 2), "orders")
	n.Unregister(member(0, "one", 1)) // it led before
	same(t, addrs(n, "orders"), map[string]string{"0": "two"})
}

func TestMembersOfOneGroupAreBounded(t *testing.T) {
	n := NewTable()
	for i := range MembersMax {
		register(t, n, member(int64(i), string(rune('a'+i)), 0))
	}
	if err := n.Register(1, member(MembersMax, "more", 0), nil, nil); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Fatalf("one more: %v", err)
	}
}

func TestTermsComeWithRegistrations(t *testing.T) {
	c := serve(t, true)
	fields := func(addr, id, term string) []string {
		return []string{"clusterName", "c", "brokerName", "broker-x", "brokerAddr", addr, "brokerId", id, TermField, term}
	}
	if code, text, _ := ask(t, c, wire.RegisterBroker, registration, fields("two", "0", "7")...); code != 0 {
		t.Fatal(code, text)
	}
	if code, text, _ := ask(t, c, wire.RegisterBroker, registration, fields("one", "0", "6")...); code != 1 || !strings.Contains(text, "term 6 is over") {
		t.Fatal(code, text)
	}
	if code, _, _ := ask(t, c, wire.RegisterBroker, registration, fields("one", "1", "7")...); code != 0 {
		t.Fatal(code)
	}
	_, _, body := ask(t, c, wire.RouteInfo, "", "topic", "orders")
	if !strings.Contains(string(body), `"brokerAddrs":{"0":"two","1":"one"}`) {
		t.Fatalf("%s", body)
	}
}

// A member that is silent for too long loses its connection with its registration: it dials again when it is still there.
func TestSilentMembersConnectionIsClosed(t *testing.T) {
	s, err := Start(Options{Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), AcceptBrokers: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
	}()
	c := &rpc.Client{Addr: s.Addr().String(), Timeout: 10 * time.Second}
	defer c.Close()
	ask(t, c, wire.RegisterBroker, registration, "clusterName", "c", "brokerName", "b", "brokerAddr", "x", "brokerId", "0")
	s.expire(time.Now().Add(ExpireAfterMillis * time.Millisecond))
	if _, err := c.Do(wire.ClusterInfo, nil, nil); err == nil {
		t.Fatal("the connection is still open")
	}
}
