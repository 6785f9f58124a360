package derive_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/notes"
	"github.com/contrailmq/contrail/tracing/derive"
	"github.com/contrailmq/contrail/tracing/derive/derivetest"
	"github.com/contrailmq/contrail/tracing/trail"
)

var options = derive.Options{Broker: "broker-a", Node: "node-1"}

var shop = entry.Producer{Ref: 7, Group: "shop", ClientID: "10.0.0.7@1", Addr: "10.0.0.7:40123", Language: "JAVA", Version: "V5_5_0", Protocol: "remoting"}

// derived gives the rows of records without times.
func derived(t testing.TB, d *derive.Deriver, records ...entry.Record) *derivetest.Rows {
	t.Helper()
	rows := &derivetest.Rows{}
	for i := range records {
		if err := d.Record(&records[i], notes.EntryTimes{}, rows); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

func deliver(d *derive.Deriver, group string, from, to int64) trail.StoredDelivery {
	rows := &derivetest.Rows{}
	d.Note(&notes.Note{Kind: notes.KindDelivery, Delivery: notes.Delivery{Topic: "orders", Group: group, QueueID: 2, From: from, To: to, SentMicros: 5}}, rows)
	return rows.Deliveries[0]
}

func commit(group string, offset int64) entry.Offset {
	return entry.Offset{Group: group, Topic: "orders", QueueID: 2, Offset: offset, Client: "c1", AtMicros: 99}
}

func TestAMessageRowSaysWhatTheLogSays(t *testing.T) {
	l := derivetest.NewLog()
	l.Append(1, nil, derivetest.Message{Topic: "orders", Queue: 2})
	r := l.Append(2_000_000, []derivetest.Command{derivetest.Define(shop)}, derivetest.Message{
		Topic: "orders", Queue: 2, ID: "7F000001", Tag: "paid", Keys: "order-1 order-2", Body: []byte("hello"), Retries: 1, Producer: 7,
		BornMillis: 1_999, WaitedMicros: 300,
		Properties: []string{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "ORIGIN_MESSAGE_ID", "AAAA", "__SHARDINGKEY", "k"},
	})
	rows := &derivetest.Rows{}
	times := notes.EntryTimes{Index: 2, SyncedMicros: 2_000_100, CommittedMicros: 2_000_150, AckedMicros: 2_000_200, Slowest: 3}
	if err := derive.New(options).Record(&r, times, rows); err != nil {
		t.Fatal(err)
	}
	got := rows.Messages[0]
	want := trail.StoredMessage{Carrier: trail.CarrierW3C, StoreKey: "7F00000100002A9F", Message: trail.Message{
		ID: "7F000001", OffsetID: got.OffsetID, Topic: "orders", Tag: "paid", Keys: []string{"order-1", "order-2"}, Type: derive.TypeFIFO,
		QueueID: 2, QueueOffset: 1, Position: got.Position, Index: 2, Term: 1, StoredBytes: got.StoredBytes, BodyBytes: 5, ReconsumeTimes: 1,
		ProducerGroup: "shop", ProducerClient: "10.0.0.7@1", ProducerAddr: "10.0.0.7:40123", Language: "JAVA", Version: "V5_5_0",
		Protocol: "remoting", Broker: "broker-a", Node: "node-1", BornMicros: 1_999_000, ReceivedMicros: 1_999_700,
		AppendedMicros: 2_000_000, SyncedMicros: 2_000_100, AckedMicros: 2_000_200, CommittedMicros: 2_000_150, Slowest: 3, OriginID: "AAAA",
		TraceIn: "4bf92f3577b34da6a3ce929d0e0e4736", ParentIn: "00f067aa0ba902b7", TraceFlags: 1,
	}}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	if !strings.HasPrefix(got.OffsetID, got.StoreKey) || len(got.OffsetID) != 32 || got.Position <= r.Pos {
		t.Fatalf("offset id %s, position %d in entry at %d", got.OffsetID, got.Position, r.Pos)
	}
}

func TestWhatAMessageDoesNotSayStaysEmpty(t *testing.T) {
	l := derivetest.NewLog()
	got := derived(t, derive.New(options), l.Append(5_000, nil, derivetest.Message{Topic: "orders", Producer: 99, WaitedMicros: 1<<32 - 1})).Messages[0]
	if got.ID != got.OffsetID {
		t.Errorf("identity %q, want the offset message id %q", got.ID, got.OffsetID)
	}
	if got.ProducerGroup+got.ProducerClient+got.Language+got.TraceIn+got.ParentIn+got.OriginID != "" || got.SyncedMicros != 0 || got.AckedMicros != 0 || got.ReceivedMicros != 0 {
		t.Errorf("something was guessed: %+v", got)
	}
	if got.ProducerAddr != derivetest.BornHost.String() {
		t.Errorf("address %q, the message says %s", got.ProducerAddr, derivetest.BornHost)
	}
}

func TestTypesOfMessages(t *testing.T) {
	for _, c := range []struct {
		want    string
		sysFlag int32
		props   []string
	}{
		{derive.TypeNormal, 0, nil},
		{derive.TypeNormal, 0, []string{"DELAY", "0"}},
		{derive.TypeDelay, 0, []string{"DELAY", "3"}},
		{derive.TypeDelay, 0, []string{"TIMER_DELIVER_MS", "1", "__SHARDINGKEY", "k"}},
		{derive.TypeFIFO, 0, []string{"__SHARDINGKEY", "k"}},
		{derive.TypeTransaction, 0x8, nil},
		{derive.TypeTransaction, 0, []string{"TRAN_MSG", "true", "DELAY", "1"}},
	} {
		got := derived(t, derive.New(options), derivetest.NewLog().Append(1, nil, derivetest.Message{Topic: "t", SysFlag: c.sysFlag, Properties: c.props}))
		if got.Messages[0].Type != c.want {
			t.Errorf("%v, flags %#x: %s, want %s", c.props, c.sysFlag, got.Messages[0].Type, c.want)
		}
	}
}

func TestACommitSettlesFromTheCommitBefore(t *testing.T) {
	l, d := derivetest.NewLog(), derive.New(options)
	got := derived(t, d, l.Append(1, []derivetest.Command{derivetest.Commit(commit("g", 10))}), l.Append(2, []derivetest.Command{derivetest.Commit(commit("g", 32), commit("g", 32))}))
	if n := len(got.Settlements); n != 2 {
		t.Fatalf("%d settlements, want 2: the third changes nothing", n)
	}
	first, second := got.Settlements[0], got.Settlements[1]
	if first.From != -1 || first.To != 10 || first.Outcome != derive.OutcomeAcknowledged {
		t.Errorf("first %+v: where the group began is not known", first)
	}
	if second.From != 10 || second.To != 32 || second.Client != "c1" || second.AtMicros != 99 || second.Node != "node-1" {
		t.Errorf("second %+v", second)
	}
}

func TestTheFirstCommitBeginsWhereTheFirstDeliveryBegan(t *testing.T) {
	l, d := derivetest.NewLog(), derive.New(options)
	deliver(d, "g", 4, 8)
	got := derived(t, d, l.Append(1, []derivetest.Command{derivetest.Commit(commit("g", 8))})).Settlements[0]
	if got.From != 4 || got.To != 8 {
		t.Errorf("%+v", got)
	}
}

func TestResetsAndStepsBackAreNoAcknowledgements(t *testing.T) {
	l, d := derivetest.NewLog(), derive.New(options)
	got := derived(t, d,
		l.Append(1, []derivetest.Command{derivetest.Commit(commit("g", 10))}),
		l.Append(2, []derivetest.Command{derivetest.Reset(commit("g", 50))}),
		l.Append(3, []derivetest.Command{derivetest.Reset(commit("g", 20))}),
		l.Append(4, []derivetest.Command{derivetest.Commit(commit("g", 60))}),
		l.Append(5, []derivetest.Command{derivetest.Commit(commit("g", 30))}),
	).Settlements
	for i, want := range []struct {
		outcome         string
		from, to, again int64
	}{
		{derive.OutcomeAcknowledged, -1, 10, -1}, {derive.OutcomeReset, 10, 50, 10}, {derive.OutcomeRewound, 20, 20, 20},
		{derive.OutcomeAcknowledged, 20, 60, 50}, {derive.OutcomeRewound, 30, 30, 30},
	} {
		s := got[i]
		if s.Outcome != want.outcome || s.From != want.from || s.To != want.to || s.AgainTo != want.again {
			t.Errorf("%d: %s %d..%d again to %d, want %+v", i, s.Outcome, s.From, s.To, s.AgainTo, want)
		}
	}
}

func TestASecondDeliveryIsToldApart(t *testing.T) {
	d := derive.New(options)
	for i, c := range []struct{ from, to, again int64 }{{0, 4, 0}, {4, 8, 4}, {6, 12, 8}, {0, 3, 3}, {20, 24, 20}} {
		if got := deliver(d, "g", c.from, c.to); got.AgainTo != c.again {
			t.Errorf("%d: [%d,%d) again to %d, want %d", i, c.from, c.to, got.AgainTo, c.again)
		}
	}
	if got := deliver(d, "other", 0, 4); got.AgainTo != 0 {
		t.Errorf("another group's first delivery again to %d", got.AgainTo)
	}
}

func TestAJumpInAQueueIsALoss(t *testing.T) {
	l, d := derivetest.NewLog(), derive.New(options)
	var all []entry.Record
	for i := range 6 {
		all = append(all, l.Append(int64(10*i), nil, derivetest.Message{Topic: "orders"}, derivetest.Message{Topic: "other", Queue: int32(i % 2)}))
	}
	derived(t, d, all[0], all[1], all[4], all[5])
	want := []derive.Loss{{Topic: "orders", Messages: 2, FromMicros: 10, ToMicros: 40}, {Topic: "other", Messages: 2, FromMicros: 0, ToMicros: 50}}
	if got := d.TakeLosses(); !reflect.DeepEqual(got, want) {
		t.Errorf("losses %+v, want %+v", got, want)
	}
	if got := d.TakeLosses(); got != nil {
		t.Errorf("again: %+v", got)
	}
}

func TestATopicMadeAnewBeginsAtZeroWithoutLoss(t *testing.T) {
	l, d := derivetest.NewLog(), derive.New(options)
	derived(t, d, l.Append(1, nil, derivetest.Message{Topic: "orders"}, derivetest.Message{Topic: "orders"}),
		l.Append(2, []derivetest.Command{{Kind: entry.KindTopicDelete, Body: []byte("orders")}}),
		derivetest.NewLog().Append(3, nil, derivetest.Message{Topic: "orders"}))
	if got := d.TakeLosses(); got != nil {
		t.Errorf("losses %+v", got)
	}
}

func TestDamagedEntriesAreCountedAndLeftBehind(t *testing.T) {
	l, d := derivetest.NewLog(), derive.New(options)
	good := l.Append(1, nil, derivetest.Message{Topic: "orders", ID: "A"}, derivetest.Message{Topic: "orders", ID: "B"})
	cut := good
	cut.Data = append([]byte(nil), good.Data...)
	cut.Data[len(cut.Data)-len("UNIQ_KEY\x01B\x02")-1] = 0xFF // the length of the last message's properties
	rows := &derivetest.Rows{}
	for _, bad := range []entry.Record{cut, l.Raw([]byte{9, 9}), l.Raw(make([]byte, 30))} {
		if err := d.Record(&bad, notes.EntryTimes{}, rows); err == nil {
			t.Errorf("entry %d was derived", bad.Index)
		}
	}
	if len(rows.Messages) != 1 || rows.Messages[0].ID != "A" || d.Counters().BadEntries != 3 {
		t.Errorf("%d messages, %+v", len(rows.Messages), d.Counters())
	}
	if got := derived(t, d, good); len(got.Messages) != 2 {
		t.Errorf("%d messages after damage", len(got.Messages))
	}
}

func TestHappeningsKeepWhatTheNoteSays(t *testing.T) {
	rows := &derivetest.Rows{}
	derive.New(options).Note(&notes.Note{Kind: notes.KindHappening, Happening: notes.Happening{
		AtMicros: 4, Kind: "rebalance", Group: "g", Client: "c", Addr: "a", Text: "t", Count: 3, Detail: map[string]string{"k": "v"},
	}}, rows)
	want := []trail.Happening{{AtMicros: 4, Kind: "rebalance", Group: "g", Client: "c", Addr: "a", Node: "node-1", Text: "t", Count: 3, Detail: map[string]string{"k": "v"}}}
	if !reflect.DeepEqual(rows.Happenings, want) {
		t.Errorf("%+v", rows.Happenings)
	}
}

func TestAMessageDoesNotAllocate(t *testing.T) {
	l, d := derivetest.NewLog(), derive.New(options)
	m := derivetest.Message{Topic: "orders", ID: "7F00000100002A9F", Tag: "paid", Keys: "a b", Body: []byte("x"), Producer: 7,
		Properties: []string{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}
	first := l.Append(1, []derivetest.Command{derivetest.Define(shop)}, m)
	derived(t, d, first)
	r := l.Append(2, nil, m, m, m, m)
	if n := testing.AllocsPerRun(100, func() {
		if err := d.Record(&r, notes.EntryTimes{}, discard{}); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for an entry of 4 messages", n)
	}
}

type discard struct{}

func (discard) Message(*trail.StoredMessage)       {}
func (discard) Delivery(*trail.StoredDelivery)     {}
func (discard) Settlement(*trail.StoredSettlement) {}
func (discard) Step(*trail.StoredStep)             {}
func (discard) Happening(*trail.Happening)         {}

// Whoever saves and restores at any point derives what one that never stopped derives.
func TestStateSurvivesARestartAtAnyPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := derivetest.NewLog()
		steady, restarted := derive.New(options), derive.New(options)
		rowsA, rowsB := &derivetest.Rows{}, &derivetest.Rows{}
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				var err error
				if restarted, err = derive.Restore(options, restarted.Save(nil)); err != nil {
					t.Fatal(err)
				}
			case 1:
				from := rapid.Int64Range(0, 20).Draw(t, "from")
				n := notes.Note{Kind: notes.KindDelivery, Delivery: notes.Delivery{Topic: "orders", Group: "g", QueueID: 2, From: from, To: from + 3}}
				steady.Note(&n, rowsA)
				restarted.Note(&n, rowsB)
			default:
				r := l.Append(int64(i), randomCommands(t), randomMessages(t)...)
				if rapid.Float64().Draw(t, "lost") < 0.1 {
					continue
				}
				a, b := steady.Record(&r, notes.EntryTimes{}, rowsA), restarted.Record(&r, notes.EntryTimes{}, rowsB)
				if a != nil || b != nil {
					t.Fatal(a, b)
				}
			}
		}
		if !reflect.DeepEqual(rowsA, rowsB) {
			t.Fatalf("rows differ:\n%+v\n%+v", rowsA, rowsB)
		}
		if a, b := steady.TakeLosses(), restarted.TakeLosses(); len(a) < len(b) {
			t.Fatalf("losses %+v, restarted %+v", a, b)
		}
	})
}

