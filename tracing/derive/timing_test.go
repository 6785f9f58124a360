package derive_test

import (
	"strconv"
	"testing"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/tracing/derive"
	"github.com/contrailmq/contrail/tracing/derive/derivetest"
	"github.com/contrailmq/contrail/tracing/trail"
)

const due = int64(1_795_000_000_000) // ms

func fire(from, to timer.Cursor, count int64) derivetest.Command {
	return derivetest.Command{Kind: entry.KindTimerFire, Body: entry.AppendTimerFire(nil, from, to, count)}
}

func cancel(place timer.Cursor) derivetest.Command {
	return derivetest.Command{Kind: entry.KindTimerCancel, Body: entry.AppendTimerCancel(nil, place, "shop-7")}
}

// waits are the properties of a parked message.
func waits(topic string, queue int, more ...string) []string {
	return append(more, "REAL_TOPIC", topic, "REAL_QID", strconv.Itoa(queue), "TIMER_OUT_MS", strconv.FormatInt(due, 10))
}

// TestEachCopySaysWhatItIs: rows of the stored copies of a message, as the broker stores them.
func TestEachCopySaysWhatItIs(t *testing.T) {
	retry := []string{"RETRY_TOPIC", "orders", "ORIGIN_MESSAGE_ID", "7F00000100002A9F0000000000000030", "WAIT", "false", "DELAY", "3"}
	span := [2]timer.Cursor{{Due: due - 5000, Pos: 1}, {Due: due, Pos: 99}}
	type row struct {
		timing, realTopic, origin, kind string
		realQueue                       int32
		due                             int64
		to, user, owner                 string
		dead                            bool
	}
	for _, c := range []struct {
		name     string
		commands []derivetest.Command
		message  derivetest.Message
		want     row
	}{
		{"sent", nil, derivetest.Message{Topic: "orders", Producer: 7}, row{kind: derive.TypeNormal, to: "orders", user: "orders"}},
		{"delayed by a level waits", nil, derivetest.Message{Topic: "SCHEDULE_TOPIC_XXXX", Queue: 2, Producer: 7, Properties: waits("orders", 5, "DELAY", "3")},
			row{trail.TimingParked, "orders", "", derive.TypeDelay, 5, due * 1000, "orders", "orders", "", false}},
		{"scheduled waits", nil, derivetest.Message{Topic: "rmq_sys_wheel_timer", Producer: 7, Properties: waits("orders", 0, "TIMER_DELIVER_MS", "1795000000000")},
			row{trail.TimingParked, "orders", "", derive.TypeDelay, 0, due * 1000, "orders", "orders", "", false}},
		{"rolled waits on", nil, derivetest.Message{Topic: "rmq_sys_wheel_timer", Properties: waits("orders", 0, "TIMER_ROLL_TIMES", "2")},
			row{trail.TimingRolled, "orders", "", derive.TypeNormal, 0, due * 1000, "orders", "orders", "", false}},
		{"fired", []derivetest.Command{fire(span[0], span[1], 1)}, derivetest.Message{Topic: "orders", Queue: 5, Properties: waits("orders", 5, "TIMER_DELIVER_MS", "1795000000000")},
			row{trail.TimingFired, "orders", "", derive.TypeDelay, 5, due * 1000, "orders", "orders", "", false}},
		{"sent in the entry of a fire, with another's properties", []derivetest.Command{fire(span[0], span[1], 1)}, derivetest.Message{Topic: "orders", Producer: 7, Properties: waits("orders", 5)},
			row{kind: derive.TypeNormal, to: "orders", user: "orders"}},
		{"of another fire", []derivetest.Command{fire(span[0], timer.Cursor{Due: due - 1}, 1)}, derivetest.Message{Topic: "orders", Properties: waits("orders", 5)},
			row{kind: derive.TypeNormal, to: "orders", user: "orders"}},
		{"a retry waits", nil, derivetest.Message{Topic: "SCHEDULE_TOPIC_XXXX", Retries: 1, Properties: waits("%RETRY%billing", 0, retry...)},
			row{trail.TimingParked, "%RETRY%billing", "orders", derive.TypeNormal, 0, due * 1000, "%RETRY%billing", "orders", "billing", false}},
		{"a retry is fired", []derivetest.Command{fire(span[0], span[1], 1)}, derivetest.Message{Topic: "%RETRY%billing", Retries: 1, Properties: waits("%RETRY%billing", 0, retry...)},
			row{trail.TimingFired, "%RETRY%billing", "orders", derive.TypeNormal, 0, due * 1000, "%RETRY%billing", "orders", "billing", false}},
		{"a dead letter keeps what its last firing left", nil, derivetest.Message{Topic: "%DLQ%billing", Retries: 17, Properties: waits("%RETRY%billing", 0, "RETRY_TOPIC", "orders", "DELAY", "0")},
			row{kind: derive.TypeNormal, origin: "orders", to: "%DLQ%billing", user: "orders", owner: "billing", dead: true}},
		{"parked without a due time", nil, derivetest.Message{Topic: "SCHEDULE_TOPIC_XXXX", Properties: []string{"REAL_TOPIC", "orders", "REAL_QID", "1", "TIMER_OUT_MS", "-3"}},
			row{kind: derive.TypeNormal, to: "SCHEDULE_TOPIC_XXXX", user: "SCHEDULE_TOPIC_XXXX"}},
		{"a consumed retry that was sent on elsewhere", nil, derivetest.Message{Topic: "shipments", Producer: 7, Properties: retry[:2]},
			row{kind: derive.TypeNormal, to: "shipments", user: "shipments"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := derived(t, derive.New(options), derivetest.NewLog().Append(due*1000+4_000, append(c.commands, derivetest.Define(shop)), c.message)).Messages[0]
			got := row{m.Timing, m.RealTopic, m.OriginTopic, m.Type, m.RealQueueID, m.DueMicros, m.Destination(), m.UserTopic(), m.Owner(), m.Dead()}
			if got != c.want {
				t.Errorf("\ngot  %+v\nwant %+v", got, c.want)
			}
			if late := m.LateMicros(); late != map[bool]int64{true: 4_000}[m.Timing == trail.TimingFired] {
				t.Errorf("late by %d µs", late)
			}
		})
	}
}

