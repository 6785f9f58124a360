package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/contrailmq/contrail/tracing/trail"
)

func testCut(seq uint64, node string) trail.Cut {
	return trail.Cut{
		Broker: "broker-a", Group: "g1", Seq: seq, From: 10 * seq, To: 10*seq + 10, FromPosition: int64(1000 * seq), ToPosition: int64(1000*seq + 1000), FromTerm: 3, ToTerm: 4,
		FromMicros: at, ToMicros: at + 1, Node: node, Mark: fmt.Sprint(node, "-", seq), AtMicros: at + 2,
	}
}

// Of all that offer a cut at the same time one gets its own back, and everybody gets the same.
func TestACutIsDecidedOnce(t *testing.T) {
	s := open(t, testOptions(t))
	ctx := context.Background()
	if c, err := s.LastCut(ctx, "broker-a", "g1"); err != nil || c.Seq != 0 {
		t.Fatalf("%+v %v", c, err)
	}
	for seq := uint64(1); seq <= 20; seq++ {
		var got [8]trail.Cut
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() {
				var err error
				if got[i], err = s.Decide(ctx, testCut(seq, fmt.Sprint("node-", i))); errors.Is(err, context.DeadlineExceeded) {
					t.Log("asked again, as the shipper does: ", err) // seen once: the engine did not answer an insert for a minute
					got[i], err = s.Decide(ctx, testCut(seq, fmt.Sprint("node-", i)))
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		winners := 0
		for i := range got {
			if got[i] != got[0] {
				t.Fatalf("cut %d is %+v and %+v", seq, got[0], got[i])
			}
			if got[i].Node == fmt.Sprint("node-", i) {
				winners++
			}
		}
		if want := testCut(seq, got[0].Node); winners != 1 || !reflect.DeepEqual(got[0], want) {
			t.Fatalf("%d winners of %+v", winners, got[0])
		}
	}
}

// A merge leaves the newest row, and the tokens of those that went are remembered: who comes late learns that it is late.
func TestAnOldCutHasNoEffect(t *testing.T) {
	o := testOptions(t)
	s := open(t, o)
	ctx := context.Background()
	for seq := uint64(1); seq <= 5; seq++ {
		if c, err := s.Decide(ctx, testCut(seq, "node-1")); err != nil || c != testCut(seq, "node-1") {
			t.Fatalf("%+v %v", c, err)
		}
	}
	if err := s.exec(ctx, "OPTIMIZE TABLE %s.ship_cuts FINAL", o.Database); err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= 5; seq++ {
		if c, err := s.Decide(ctx, testCut(seq, "node-2")); err != nil || c != testCut(5, "node-1") {
			t.Errorf("cut %d: %+v %v", seq, c, err)
		}
	}
	if n := count(t, s, fmt.Sprintf("SELECT count() FROM %s.ship_cuts", o.Database)); n != 1 {
		t.Errorf("%d rows", n)
	}
	if c, err := s.LastCut(ctx, "broker-b", "g1"); err != nil || c.Seq != 0 {
		t.Errorf("another broker group's: %+v %v", c, err)
	}
	if c, err := s.Decide(ctx, trail.Cut{Broker: "broker-a", Group: "g2", Seq: 1, Mark: "x", FromMicros: at, ToMicros: at, AtMicros: at}); err != nil || c.Mark != "x" {
		t.Errorf("a log made anew: %+v %v", c, err)
	}
}

// A store that an older version made goes on: its rows are there, and new ones name their broker group.
func TestAnOlderStoreIsMigrated(t *testing.T) {
	o := testOptions(t)
	old := open(t, o)
	old.migrations, old.views.sum = slices.Clone(old.migrations[:3]), ""
	old.migrations[2].sum = earlier[3]
	ctx := context.Background()
	if err := old.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if err := old.exec(ctx, "INSERT INTO %s.ship_log (at, node, source, from_time, to_time, not_recorded, reason) SELECT now64(6), 'node-1', 'log', now64(6), now64(6), 7, 'before'", o.Database); err != nil {
		t.Fatal(err)
	}
	s := open(t, o)
	if err := s.Record(ctx, "t", []trail.Shipped{{Node: "node-1", Broker: "broker-a", Source: "log", FromMicros: at, ToMicros: at, AtMicros: at, NotRecorded: 1}}); err != nil {
		t.Fatal(err)
	}
	holes, err := s.holes(ctx, 1, 2*at)
	if err != nil || len(holes) != 2 {
		t.Fatalf("%+v %v", holes, err)
	}
	for _, h := range holes {
		if (h.Reason == "before") != (h.Broker == "") {
			t.Errorf("%+v", h)
		}
	}
	if _, err := s.Decide(ctx, testCut(1, "node-1")); err != nil {
		t.Error(err)
	}
}

func BenchmarkDecide(b *testing.B) {
	s := open(b, testOptions(b))
	seq := uint64(0)
	for b.Loop() {
		seq++
		if c, err := s.Decide(context.Background(), testCut(seq, "node-1")); err != nil || c.Seq != seq {
			b.Fatal(err)
		}
	}
}

func BenchmarkLastCut(b *testing.B) {
	s := open(b, testOptions(b))
	if _, err := s.Decide(context.Background(), testCut(1, "node-1")); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.LastCut(context.Background(), "broker-a", "g1"); err != nil {
			b.Fatal(err)
		}
	}
}

// Whether a block is complete is asked at each takeover: it must not read all of a table that keeps months.
func TestABlockIsFoundByItsToken(t *testing.T) {
	o := testOptions(t)
	s := open(t, o)
	ctx := context.Background()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.exec(ctx, "INSERT INTO %s.ship_log (at, node, source, from_position, block) SELECT now64(6), 'node-1', 'log', number, concat('block/', toString(number)) FROM numbers(500000)", o.Database); err != nil {
		t.Fatal(err)
	}
	u := &usage{}
	if there, err := s.Recorded(context.WithValue(ctx, usageKey{}, u), "block/4711"); err != nil || !there || u.rows.Load() > 100_000 {
		t.Errorf("%v %v, %d rows read", there, err, u.rows.Load())
	}
}
