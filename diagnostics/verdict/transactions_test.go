package verdict

import (
	"reflect"
	"testing"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/tracing/trail"
)

var (
	half      = trail.Message{ID: "T1", Broker: "b", Topic: trail.HalfTopic, QueueOffset: 3, Position: 10, AppendedMicros: 1_000_000, Timing: trail.TimingHalf, RealTopic: "orders", RealQueueID: 2}
	committed = trail.Message{ID: "T1", Broker: "b", Topic: "orders", QueueID: 2, QueueOffset: 100, Position: 20, AppendedMicros: 5_000_000, SysFlag: message.FlagTxCommit}
	discarded = trail.Message{ID: "T1", Broker: "b", Topic: trail.DiscardTopic, QueueOffset: 9, Position: 20, AppendedMicros: 5_000_000, Timing: trail.TimingDiscarded, RealTopic: "orders", RealQueueID: 2}
	delayed   = trail.Message{ID: "T1", Broker: "b", Topic: trail.WheelTopic, Position: 20, AppendedMicros: 5_000_000, SysFlag: message.FlagTxCommit, Timing: trail.TimingParked, RealTopic: "orders", RealQueueID: 2, DueMicros: 9_000_000}
)

func end(name, client, how string) trail.Step {
	return trail.Step{Name: name, Client: client, Detail: how, Broker: "b", Place: 10, AtMicros: 5_000_000}
}

func TestVerdictOfATransaction(t *testing.T) {
	asked := trail.Step{Name: trail.StepCheck, Broker: "b", Place: 10, AtMicros: 3_000_000, Attempt: 1}
	elsewhere := end(trail.StepRollback, "shop-1", "producer")
	elsewhere.Broker = "c"
	delivered := handed("orders", 2, 100, 6_000_000)
	acked := trail.Settlement{Broker: "b", Topic: "orders", QueueID: 2, From: 100, To: 101, Group: "billing", Outcome: "acknowledged", Client: "c1", AtMicros: 7_000_000}
	back := acked
	back.Outcome = "sent-back"
	for _, c := range []struct {
		name     string
		life     trail.Life
		group    inspect.Group
		state    State
		evidence []string
	}{
		{"open", trail.Life{Messages: []trail.Message{half}}, billing(40, -1), Undecided, []string{"half"}},
		{"open, and asked about", trail.Life{Messages: []trail.Message{half}, Steps: []trail.Step{asked}}, billing(40, -1), Undecided, []string{"half", "checked"}},
		{"of no concern to who does not read the topic", trail.Life{Messages: []trail.Message{half}}, inspect.Group{Name: "billing"}, NotSubscribed, []string{"no-subscription"}},
		{"rolled back", trail.Life{Messages: []trail.Message{half}, Steps: []trail.Step{end(trail.StepRollback, "shop-1", "producer")}}, billing(40, -1), RolledBack, []string{"half", "txn-rollback"}},
		{"rolled back in another broker group", trail.Life{Messages: []trail.Message{half}, Steps: []trail.Step{elsewhere}}, billing(40, -1), Undecided, []string{"half"}},
		{"committed, and its copy is on its way to the trail", trail.Life{Messages: []trail.Message{half}, Steps: []trail.Step{end(trail.StepCommit, "shop-1", "producer")}}, billing(40, -1), Undecided, []string{"commit-not-told", "txn-commit"}},
		{"given up", trail.Life{Messages: []trail.Message{half, discarded}, Steps: []trail.Step{end(trail.StepDiscard, "", "last check")}}, billing(40, -1), Discarded, []string{"txn-discard"}},
		{"committed, and waits in its queue", trail.Life{Messages: []trail.Message{half, committed}, Steps: []trail.Step{end(trail.StepCommit, "shop-1", "check")}}, billing(40, -1), Waiting, []string{"txn-commit", "committed"}},
		{"committed with a delay", trail.Life{Messages: []trail.Message{half, delayed}}, billing(40, -1), Scheduled, []string{"parked"}},
		{"committed and consumed", trail.Life{Messages: []trail.Message{half, committed}, Deliveries: []trail.Delivery{delivered}, Settlements: []trail.Settlement{acked}}, billing(40, -1), Consumed, []string{"delivered", "acknowledged"}},
		{"what was sent back is not consumed by that", trail.Life{Messages: []trail.Message{half, committed}, Deliveries: []trail.Delivery{delivered}, Settlements: []trail.Settlement{back}}, billing(40, -1), Delivered, []string{"delivered", "sent-back"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := Of(c.life.Messages[0], c.life, []inspect.Group{c.group}, 8_000)[0]
			codes := map[string]bool{}
			for _, e := range v.Evidence {
				codes[e.Code] = true
			}
			if v.State != c.state {
				t.Errorf("%s, want %s: %+v", v.State, c.state, v.Evidence)
			}
			for _, want := range c.evidence {
				if !codes[want] {
					t.Errorf("no evidence %q in %+v", want, v.Evidence)
				}
			}
		})
	}
}

func TestLineageOfATransaction(t *testing.T) {
	type line struct {
		role, state, to string
		from            int64
	}
	for name, c := range map[string]struct {
		life trail.Life
		want []line
	}{
		"open":                   {trail.Life{Messages: []trail.Message{half}}, []line{{RoleHalf, CopyUndecided, "orders", 0}}},
		"committed":              {trail.Life{Messages: []trail.Message{half, committed}, Steps: []trail.Step{end(trail.StepCommit, "", "admin")}}, []line{{RoleHalf, CopyCommitted, "orders", 0}, {RoleCommitted, "", "", 10}}},
		"committed with a delay": {trail.Life{Messages: []trail.Message{half, delayed}, Steps: []trail.Step{end(trail.StepCommit, "", "admin")}}, []line{{RoleHalf, CopyCommitted, "orders", 0}, {RoleScheduled, CopyWaits, "orders", 10}}},
		"rolled back":            {trail.Life{Messages: []trail.Message{half}, Steps: []trail.Step{end(trail.StepRollback, "", "admin")}}, []line{{RoleHalf, CopyRolledBack, "orders", 0}}},
		"given up":               {trail.Life{Messages: []trail.Message{half, discarded}, Steps: []trail.Step{end(trail.StepDiscard, "", "last check")}}, []line{{RoleHalf, CopyDiscarded, "orders", 0}, {RoleDiscarded, "", "", 10}}},
	} {
		var got []line
		for _, k := range Lineage(&c.life, 8_000) {
			got = append(got, line{k.Role, k.State, k.To, k.From})
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, c.want)
		}
	}
}
