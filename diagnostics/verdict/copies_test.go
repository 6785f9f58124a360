package verdict

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/tracing/trail"
)

const due = int64(9_000_000) // µs

// Copies of one message, by their places in the log.
var (
	waiting     = trail.Message{ID: "A1", Broker: "b", Topic: trail.WheelTopic, Position: 10, AppendedMicros: 1_000_000, Timing: trail.TimingParked, RealTopic: "orders", RealQueueID: 2, DueMicros: due}
	rolled      = trail.Message{ID: "A1", Broker: "b", Topic: trail.WheelTopic, Position: 15, AppendedMicros: 5_000_000, Timing: trail.TimingRolled, RealTopic: "orders", RealQueueID: 2, DueMicros: due}
	arrived     = trail.Message{ID: "A1", Broker: "b", Topic: "orders", QueueID: 2, QueueOffset: 100, Position: 20, AppendedMicros: due + 3_000, Timing: trail.TimingFired, RealTopic: "orders", DueMicros: due}
	retryWaits  = trail.Message{ID: "A1", Broker: "b", Topic: trail.ScheduleTopic, Position: 30, AppendedMicros: 20_000_000, ReconsumeTimes: 1, Timing: trail.TimingParked, RealTopic: "%RETRY%billing", DueMicros: 30_000_000, OriginTopic: "orders"}
	retryFired  = trail.Message{ID: "A1", Broker: "b", Topic: "%RETRY%billing", QueueOffset: 7, Position: 40, AppendedMicros: 30_001_000, ReconsumeTimes: 1, Timing: trail.TimingFired, RealTopic: "%RETRY%billing", DueMicros: 30_000_000, OriginTopic: "orders"}
	letter      = trail.Message{ID: "A1", Broker: "b", Topic: "%DLQ%billing", QueueOffset: 3, Position: 50, AppendedMicros: 40_000_000, ReconsumeTimes: 2, OriginTopic: "orders"}
	otherLetter = trail.Message{ID: "A1", Broker: "b", Topic: "%DLQ%shipping", Position: 60, AppendedMicros: 41_000_000, ReconsumeTimes: 1, OriginTopic: "orders"}
)

func handed(topic string, queue int32, offset, at int64) trail.Delivery {
	return trail.Delivery{Broker: "b", Topic: topic, QueueID: queue, From: offset, To: offset + 1, Group: "billing", Client: "c1", SentMicros: at, Messages: 1}
}

// billing reads orders, at most twice again.
func billing(committed, retryCommitted int64) inspect.Group {
	g := group(committed)
	g.RetryMaxTimes = 2
	g.Queues = append(g.Queues, inspect.GroupQueue{Topic: "%RETRY%billing", Max: 8, Committed: retryCommitted})
	return g
}

