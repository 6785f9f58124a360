package clickhouse

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/tracing/trail"
)

func half(m *trail.StoredMessage) {
	m.Timing, m.RealTopic, m.RealQueueID, m.Type = trail.TimingHalf, "orders", 2, "transaction"
}

func committedCopy(m *trail.StoredMessage) { m.SysFlag, m.Type = message.FlagTxCommit, "transaction" }

// transacted stores the lives of: 0, checked and committed; 1, rolled back; 2, given up; 3, open; 4, committed with a delay, and fired. 5 is a retry that pop made.
func transacted(t testing.TB, s *Store) {
	t.Helper()
	write(t, s, "transacted", func(b trail.Sink) {
		step := func(name, client, by string, place, micros int64, attempt uint16) {
			b.Step(&trail.StoredStep{RecordedMicros: at + micros, Step: trail.Step{
				Name: name, Client: client, Detail: by, AtMicros: at + micros, Attempt: attempt, Status: "Ok", Source: "broker", Broker: "broker-a", Place: place,
			}})
		}
		for i := range int64(5) {
			b.Message(copyOf(int(i), trail.HalfTopic, 1000+i, 1000*i, half))
		}
		step(trail.StepCheck, "shop-1", "", 1000, 6_000, 1)
		step(trail.StepCheck, "shop-2", "", 1000, 7_000, 2)
		step(trail.StepCommit, "shop-2", "check", 1000, 8_000, 0)
		b.Message(copyOf(0, "orders", 2000, 8_000, committedCopy))
		step(trail.StepRollback, "shop-1", "producer", 1001, 9_000, 0)
		step(trail.StepDiscard, "", "last check", 1002, 9_500, 0)
		b.Message(copyOf(2, trail.DiscardTopic, 2001, 9_500, func(m *trail.StoredMessage) { half(m); m.Timing = trail.TimingDiscarded }))
		step(trail.StepCommit, "shop-1", "producer", 1004, 9_600, 0)
		b.Message(copyOf(4, trail.WheelTopic, 2002, 9_600, func(m *trail.StoredMessage) { parked("orders", at+60_000_000)(m); committedCopy(m) }))
		b.Message(copyOf(4, "orders", 2003, 60_001_000, func(m *trail.StoredMessage) { fired(at + 60_000_000)(m); committedCopy(m) }))
		b.Message(copyOf(5, "%RETRY%billing_eu_orders", 3000, 9_700, func(m *trail.StoredMessage) {
			m.ReconsumeTimes, m.OriginTopic, m.PopGroup = 1, "orders", "billing_eu"
		}))
	})
}

func TestALifeHasBothCopiesOfATransaction(t *testing.T) {
	s := open(t, testOptions(t))
	transacted(t, s)
	for id, want := range map[string]struct {
		topics []string
		steps  []string
	}{
		"ID000000": {[]string{trail.HalfTopic, "orders"}, []string{"check", "check", "commit"}},
		"ID000001": {[]string{trail.HalfTopic}, []string{"rollback"}},
		"ID000002": {[]string{trail.HalfTopic, trail.DiscardTopic}, []string{"discard"}},
		"ID000003": {[]string{trail.HalfTopic}, nil},
		"ID000004": {[]string{trail.HalfTopic, trail.WheelTopic, "orders"}, []string{"commit"}},
	} {
		l, err := s.Life(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		var topics, steps []string
		for i := range l.Messages {
			topics = append(topics, l.Messages[i].Topic)
		}
		for i := range l.Steps {
			steps = append(steps, l.Steps[i].Name)
		}
		if !slices.Equal(topics, want.topics) || !slices.Equal(steps, want.steps) {
			t.Errorf("%s: copies in %q, steps %q; want %q, %q", id, topics, steps, want.topics, want.steps)
		}
	}
}

// A half message is not told among a topic's messages: there it is what was committed. It has a state of its own.
func TestHalfMessagesAreFoundByTheirState(t *testing.T) {
	s := open(t, testOptions(t))
	transacted(t, s)
	ids := func(q trail.Query) (ids []string) {
		q.FromMicros, q.ToMicros = at-1, at+100_000_000
		m, err := s.Search(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range m.Messages {
			ids = append(ids, m.Messages[i].ID)
		}
		slices.Sort(ids)
		return ids
	}
	for _, c := range []struct {
		query trail.Query
		want  []string
	}{
		{trail.Query{Topic: "orders", State: trail.StateHalf}, []string{"ID000000", "ID000001", "ID000002", "ID000002", "ID000003", "ID000004"}},
		{trail.Query{Topic: "payments", State: trail.StateHalf}, nil},
		{trail.Query{Topic: "orders"}, []string{"ID000000", "ID000004", "ID000004"}},
		{trail.Query{ID: "ID000003"}, []string{"ID000003"}},
	} {
		if got := ids(c.query); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.query, got, c.want)
		}
	}
}

func TestATransactionIsATree(t *testing.T) {
	s := open(t, testOptions(t))
	transacted(t, s)
	for id, want := range map[string][]string{
		"ID000000": {"check orders < half orders", "check orders < half orders", "commit orders < half orders", "half orders < ", "store orders < commit orders"},
		"ID000001": {"half orders < ", "rollback orders < half orders"},
		"ID000002": {"discard orders < half orders", "half orders < "},
		"ID000003": {"half orders < "},
		"ID000004": {"commit orders < half orders", "fire orders < schedule orders", "half orders < ", "schedule orders < store orders", "store orders < commit orders"},
	} {
		spans := spansOf(t, s, trail.DerivedTraceID(id).String())
		names, lines := map[string]string{}, []string{}
		for _, p := range spans {
			if names[p.ID] != "" {
				t.Errorf("%s: two spans have the id of %s", id, p.Name)
			}
			names[p.ID] = p.Name
		}
		for _, p := range spans {
			lines = append(lines, p.Name+" < "+names[p.Parent])
			if p.Name == "commit orders" && id == "ID000000" && (p.Attributes["rocketmq.transaction.age_ms"] != "8" || p.Attributes["rocketmq.transaction.decided_by"] != "check" || p.Attributes["messaging.client.id"] != "shop-2") {
				t.Errorf("%v", p.Attributes)
			}
		}
		slices.Sort(lines)
		if !reflect.DeepEqual(lines, want) {
			t.Errorf("%s: %q, want %q", id, lines, want)
		}
	}
	retries := spansOf(t, s, trail.DerivedTraceID("ID000005").String())
	if len(retries) != 1 || retries[0].Name != "retry orders" || retries[0].Attributes["messaging.consumer.group.name"] != "billing_eu" {
		t.Errorf("%+v", retries)
	}
}