func randomCommands(t *rapid.T) (all []derivetest.Command) {
	for range rapid.IntRange(0, 2).Draw(t, "commands") {
		o := commit("g", rapid.Int64Range(0, 20).Draw(t, "offset"))
		switch rapid.IntRange(0, 2).Draw(t, "command") {
		case 0:
			p := shop
			p.Ref, p.Group = uint32(rapid.IntRange(1, 3).Draw(t, "ref")), rapid.StringMatching(`[a-c]`).Draw(t, "producer")
			all = append(all, derivetest.Define(p))
		case 1:
			all = append(all, derivetest.Commit(o))
		case 2:
			all = append(all, derivetest.Reset(o))
		}
	}
	return all
}

func randomMessages(t *rapid.T) (all []derivetest.Message) {
	for range rapid.IntRange(0, 3).Draw(t, "messages") {
		m := derivetest.Message{Topic: "orders", Queue: 2, ID: rapid.StringMatching(`[A-F]{4}`).Draw(t, "id"), Producer: uint32(rapid.IntRange(1, 3).Draw(t, "ref"))}
		if rapid.Bool().Draw(t, "reports") {
			m.Topic, m.Body = derive.TraceTopic, []byte(rapid.SampledFrom([]string{
				"SubBefore\x0112\x01r\x01billing\x01req\x01AA\x011\x01k\x02", "SubAfter\x01req\x01AA\x017\x01true\x01k\x010\x01\x02",
			}).Draw(t, "report"))
		}
		all = append(all, m)
	}
	return all
}

func FuzzRestore(f *testing.F) {
	d := derive.New(options)
	l := derivetest.NewLog()
	derived(f, d, l.Append(1, []derivetest.Command{derivetest.Define(shop), derivetest.Commit(commit("g", 3))}, derivetest.Message{Topic: "orders"}))
	deliver(d, "g", 0, 3)
	f.Add(d.Save(nil))
	f.Add([]byte{1})
	f.Add([]byte{1, 0, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F})
	f.Fuzz(func(t *testing.T, state []byte) {
		d, err := derive.Restore(options, state)
		if err != nil {
			if !errors.Is(err, derive.ErrState) {
				t.Fatalf("error %v is no ErrState", err)
			}
			return
		}
		if _, err := derive.Restore(options, d.Save(nil)); err != nil {
			t.Fatalf("what was restored cannot be saved: %v", err)
		}
	})
}
