package clickhouse

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/contrailmq/contrail/tracing/trail"
)

const (
	later   = int64(3_600_000_000) // µs
	farAway = int64(4_000_000_000_000_000)
)

// copyOf is a stored copy of the i-th message.
func copyOf(i int, topic string, position, micros int64, change func(*trail.StoredMessage)) *trail.StoredMessage {
	m := testMessage(i)
	m.Topic, m.QueueID, m.QueueOffset, m.Position, m.TraceIn, m.ParentIn, m.OriginID = topic, 0, position, position, "", "", ""
	m.AppendedMicros, m.ReceivedMicros, m.AckedMicros = at+micros, at+micros-100, at+micros+100
	if change != nil {
		change(&m)
	}
	return &m
}

func parked(topic string, due int64) func(*trail.StoredMessage) {
	return func(m *trail.StoredMessage) {
		m.Timing, m.RealTopic, m.RealQueueID, m.DueMicros, m.Type = trail.TimingParked, topic, 2, due, "delay"
	}
}

func fired(due int64) func(*trail.StoredMessage) {
	return func(m *trail.StoredMessage) {
		m.Timing, m.RealTopic, m.RealQueueID, m.DueMicros, m.Type, m.ReceivedMicros = trail.TimingFired, m.Topic, 2, due, "delay", 0
	}
}

func again(times int32, f func(*trail.StoredMessage)) func(*trail.StoredMessage) {
	return func(m *trail.StoredMessage) {
		f(m)
		m.ReconsumeTimes, m.OriginTopic, m.Type = times, "orders", "normal"
	}
}

// timed stores the lives of: 0, scheduled and fired, then retried once and a dead letter; 1, scheduled for later; 2, scheduled and cancelled;
// 3, sent;
// 4, sent, and its retry waits; 5, scheduled, rolled and cancelled.
func timed(t testing.TB, s *Store) {
	t.Helper()
	write(t, s, "timed", func(b trail.Sink) {
		due := at + 60_000_000
		b.Message(copyOf(0, trail.WheelTopic, 1000, 0, parked("orders", due)))
		b.Message(copyOf(1, trail.WheelTopic, 2000, 1000, parked("orders", farAway)))
		b.Message(copyOf(2, trail.ScheduleTopic, 3000, 2000, parked("orders", farAway)))
		b.Message(copyOf(5, trail.WheelTopic, 3100, 2100, parked("orders", farAway)))
		b.Message(copyOf(5, trail.WheelTopic, 3200, 2200, func(m *trail.StoredMessage) { parked("orders", farAway)(m); m.Timing = trail.TimingRolled }))
		b.Step(&trail.StoredStep{RecordedMicros: at + 9000, Step: trail.Step{Name: trail.StepCancel, AtMicros: at + 9000, Status: "Ok", Source: "broker", Position: 6600, Broker: "broker-a", Place: 3200}})
		b.Message(copyOf(3, "orders", 4000, 3000, nil))
		b.Message(copyOf(4, "orders", 5000, 4000, nil))
		b.Message(copyOf(4, trail.ScheduleTopic, 6000, 5000, again(1, parked("%RETRY%billing", farAway))))
		b.Message(copyOf(0, "orders", 7000, 60_004_000, fired(due)))
		b.Message(copyOf(0, trail.ScheduleTopic, 8000, 61_000_000, again(1, parked("%RETRY%billing", at+71_000_000))))
		b.Message(copyOf(0, "%RETRY%billing", 9000, 71_002_000, again(1, fired(at+71_000_000))))
		b.Message(copyOf(0, "%DLQ%billing", 10_000, 72_000_000, again(2, func(*trail.StoredMessage) {})))
		b.Step(&trail.StoredStep{RecordedMicros: at + 9000, Step: trail.Step{Name: trail.StepCancel, Client: "shop-7", AtMicros: at + 9000, Status: "Ok", Source: "broker", Position: 6500, Broker: "broker-a", Place: 3000}})
		b.Step(&trail.StoredStep{RecordedMicros: at + 9000, Step: trail.Step{Name: trail.StepCancel, AtMicros: at + 9000, Status: "Ok", Source: "broker", Position: 6500, Broker: "broker-b", Place: 2000}})
		d := someDelivery
		d.QueueID, d.Skipped, d.Filtered, d.AgainTo = 0, nil, 0, 0
		for _, g := range []struct {
			topic        string
			offset, sent int64
		}{{"orders", 7000, 60_500_000}, {"%RETRY%billing", 9000, 71_500_000}} {
			d.Topic, d.From, d.To, d.RequestedMicros, d.SentMicros, d.WaitedMicros = g.topic, g.offset, g.offset+1, at+g.sent-100, at+g.sent, 0
			b.Delivery(&d)
		}
	})
}

