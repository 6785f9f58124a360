package group

import (
	"slices"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/inspect"
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

func TestAClientIsShownAsItToldLast(t *testing.T) {
	r, a, b := New(), &conn{}, &conn{}
	tell := func(now int64, c *conn, id Identity, d ...ConsumerData) {
		_, tell := r.Beat(now, c, id, &Heartbeat{ClientID: id.ClientID, Consumers: d})
		tell()
	}
	r.Connected(1, a, Identity{Addr: "1:1"})
	r.Connected(1, b, Identity{Addr: "2:2"})
	if _, found := r.Client("c", ""); found {
		t.Error("nobody said that name")
	}
	billing := ConsumerData{Group: "billing", ConsumeType: "CONSUME_PASSIVELY", Model: "BROADCASTING", FromWhere: "CONSUME_FROM_FIRST_OFFSET", Subscriptions: []Subscription{{Topic: "orders", Expression: "paid"}}}
	audit := ConsumerData{Group: "audit", ConsumeType: strings.Repeat("x", 1000), Model: "CLUSTERING"}
	tell(2, a, Identity{ClientID: "c", Addr: "1:1", Settings: &inspect.ClientSettings{GivenAt: 1}}, billing, audit)
	tell(3, b, Identity{ClientID: "c", Addr: "2:2"}, ConsumerData{Group: "billing", Model: "CLUSTERING"})

	d, _ := r.Client("c", "1:1")
	if len(d.Consumes) != 2 || d.Consumes[0].Group != "audit" || len(d.Consumes[0].ConsumeType) > wordMax+len("…") {
		t.Fatalf("%+v", d.Consumes)
	}
	if got := d.Consumes[1]; got.Model != "BROADCASTING" || got.ConsumeType != "CONSUME_PASSIVELY" || got.FromWhere != "CONSUME_FROM_FIRST_OFFSET" || got.Subscriptions[0].Expression != "paid" {
		t.Errorf("another member's words: %+v", got)
	}
	if d.Settings == nil || d.Settings.GivenAt != 1 || !slices.Equal(d.Client.ConsumerOf, []string{"audit", "billing"}) {
		t.Errorf("%+v", d)
	}
	if d, _ := r.Client("c", ""); d.Client.Addr != "2:2" || d.Settings != nil {
		t.Errorf("not the one that was heard last: %+v", d)
	}
	tell(4, a, Identity{ClientID: "c", Addr: "1:1", Settings: &inspect.ClientSettings{GivenAt: 4}}, billing)
	if d, _ := r.Client("c", ""); d.Client.Addr != "1:1" || d.Settings.GivenAt != 4 {
		t.Errorf("not the newest settings: %+v", d)
	}
	r.Close(5, a)
	if _, found := r.Client("c", "1:1"); found {
		t.Error("it is gone")
	}
}
