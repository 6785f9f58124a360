package verdict

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/tracing/trail"
)

var paid = trail.Message{ID: "A1", Topic: "orders", Tag: "paid", QueueID: 2, QueueOffset: 100, AppendedMicros: 1_000_000}

func group(committed int64) inspect.Group {
	return inspect.Group{
		Name: "billing", Online: true, Model: "CLUSTERING",
		Subscriptions: []inspect.Subscription{{Topic: "orders", Type: "TAG", Expression: "paid || refunded"}},
		Queues:        []inspect.GroupQueue{{Topic: "orders", QueueID: 2, Min: 10, Max: 200, Committed: committed, LastCommit: 1500}},
	}
}

func delivery() trail.Delivery {
	return trail.Delivery{Topic: "orders", QueueID: 2, From: 96, To: 104, Group: "billing", Client: "c1", SentMicros: 1_200_000, Messages: 8, Subscription: "paid || refunded"}
}

func TestVerdictOfEachState(t *testing.T) {
	settled := trail.Settlement{Topic: "orders", QueueID: 2, From: 96, To: 104, Group: "billing", Outcome: "acknowledged", Client: "c1", AtMicros: 1_900_000}
	reset := settled
	reset.Outcome = "reset"
	skipping := delivery()
	skipping.Filtered, skipping.Skipped = 1, []int64{100}
	offline := group(40)
	offline.Online, offline.LastSeen = false, 900
	stranger := inspect.Group{Name: "billing", Online: true}
	broadcast := group(-1)
	broadcast.Model = "BROADCASTING"
	gone := group(-1)
	gone.Queues[0].Min = 150
	expression := group(150)
	expression.Subscriptions[0].Expression = "shipped"
	expressionAt104 := group(104)
	expressionAt104.Subscriptions[0].Expression = "shipped"

	for _, c := range []struct {
		name     string
		life     trail.Life
		group    inspect.Group
		state    State
		ahead    int64
		evidence string
	}{
		{"acknowledged range holds it", trail.Life{Deliveries: []trail.Delivery{delivery()}, Settlements: []trail.Settlement{settled}}, group(104), Consumed, 0, "acknowledged"},
		{"delivered and no acknowledgement", trail.Life{Deliveries: []trail.Delivery{delivery()}}, group(96), Delivered, 0, "delivered"},
		{"behind the committed offset", trail.Life{}, group(40), Waiting, 60, "committed"},
		{"never committed counts from the queue's begin", trail.Life{}, group(-1), Waiting, 90, "never-committed"},
		{"filtered by the broker", trail.Life{Deliveries: []trail.Delivery{skipping}}, group(104), FilteredOut, 0, "filtered"},
		{"acknowledged past what the tag does not match", trail.Life{Settlements: []trail.Settlement{settled}}, expressionAt104, FilteredOut, 0, "expression"},
		{"nobody online", trail.Life{}, offline, Offline, 60, "last-seen"},
		{"no subscription and no offset", trail.Life{}, stranger, NotSubscribed, 0, "no-subscription"},
		{"reset over it is not consumed", trail.Life{Settlements: []trail.Settlement{reset}}, group(104), Skipped, 0, "reset"},
		{"retention was faster", trail.Life{}, gone, Expired, 0, "expired"},
		{"broadcast has no acknowledgement to see", trail.Life{Deliveries: []trail.Delivery{delivery()}}, broadcast, Unknown, 0, "broadcast"},
		{"passed without a delivery is not called consumed", trail.Life{}, group(150), Unknown, 0, "passed-undelivered"},
		{"passed and the expression excludes it", trail.Life{}, expression, FilteredOut, 0, "expression"},
		{"passed, delivered, settlement lost in a hole", trail.Life{Deliveries: []trail.Delivery{delivery()}, NotRecorded: []trail.Shipped{{NotRecorded: 3}}}, group(150), Consumed, 0, "committed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Of(paid, c.life, []inspect.Group{c.group}, 2000)[0]
			if v.State != c.state || v.Ahead != c.ahead {
				t.Errorf("got %s, %d ahead; want %s, %d", v.State, v.Ahead, c.state, c.ahead)
			}
			for _, e := range v.Evidence {
				if e.Code == c.evidence {
					return
				}
			}
			t.Errorf("no evidence %q in %+v", c.evidence, v.Evidence)
		})
	}
}

func TestOtherQueuesSayNothingAboutThisOne(t *testing.T) {
	d := delivery()
	d.QueueID = 3
	if v := Of(paid, trail.Life{Deliveries: []trail.Delivery{d}}, []inspect.Group{group(40)}, 2000)[0]; v.State != Waiting {
		t.Errorf("a delivery of queue 3 made a message of queue 2 %s", v.State)
	}
}

// No evidence, no verdict; one verdict per group that is not the broker's own.
func TestEveryVerdictHasEvidence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := group(rapid.Int64Range(-1, 220).Draw(t, "committed"))
		g.Online = rapid.Bool().Draw(t, "online")
		g.Model = rapid.SampledFrom([]string{"CLUSTERING", "BROADCASTING", ""}).Draw(t, "model")
		if rapid.Bool().Draw(t, "unknown queue") {
			g.Queues = nil
		}
		if rapid.Bool().Draw(t, "no subscription") {
			g.Subscriptions = nil
		}
		var life trail.Life
		for range rapid.IntRange(0, 8).Draw(t, "deliveries") {
			d := delivery()
			d.From = rapid.Int64Range(80, 110).Draw(t, "from")
			d.Filtered = rapid.Uint32Range(0, 3).Draw(t, "filtered")
			life.Deliveries = append(life.Deliveries, d)
		}
		all := Of(paid, life, []inspect.Group{g, {Name: "TOOLS_CONSUMER", System: true}}, 2000)
		if len(all) != 1 {
			t.Fatalf("%d verdicts for one group", len(all))
		}
		if len(all[0].Evidence) == 0 || all[0].State == "" {
			t.Fatalf("verdict without evidence: %+v", all[0])
		}
	})
}