func TestSearchFindsWhatWaitsAndWhatDied(t *testing.T) {
	s := open(t, testOptions(t))
	timed(t, s)
	for _, c := range []struct {
		name string
		q    trail.Query
		want []string
	}{
		{"a topic has what waits for it", trail.Query{Topic: "orders"}, []string{"ID000000 orders", "ID000004 orders", "ID000003 orders", "ID000005 rmq_sys_wheel_timer", "ID000005 rmq_sys_wheel_timer", "ID000002 SCHEDULE_TOPIC_XXXX", "ID000001 rmq_sys_wheel_timer", "ID000000 rmq_sys_wheel_timer"}},
		{"so has a retry topic", trail.Query{Topic: "%RETRY%billing"}, []string{"ID000000 %RETRY%billing", "ID000000 SCHEDULE_TOPIC_XXXX", "ID000004 SCHEDULE_TOPIC_XXXX"}},
		{"scheduled", trail.Query{State: trail.StateScheduled}, []string{"ID000001 rmq_sys_wheel_timer"}},
		{"scheduled, another topic", trail.Query{State: trail.StateScheduled, Topic: "shipments"}, nil},
		{"fired", trail.Query{State: trail.StateFired}, []string{"ID000000 orders"}},
		{"cancelled", trail.Query{State: trail.StateCancelled, Topic: "orders"}, []string{"ID000005 rmq_sys_wheel_timer", "ID000005 rmq_sys_wheel_timer", "ID000002 SCHEDULE_TOPIC_XXXX"}},
		{"retried", trail.Query{State: trail.StateRetried, Topic: "orders"}, []string{"ID000000 %RETRY%billing", "ID000004 SCHEDULE_TOPIC_XXXX"}},
		{"dead", trail.Query{State: trail.StateDead}, []string{"ID000000 %DLQ%billing"}},
		{"dead, by the topic it was consumed from", trail.Query{State: trail.StateDead, Topic: "orders", Key: "key-0"}, []string{"ID000000 %DLQ%billing"}},
		{"dead, another topic", trail.Query{State: trail.StateDead, Topic: "shipments"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.q.FromMicros, c.q.ToMicros = at, at+later
			m, err := s.Search(context.Background(), c.q)
			if err != nil || m.Answer == trail.Failed {
				t.Fatal(err, m.Reason)
			}
			var got []string
			var counted uint64
			for i := range m.Messages {
				got = append(got, m.Messages[i].ID+" "+m.Messages[i].Topic)
				if p := m.Messages[i].Position; (m.Messages[i].CancelledMicros == at+9000) != (p == 3000 || p == 3200) {
					t.Errorf("cancelled at %d: %+v", m.Messages[i].CancelledMicros, m.Messages[i])
				}
			}
			for _, b := range m.Histogram {
				counted += b.Count
			}
			if !reflect.DeepEqual(got, c.want) || counted != uint64(len(c.want)) {
				t.Errorf("found %q, counted %d, want %q", got, counted, c.want)
			}
		})
	}
}

