package group

import (
	"slices"
	"testing"
)

type conn struct{ notified []string }

func (c *conn) Notify(g string) { c.notified = append(c.notified, g) }

func beat(r *Registry, now int64, c *conn, id, expression string, version int64) bool {
	changed, tell := r.Beat(now, c, Identity{ClientID: id}, &Heartbeat{ClientID: id, Consumers: []ConsumerData{{
		Group: "g", Model: "CLUSTERING", Subscriptions: []Subscription{{Topic: "orders", Expression: expression, Version: version}},
	}}})
	tell()
	return changed
}

func TestMembersAreNotifiedOfEveryChange(t *testing.T) {
	r, a, b := New(), &conn{}, &conn{}
	r.Connected(1, a, Identity{})
	r.Connected(1, b, Identity{})
	if !beat(r, 2, a, "a", "*", 1) || len(a.notified) != 0 {
		t.Fatal("who joins is told of itself", a.notified)
	}
	beat(r, 3, b, "b", "*", 1)
	if len(a.notified) != 1 || len(b.notified) != 0 || !slices.Equal(r.ConsumerIDs("g"), []string{"a", "b"}) {
		t.Fatal(a.notified, b.notified, r.ConsumerIDs("g"))
	}
	beat(r, 4, a, "a", "*", 1)
	if len(a.notified) != 1 {
		t.Fatal("a heartbeat that changes nothing notifies nobody")
	}
	beat(r, 5, a, "a", "x", 2)
	if s, _, _ := r.Subscription("g", "orders"); s.Expression != "x" || len(b.notified) != 1 {
		t.Fatal(s, b.notified)
	}
	if g, _ := r.Group("g"); g.Consistent || len(g.Members) != 2 {
		t.Fatalf("b has another subscription: %+v", g)
	}
	r.Close(6, a)
	if len(b.notified) != 2 || !slices.Equal(r.ConsumerIDs("g"), []string{"b"}) {
		t.Fatal(b.notified, r.ConsumerIDs("g"))
	}
	r.Expire(3 + ExpireAfterMillis)
	if len(r.ConsumerIDs("g")) != 0 {
		t.Fatal("a silent member stays")
	}
	if g, ok := r.Group("g"); !ok || g.Online || g.LastSeen == 0 {
		t.Fatalf("%+v", g)
	}
}
