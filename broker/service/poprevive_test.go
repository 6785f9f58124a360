package service

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/vfs"
)

// A message that is sent back twice has one copy, and does not come again from its own queue.
func TestSentBackOnce(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", quick)
	defer s.Close()
	c := NewClient(addr, "remoting")
	if _, err := s.EnsureGroup(context.Background(), "g"); err != nil {
		t.Fatal(err)
	}
	orders(t, s, c, 5)
	var got []message.View
	for i := range int64(5) {
		got = append(got, next(t, s, c, "orders", i))
	}
	for _, i := range []int{1, 3, 1, 3} {
		ok(t, back(t, s, c, Back{Group: "g", Position: got[i].Position(), MaxReconsumeTimes: -1}))
	}
	next(t, s, c, "%RETRY%g", 0)
	next(t, s, c, "%RETRY%g", 1)
	if end, _ := s.MaxOffset("%RETRY%g", 0); end != 2 {
		t.Errorf("%d copies", end)
	}
	for _, kind := range []string{ExpressionTag, ExpressionSQL} {
		expression := map[string]string{ExpressionTag: "*", ExpressionSQL: "n IS NOT NULL"}[kind]
		var seen []string
		for at := int64(0); at < 5; {
			r := pullOnce(s, &PullRequest{Client: c, Group: "g", Topic: "orders", Offset: at, ExpressionType: kind, Subscription: expression})
			seen = append(seen, messages(t, r)...)
			at = r.NextBegin
		}
		if !slices.Equal(seen, []string{"m0", "m2", "m4"}) {
			t.Errorf("pulled again with %s: %v", kind, seen)
		}
	}
	if r := pullOnce(s, &PullRequest{Client: c, Group: "other", Topic: "orders"}); r.Messages != 5 {
		t.Errorf("another group got %d", r.Messages)
	}
}

// One deed revives no more than an entry may hold; what does not fit comes with the next.
func TestRevivalsAreCut(t *testing.T) {
	s := open(t, vfs.NewMem(), "log", func(o *Options) { o.SegmentBytes = 16 << 20 })
	defer s.Close()
	c, body := NewClient(addr, "remoting"), strings.Repeat("x", 30<<10)
	const messages = 100
	for range messages {
		ok(t, send(t, s, c, header("orders", "a", 0), body))
	}
	for got := 0; got < messages; {
		got += len(popSome(t, s, popping(c, 32)))
	}
	k := delivery.Key{Group: "g", Topic: "orders"}
	g, _ := s.Group("g")
	leases, seen, deeds := s.Shard().Deliveries().Leases(k, messages), map[int64]bool{}, 0
	for len(leases) > 0 {
		r := &revival{s: s, key: k, group: g, from: s.Shard().StoredReader()}
		var err error
		if leases, err = r.fill(leases); err != nil {
			t.Fatal(err)
		}
		if n := len(r.out.Buf); n > shard.EntryBytes+len(body)+1000 || len(r.out.Items) > reviveMax {
			t.Fatalf("%d messages of %d bytes in one deed", len(r.out.Items), n)
		}
		for _, c := range s.Shard().Revive(k, &r.out).Commands {
			var record entry.PopRevive
			if err := entry.DecodePopRevive(c.Body, &record); err != nil {
				t.Fatal(err)
			}
			for _, one := range record.Messages {
				if seen[one.Offset] {
					t.Fatalf("offset %d is copied twice", one.Offset)
				}
				seen[one.Offset] = true
			}
		}
		deeds++
	}
	if len(seen) != messages || deeds != 3 {
		t.Errorf("%d copies in %d deeds", len(seen), deeds)
	}
}

// What was acknowledged between the look and the deed is not copied.
func TestRevivalLeavesOutWhatWasAcknowledged(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	orders(t, s, c, 3)
	got := popSome(t, s, popping(c, 3))
	k := delivery.Key{Group: "g", Topic: "orders"}
	g, _ := s.Group("g")
	r := &revival{s: s, key: k, group: g, from: s.Shard().StoredReader()}
	if _, err := r.fill(s.Shard().Deliveries().Leases(k, 1)); err != nil {
		t.Fatal(err)
	}
	d := s.Shard().Revive(k, &r.out)
	ackAll(t, s, c, got[1:2])
	if err := d.Holds((got[0].v.StoreTime() + 2*hour) * 1000); err != nil || len(r.out.Items) != 2 || len(d.Commands) != 1 {
		t.Errorf("%d copies, %d records: %v", len(r.out.Items), len(d.Commands), err)
	}
	ackAll(t, s, c, got)
	if err := d.Holds((got[0].v.StoreTime() + 2*hour) * 1000); err == nil {
		t.Errorf("nothing is left to do: %d copies", len(r.out.Items))
	}
}