func TestVerdictOfEachCopy(t *testing.T) {
	first, second := handed("orders", 2, 100, 10_000_000), handed("%RETRY%billing", 0, 7, 31_000_000)
	cancel := trail.Step{ID: "A1", Name: trail.StepCancel, Broker: "b", Place: 10, AtMicros: 2_000_000, Status: "Ok"}
	elsewhere := cancel
	elsewhere.Broker = "c"
	acked := trail.Settlement{Broker: "b", Topic: "%RETRY%billing", From: 7, To: 8, Group: "billing", Outcome: "acknowledged", Client: "c1", AtMicros: 32_000_000}
	ackedFirst := trail.Settlement{Broker: "b", Topic: "orders", QueueID: 2, From: 99, To: 101, Group: "billing", Outcome: "acknowledged", Client: "c1", AtMicros: 11_000_000}
	stranger := inspect.Group{Name: "billing", Online: true}
	byShop := cancel
	byShop.Client = "shop-7"

	for _, c := range []struct {
		name     string
		life     trail.Life
		group    inspect.Group
		now      int64 // ms
		state    State
		due      int64
		attempts int
		evidence []string
	}{
		{"it waits until it is due", trail.Life{Messages: []trail.Message{waiting}}, billing(40, -1), 4000, Scheduled, due, 0, []string{"parked"}},
		{"it is due, and is not fired yet", trail.Life{Messages: []trail.Message{waiting}}, billing(40, -1), 9001, Scheduled, due, 0, []string{"parked", "overdue"}},
		{"it was rolled", trail.Life{Messages: []trail.Message{waiting, rolled}}, billing(40, -1), 6000, Scheduled, due, 0, []string{"parked"}},
		{"of no concern to a group that does not read the topic", trail.Life{Messages: []trail.Message{waiting}}, stranger, 4000, NotSubscribed, 0, 0, []string{"no-subscription"}},
		{"cancelled", trail.Life{Messages: []trail.Message{waiting}, Steps: []trail.Step{cancel}}, billing(40, -1), 4000, Cancelled, due, 0, []string{"parked", "cancelled"}},
		{"cancelled by somebody known", trail.Life{Messages: []trail.Message{waiting}, Steps: []trail.Step{byShop}}, billing(40, -1), 4000, Cancelled, due, 0, []string{"cancelled-by"}},
		{"another broker group's place is no cancel of it", trail.Life{Messages: []trail.Message{waiting}, Steps: []trail.Step{elsewhere}}, billing(40, -1), 4000, Scheduled, due, 0, []string{"parked"}},
		{"fired, and waits in its queue", trail.Life{Messages: []trail.Message{waiting, arrived}}, billing(40, -1), 9010, Waiting, 0, 0, []string{"fired", "committed"}},
		{"fired and delivered", trail.Life{Messages: []trail.Message{waiting, arrived}, Deliveries: []trail.Delivery{first}}, billing(40, -1), 11_000, Delivered, 0, 1, []string{"delivered", "fired"}},
		{"the next attempt waits, although the offset is acknowledged", trail.Life{Messages: []trail.Message{waiting, arrived, retryWaits}, Deliveries: []trail.Delivery{first}, Settlements: []trail.Settlement{ackedFirst}},
			billing(101, -1), 21_000, Retrying, 30_000_000, 1, []string{"delivered", "retry", "parked"}},
		{"the retry is in its topic", trail.Life{Messages: []trail.Message{arrived, retryWaits, retryFired}, Deliveries: []trail.Delivery{first}, Settlements: []trail.Settlement{ackedFirst}},
			billing(101, 5), 31_000, Waiting, 0, 1, []string{"retry", "fired", "committed"}},
		{"the retry is delivered", trail.Life{Messages: []trail.Message{arrived, retryWaits, retryFired}, Deliveries: []trail.Delivery{first, second}, Settlements: []trail.Settlement{ackedFirst}},
			billing(101, 7), 32_000, Delivered, 0, 2, []string{"delivered", "retry"}},
		{"the retry is consumed", trail.Life{Messages: []trail.Message{arrived, retryWaits, retryFired}, Deliveries: []trail.Delivery{first, second}, Settlements: []trail.Settlement{ackedFirst, acked}},
			billing(101, 8), 33_000, Consumed, 0, 2, []string{"retry", "acknowledged"}},
		{"dead", trail.Life{Messages: []trail.Message{arrived, retryWaits, retryFired, letter}, Deliveries: []trail.Delivery{first, second}, Settlements: []trail.Settlement{ackedFirst, acked}},
			billing(101, 8), 41_000, Dead, 0, 2, []string{"retry", "dead"}},
		{"another group's dead letter is not this one's", trail.Life{Messages: []trail.Message{arrived, otherLetter}, Deliveries: []trail.Delivery{first}, Settlements: []trail.Settlement{ackedFirst}},
			billing(101, -1), 42_000, Consumed, 0, 1, []string{"acknowledged"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Of(c.life.Messages[0], c.life, []inspect.Group{c.group}, c.now)[0]
			if v.State != c.state || v.DueMicros != c.due || v.Attempts != c.attempts {
				t.Errorf("%s, due %d, %d attempts; want %s, %d, %d: %+v", v.State, v.DueMicros, v.Attempts, c.state, c.due, c.attempts, v.Evidence)
			}
			codes := map[string]bool{}
			for _, e := range v.Evidence {
				codes[e.Code] = true
			}
			for _, want := range c.evidence {
				if !codes[want] {
					t.Errorf("no evidence %q in %+v", want, v.Evidence)
				}
			}
		})
	}
}