func TestTheNextDueComesFirst(t *testing.T) {
	s := open(t, testOptions(t))
	timed(t, s)
	write(t, s, "more", func(b trail.Sink) {
		for i := range 5 { // stored in one order, due in the other
			b.Message(copyOf(20+i, trail.WheelTopic, int64(20_000+i), int64(10_000+i), parked("orders", farAway-int64(i)*1_000_000-1)))
		}
		b.Message(copyOf(20, trail.WheelTopic, 30_000, 20_000, func(m *trail.StoredMessage) { parked("orders", farAway-1)(m); m.Timing = trail.TimingRolled }))
	})
	for _, c := range []struct {
		q    trail.Query
		want []string
	}{
		{trail.Query{}, []string{"ID000024", "ID000023", "ID000022", "ID000021", "ID000020", "ID000001"}},
		{trail.Query{Topic: "orders", Limit: 2}, []string{"ID000024", "ID000023"}},
		{trail.Query{Key: "key-22"}, []string{"ID000022"}},
		{trail.Query{Topic: "shipments"}, nil},
	} {
		var schedule trail.Schedule = s
		m, err := schedule.Scheduled(context.Background(), c.q)
		if err != nil || m.Answer == trail.Failed {
			t.Fatal(err, m.Reason)
		}
		var got []string
		var counted uint64
		for i := range m.Messages {
			got = append(got, m.Messages[i].ID)
		}
		for _, b := range m.Histogram {
			counted += b.Count
		}
		if !reflect.DeepEqual(got, c.want) || counted != uint64(len(c.want)) || (m.Answer == trail.Found) != (len(c.want) > 0) {
			t.Errorf("%+v: %s %q, counted %d, want %q", c.q, m.Answer, got, counted, c.want)
		}
	}
}

func TestALifeHasAllCopiesAndTheCancel(t *testing.T) {
	s := open(t, testOptions(t))
	timed(t, s)
	l, err := s.Life(context.Background(), "ID000000")
	if err != nil || len(l.Messages) != 5 || len(l.Deliveries) != 2 || len(l.Steps) != 0 {
		t.Fatalf("%v: %d copies, %d deliveries, %+v", err, len(l.Messages), len(l.Deliveries), l.Steps)
	}
	first, second := l.Messages[0], l.Messages[1]
	if first.Timing != trail.TimingParked || first.RealTopic != "orders" || first.RealQueueID != 2 || first.DueMicros != at+60_000_000 {
		t.Errorf("parked: %+v", first)
	}
	if second.Timing != trail.TimingFired || second.LateMicros() != 4000 || l.Messages[4].UserTopic() != "orders" {
		t.Errorf("fired: %+v", second)
	}
	for id, want := range map[string]int{"ID000002": 1, "ID000001": 0, "ID000005": 1} { // the other cancel is of another broker group's log
		l, err := s.Life(context.Background(), id)
		if err != nil || len(l.Steps) != want {
			t.Fatalf("%s: %v %+v", id, err, l.Steps)
		}
		if want == 1 && (l.Steps[0].ID != id || l.Steps[0].Name != trail.StepCancel || l.Steps[0].Place != map[string]int64{"ID000002": 3000, "ID000005": 3200}[id]) {
			t.Errorf("%+v", l.Steps[0])
		}
	}
}