// TestACopyOfARowSaysNothingOfTheOneBefore: the row is used again.
func TestACopyOfARowSaysNothingOfTheOneBefore(t *testing.T) {
	r := derivetest.NewLog().Append(1, nil, derivetest.Message{Topic: "SCHEDULE_TOPIC_XXXX", Properties: waits("%RETRY%g", 3, "RETRY_TOPIC", "orders")}, derivetest.Message{Topic: "orders"})
	m := derived(t, derive.New(options), r).Messages[1]
	if m.Timing+m.RealTopic+m.OriginTopic != "" || m.RealQueueID != 0 || m.DueMicros != 0 {
		t.Errorf("%+v", m)
	}
}

// TestRetriesWithoutAKeyAreOneMessage: their identity is the offset id of the first copy.
func TestRetriesWithoutAKeyAreOneMessage(t *testing.T) {
	l, d := derivetest.NewLog(), derive.New(options)
	first := derived(t, d, l.Append(1, nil, derivetest.Message{Topic: "orders"})).Messages[0]
	retry := derived(t, d, l.Append(2, nil, derivetest.Message{Topic: "%RETRY%g", Retries: 1, Properties: []string{"ORIGIN_MESSAGE_ID", first.OffsetID}})).Messages[0]
	if retry.ID != first.ID || retry.OffsetID == first.OffsetID {
		t.Errorf("identities %s and %s", first.ID, retry.ID)
	}
}

func TestACancelIsAStepOfAPlace(t *testing.T) {
	r := derivetest.NewLog().Append(77, []derivetest.Command{cancel(timer.Cursor{Due: due, Pos: 4711})})
	got := derived(t, derive.New(options), r).Steps
	want := trail.StoredStep{RecordedMicros: 77, Step: trail.Step{Name: trail.StepCancel, Client: "shop-7", AtMicros: 77, Status: "Ok", Source: "broker", Position: r.Pos, Broker: "broker-a", Place: 4711}}
	if len(got) != 1 || got[0] != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDamagedTimerCommandsAreCounted(t *testing.T) {
	for _, k := range []entry.Kind{entry.KindTimerFire, entry.KindTimerCancel} {
		d, r := derive.New(options), derivetest.NewLog().Append(1, []derivetest.Command{{Kind: k, Body: []byte{1, 2, 3}}})
		if err := d.Record(&r, notes.EntryTimes{}, &derivetest.Rows{}); err == nil || d.Counters().BadEntries != 1 {
			t.Errorf("command %d: %v, %+v", k, err, d.Counters())
		}
	}
}

func TestTimedCopiesDoNotAllocate(t *testing.T) {
	l, d := derivetest.NewLog(), derive.New(options)
	parked := derivetest.Message{Topic: "SCHEDULE_TOPIC_XXXX", ID: "7F00000100002A9F", Properties: waits("%RETRY%billing", 0, "RETRY_TOPIC", "orders", "DELAY", "3")}
	fired := parked
	fired.Topic = "%RETRY%billing"
	commands := []derivetest.Command{fire(timer.Cursor{}, timer.Cursor{Due: due}, 1), cancel(timer.Cursor{Due: due, Pos: 5})}
	derived(t, d, l.Append(1, commands, parked, fired))
	r := l.Append(2, commands, parked, fired, parked, fired)
	if n := testing.AllocsPerRun(100, func() {
		if err := d.Record(&r, notes.EntryTimes{}, discard{}); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for an entry of 4 messages, a fire and a cancel", n)
	}
}

// TestOnlyTheResentCopySaysSo: retries of it have its properties, and so has what somebody consumed and sent on.
func TestOnlyTheResentCopySaysSo(t *testing.T) {
	properties := []string{"RETRY_TOPIC", "orders", "CONTRAIL_RESENT_FROM", "AAAA", "CONTRAIL_RESENT_BY", "li.wei"}
	for _, c := range []struct {
		topic   string
		retries int32
		want    string
	}{{"%RETRY%billing", 0, "AAAA by li.wei"}, {"%RETRY%billing", 1, " by "}, {"%DLQ%billing", 0, " by "}, {"orders", 0, " by "}} {
		m := derived(t, derive.New(options), derivetest.NewLog().Append(1, nil, derivetest.Message{Topic: c.topic, Retries: c.retries, Properties: properties})).Messages[0]
		if got := m.ResentFrom + " by " + m.ResentBy; got != c.want {
			t.Errorf("%s, %d: %q, want %q", c.topic, c.retries, got, c.want)
		}
	}
}