// A dead letter that was given to its group again begins anew.
func TestAResentLetterIsNoLongerDead(t *testing.T) {
	dead := letter
	dead.OffsetID = "LETTER"
	again := trail.Message{ID: "A1", Broker: "b", Topic: "%RETRY%billing", QueueOffset: 8, Position: 70, AppendedMicros: 50_000_000, OriginTopic: "orders", ResentFrom: "LETTER", ResentBy: "li.wei"}
	second := letter
	second.Position, second.AppendedMicros, second.ReconsumeTimes, second.QueueOffset = 80, 60_000_000, 1, 4
	life := trail.Life{Messages: []trail.Message{arrived, retryWaits, retryFired, dead, again}}
	v := Of(arrived, life, []inspect.Group{billing(101, 8)}, 51_000)[0]
	if v.State != Waiting || v.Retry != 0 || v.Where.Position != 70 || v.Evidence[0].Code != "resent" || v.Evidence[0].Values["by"] != "li.wei" {
		t.Errorf("%+v", v)
	}
	life.Settlements = []trail.Settlement{{Broker: "b", Topic: "%RETRY%billing", From: 8, To: 9, Group: "billing", Outcome: "acknowledged", AtMicros: 52_000_000}}
	if v = Of(arrived, life, []inspect.Group{billing(101, 9)}, 53_000)[0]; v.State != Consumed {
		t.Errorf("%+v", v)
	}
	life.Messages = append(life.Messages, second)
	if v = Of(arrived, life, []inspect.Group{billing(101, 9)}, 61_000)[0]; v.State != Dead || v.Where.Position != 80 {
		t.Errorf("%+v", v)
	}
	all := Lineage(&life, 61_000)
	if k := all[4]; k.Role != RoleResent || k.From != 50 || k.By != "li.wei" || all[5].From != 70 {
		t.Errorf("%+v", all[3:])
	}
}

func TestWhereTheCopyIs(t *testing.T) {
	life := trail.Life{Messages: []trail.Message{arrived, retryWaits}}
	v := Of(arrived, life, []inspect.Group{billing(101, -1)}, 21_000)[0]
	if want := (Place{"b", "%RETRY%billing", 0, -1, 30}); v.Where != want || v.Retry != 1 || v.MaxRetries != 2 {
		t.Errorf("%+v, retry %d of %d, want %+v", v.Where, v.Retry, v.MaxRetries, want)
	}
	life.Messages = append(life.Messages, retryFired, letter)
	if v = Of(arrived, life, []inspect.Group{billing(101, -1)}, 41_000)[0]; v.Where != (Place{"b", "%DLQ%billing", 0, 3, 50}) {
		t.Errorf("%+v", v.Where)
	}
}

func TestLineageIsOneStory(t *testing.T) {
	cancel := trail.Step{Name: trail.StepCancel, Broker: "b", Place: 10}
	type line struct {
		role, state string
		from        int64
		late        int64
	}
	for name, c := range map[string]struct {
		life trail.Life
		now  int64
		want []line
	}{
		"all its life": {trail.Life{Messages: []trail.Message{waiting, rolled, arrived, retryWaits, retryFired, letter, otherLetter}}, 50_000, []line{
			{RoleScheduled, CopyRolled, 0, 0}, {RoleScheduled, CopyFired, 10, 0}, {RoleFired, "", 15, 3000}, {RoleRetry, CopyFired, 20, 0}, {RoleRetry, "", 30, 1000}, {RoleDead, "", 40, 0}, {RoleDead, "", 20, 0},
		}},
		"it waits":   {trail.Life{Messages: []trail.Message{waiting}}, 1000, []line{{RoleScheduled, CopyWaits, 0, 0}}},
		"overdue":    {trail.Life{Messages: []trail.Message{waiting}}, 9000, []line{{RoleScheduled, CopyOverdue, 0, 0}}},
		"cancelled":  {trail.Life{Messages: []trail.Message{waiting}, Steps: []trail.Step{cancel}}, 9000, []line{{RoleScheduled, CopyCancelled, 0, 0}}},
		"it is sent": {trail.Life{Messages: []trail.Message{paid}}, 9000, []line{{RoleSent, "", 0, 0}}},
		"nothing":    {trail.Life{}, 9000, nil},
	} {
		var got []line
		for _, k := range Lineage(&c.life, c.now) {
			got = append(got, line{k.Role, k.State, k.From, k.LateMicros})
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, c.want)
		}
	}
}

// Whatever copies are recorded, there is one verdict with evidence, and each copy comes of one before it.
func TestAnyCopiesAreJudged(t *testing.T) {
	all := []trail.Message{waiting, rolled, arrived, retryWaits, retryFired, letter, otherLetter}
	rapid.Check(t, func(t *rapid.T) {
		var life trail.Life
		for _, m := range all {
			if rapid.Bool().Draw(t, m.Topic) {
				life.Messages = append(life.Messages, m)
			}
		}
		v := Of(paid, life, []inspect.Group{billing(rapid.Int64Range(-1, 200).Draw(t, "committed"), rapid.Int64Range(-1, 9).Draw(t, "retry"))}, rapid.Int64Range(0, 60_000).Draw(t, "now"))
		if len(v) != 1 || len(v[0].Evidence) == 0 || v[0].State == "" {
			t.Fatalf("%+v", v)
		}
		for i, k := range Lineage(&life, 1) {
			if k.From != 0 && (i == 0 || k.From >= k.Position) {
				t.Fatalf("%+v comes of a later one", k)
			}
		}
	})
}
