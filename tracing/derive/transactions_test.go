package derive_test

import (
	"reflect"
	"testing"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/tracing/derive"
	"github.com/contrailmq/contrail/tracing/derive/derivetest"
	"github.com/contrailmq/contrail/tracing/trail"
)

func ended(e entry.TxnEnd) derivetest.Command {
	return derivetest.Command{Kind: entry.KindTxnEnd, Body: entry.AppendTxnEnd(nil, &e)}
}

func checked(c entry.TxnCheck) derivetest.Command {
	return derivetest.Command{Kind: entry.KindTxnCheck, Body: entry.AppendTxnCheck(nil, &c)}
}

// TestTransactionalCopies: the half message is for its real topic, and so is what nobody decided; the committed one is in it.
func TestTransactionalCopies(t *testing.T) {
	hidden := []string{"REAL_TOPIC", "orders", "REAL_QID", "3", "TRAN_MSG", "true", "PGROUP", "shop"}
	type row struct {
		timing, real, kind, to, user string
		queue                        int32
		committed, hidden            bool
	}
	for _, c := range []struct {
		name    string
		message derivetest.Message
		want    row
	}{
		{"a half message", derivetest.Message{Topic: trail.HalfTopic, Properties: hidden}, row{trail.TimingHalf, "orders", derive.TypeTransaction, "orders", "orders", 3, false, true}},
		{"committed", derivetest.Message{Topic: "orders", SysFlag: message.FlagTxCommit}, row{"", "", derive.TypeTransaction, "orders", "orders", 0, true, false}},
		{"given up", derivetest.Message{Topic: trail.DiscardTopic, Properties: hidden}, row{trail.TimingDiscarded, "orders", derive.TypeTransaction, "orders", "orders", 3, false, true}},
		{"a retry of a committed one", derivetest.Message{Topic: "%RETRY%billing", Retries: 1, SysFlag: message.FlagTxCommit, Properties: []string{"RETRY_TOPIC", "orders"}},
			row{"", "", derive.TypeTransaction, "%RETRY%billing", "orders", 0, false, false}},
		{"somebody's own message in the half topic", derivetest.Message{Topic: trail.HalfTopic}, row{"", "", derive.TypeNormal, trail.HalfTopic, trail.HalfTopic, 0, false, false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := derived(t, derive.New(options), derivetest.NewLog().Append(1, nil, c.message)).Messages[0]
			if got := (row{m.Timing, m.RealTopic, m.Type, m.Destination(), m.UserTopic(), m.RealQueueID, m.Committed(), m.Hidden()}); got != c.want {
				t.Errorf("\ngot  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// TestEndsAndChecksAreStepsOfAPlace: who decided, who was asked, and that nobody could be.
func TestEndsAndChecksAreStepsOfAPlace(t *testing.T) {
	r := derivetest.NewLog().Append(77, []derivetest.Command{
		checked(entry.TxnCheck{Offset: 5, Position: 4711, AtMillis: 6, Times: 2, Group: "shop", Client: "shop-7"}),
		checked(entry.TxnCheck{Offset: 6, Position: 4800, AtMillis: 6, Times: 1, Group: "shop"}),
		ended(entry.TxnEnd{Offset: 5, Position: 4711, AtMillis: 9, Decision: entry.TxnCommit, How: entry.TxnByCheck, Client: "shop-7"}),
		ended(entry.TxnEnd{Offset: 6, Position: 4800, AtMillis: 9, Decision: entry.TxnRollback, How: entry.TxnByAdmin}),
		ended(entry.TxnEnd{Offset: 7, Position: 4900, AtMillis: 9, Decision: entry.TxnParked, How: entry.TxnByLastCheck}),
	})
	step := func(s trail.Step) trail.StoredStep {
		s.Source, s.Position, s.Broker = "broker", r.Pos, "broker-a"
		return trail.StoredStep{RecordedMicros: 77, Step: s}
	}
	want := []trail.StoredStep{
		step(trail.Step{Name: trail.StepCheck, Group: "shop", Client: "shop-7", AtMicros: 6000, Attempt: 2, Status: "Unset", Place: 4711}),
		step(trail.Step{Name: trail.StepCheck, Group: "shop", AtMicros: 6000, Attempt: 1, Status: "Error", Error: "no producer of the group is connected", Place: 4800}),
		step(trail.Step{Name: trail.StepCommit, Client: "shop-7", AtMicros: 9000, Status: "Ok", Detail: "check", Place: 4711}),
		step(trail.Step{Name: trail.StepRollback, AtMicros: 9000, Status: "Ok", Detail: "admin", Place: 4800}),
		step(trail.Step{Name: trail.StepDiscard, AtMicros: 9000, Status: "Error", Error: "undecided", Detail: "last check", Place: 4900}),
	}
	if got := derived(t, derive.New(options), r).Steps; !reflect.DeepEqual(got, want) {
		t.Errorf("\ngot  %+v\nwant %+v", got, want)
	}
}

// TestWhatBecameOfSingleMessages: neighbours that were acknowledged are one row; what failed is no acknowledgement.
func TestWhatBecameOfSingleMessages(t *testing.T) {
	acks := entry.PopAcks{Group: "billing", Topic: "orders", Client: "c1", QueueID: 2, AtMillis: 5, Acks: []entry.PopAck{{Offset: 10}, {Offset: 11}, {Offset: 14}, {Offset: 12}}}
	change := entry.PopChange{Group: "billing", Topic: "orders", Client: "c1", QueueID: 2, PopAck: entry.PopAck{Offset: 13}, AtMillis: 6, InvisibleMillis: 1000}
	revive := entry.PopRevive{Group: "billing", Topic: "orders", QueueID: 2, AtMillis: 7, Messages: []entry.Revived{{Offset: 13, To: entry.ToRetry}, {Offset: 15, To: entry.ToNothing}}}
	back := entry.SentBack{Group: "audit", Topic: "orders", Client: "c9", QueueID: 2, Offset: 10, AtMillis: 8, To: entry.ToDeadLetter}
	r := derivetest.NewLog().Append(9000, []derivetest.Command{
		{Kind: entry.KindPopAck, Body: entry.AppendPopAcks(nil, &acks)}, {Kind: entry.KindPopChange, Body: entry.AppendPopChange(nil, &change)},
		{Kind: entry.KindPopRevive, Body: entry.AppendPopRevive(nil, &revive)}, {Kind: entry.KindSentBack, Body: entry.AppendSentBack(nil, &back)},
	})
	type row struct {
		group, client, outcome string
		from, to, again, at    int64
	}
	var got []row
	for _, s := range derived(t, derive.New(options), r).Settlements {
		if s.Topic != "orders" || s.QueueID != 2 || s.Broker != "broker-a" || s.Position != r.Pos {
			t.Errorf("%+v", s)
		}
		got = append(got, row{s.Group, s.Client, s.Outcome, s.From, s.To, s.AgainTo, s.AtMicros})
	}
	want := []row{
		{"billing", "c1", derive.OutcomeAcknowledged, 10, 12, 10, 5000}, {"billing", "c1", derive.OutcomeAcknowledged, 14, 15, 14, 5000},
		{"billing", "c1", derive.OutcomeAcknowledged, 12, 13, 13, 5000}, {"billing", "c1", derive.OutcomeChanged, 13, 14, 13, 6000},
		{"billing", "", derive.OutcomeExpired, 13, 14, 13, 7000}, {"billing", "", derive.OutcomeExpired, 15, 16, 15, 7000}, {"audit", "c9", derive.OutcomeSentBack, 10, 11, 10, 8000},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\ngot  %+v\nwant %+v", got, want)
	}
}

// TestAPopRetryIsItsGroups: its topic's name does not say where the group's ends.
func TestAPopRetryIsItsGroups(t *testing.T) {
	for _, c := range []struct {
		topic, group  string
		owner, origin string
	}{
		{"%RETRY%billing_eu_orders", "billing_eu", "billing_eu", "orders"}, {"%RETRY%billing_eu_orders", "billing", "billing", "eu_orders"},
		{"%RETRY%billing", "billing", "billing", ""}, {"%DLQ%billing", "billing", "billing", ""}, {"orders", "billing", "", ""},
	} {
		m := derived(t, derive.New(options), derivetest.NewLog().Append(1, nil, derivetest.Message{Topic: c.topic, Retries: 1, Properties: []string{"ORIGIN_GROUP", c.group}})).Messages[0]
		if m.Owner() != c.owner || m.UserTopic() != map[bool]string{true: c.origin, false: c.topic}[c.origin != ""] {
			t.Errorf("%s popped by %s: a copy of %q, of topic %q", c.topic, c.group, m.Owner(), m.UserTopic())
		}
	}
}

func TestDamagedCommandsOfDeliveryAreCounted(t *testing.T) {
	for _, k := range []entry.Kind{entry.KindTxnEnd, entry.KindTxnCheck, entry.KindPopAck, entry.KindPopChange, entry.KindPopRevive, entry.KindSentBack} {
		d, r := derive.New(options), derivetest.NewLog().Append(1, []derivetest.Command{{Kind: k, Body: []byte{1, 2, 3}}})
		if err := d.Record(&r, notes.EntryTimes{}, &derivetest.Rows{}); err == nil || d.Counters().BadEntries != 1 {
			t.Errorf("command %d: %v, %+v", k, err, d.Counters())
		}
	}
}