func TestATimedLifeIsATree(t *testing.T) {
	s := open(t, testOptions(t))
	timed(t, s)
	for id, want := range map[string][]string{
		"ID000000": {"store orders", "schedule orders", "fire orders", "deliver orders", "retry orders", "schedule orders", "fire orders", "deliver %RETRY%billing", "dlq orders"},
		"ID000002": {"store orders", "schedule orders", "recall orders"},
		"ID000005": {"store orders", "schedule orders", "recall orders"},
		"ID000004": {"store orders", "retry orders", "schedule orders"},
	} {
		spans := spansOf(t, s, trail.DerivedTraceID(id).String())
		ids := map[string]spanRow{}
		var names []string
		for _, p := range spans {
			if _, twice := ids[p.ID]; twice {
				t.Errorf("%s: two spans have the id of %s", id, p.Name)
			}
			ids[p.ID] = p
			names = append(names, p.Name)
		}
		slices.Sort(names)
		slices.Sort(want)
		if !reflect.DeepEqual(names, want) {
			t.Errorf("%s: spans %q, want %q", id, names, want)
		}
		for _, p := range spans {
			parent := ids[p.Parent].Name
			switch {
			case p.Name == "retry orders" && id == "ID000004": // the delivery before it is not recorded
			case p.Parent == "" != (p.Name == "store orders"), p.Parent != "" && parent == "":
				t.Errorf("%s: %s hangs under %q %q", id, p.Name, p.Parent, parent)
			}
			if want := map[string]string{"fire orders": "schedule orders", "recall orders": "schedule orders", "retry orders": "deliver orders", "dlq orders": "deliver %RETRY%billing"}[p.Name]; want != "" && id == "ID000000" && parent != want {
				t.Errorf("%s hangs under %s, want %s", p.Name, parent, want)
			}
		}
		if id == "ID000000" {
			checkTimes(t, spans)
		}
		if i := slices.IndexFunc(spans, func(p spanRow) bool { return p.Name == "recall orders" }); id == "ID000002" && spans[i].Attributes["messaging.client.id"] != "shop-7" {
			t.Errorf("cancelled by %q", spans[i].Attributes["messaging.client.id"])
		}
	}
}

func checkTimes(t *testing.T, spans []spanRow) {
	t.Helper()
	for _, p := range spans {
		late, kind := p.Attributes["rocketmq.schedule.lateness_ms"], p.Kind
		switch p.Name {
		case "schedule orders":
			if d := time.Duration(p.Duration) - 100*time.Microsecond; d != 60*time.Second && d != 10*time.Second || kind != "Internal" {
				t.Errorf("waited %d ns: %+v", p.Duration, p)
			}
		case "fire orders":
			if late != "4" && late != "2" || p.Attributes["messaging.operation.type"] != "" {
				t.Errorf("late by %q: %+v", late, p)
			}
		case "dlq orders":
			if p.Status != "Error" || p.Attributes["messaging.destination.name"] != "%DLQ%billing" || p.Attributes["messaging.consumer.group.name"] != "billing" {
				t.Errorf("%+v", p)
			}
		case "store orders":
			if kind != "Server" || p.Attributes["messaging.destination.name"] != "orders" || p.Attributes["messaging.rocketmq.message.delivery_timestamp"] != fmt.Sprint((at+60_000_000)/1000) {
				t.Errorf("%+v", p)
			}
		}
	}
}

// Hundreds that wait are asked about in parts.
func TestEachCancelOfManyIsTold(t *testing.T) {
	s := open(t, testOptions(t))
	const n = 2*cancelsAtATime + 7
	write(t, s, "t", func(b trail.Sink) {
		for i := range n {
			b.Message(copyOf(i, trail.WheelTopic, int64(1000+i), int64(i), parked("orders", farAway)))
			if i%3 == 0 {
				b.Step(&trail.StoredStep{RecordedMicros: at, Step: trail.Step{Name: trail.StepCancel, AtMicros: at + int64(i), Broker: "broker-a", Place: int64(1000 + i)}})
			}
		}
	})
	m, err := s.Search(context.Background(), trail.Query{Topic: "orders", FromMicros: at, ToMicros: at + later, Limit: 1000})
	if err != nil || len(m.Messages) != n {
		t.Fatalf("%v: %d of %d", err, len(m.Messages), n)
	}
	for i := range m.Messages {
		k := &m.Messages[i]
		j := k.Position - 1000
		if want := map[bool]int64{true: at + j}[j%3 == 0]; k.CancelledMicros != want {
			t.Errorf("place %d was cancelled at %d, want %d", k.Position, k.CancelledMicros, want)
		}
	}
}
