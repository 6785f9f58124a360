package delivery

import (
	"errors"
	"slices"
	"testing"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
)

// Acks of one client share a record, changes come behind all acks, and what is said twice of a message, or of one that is not in flight by
// its handle, is said so and recorded nowhere.
func TestWhatClientsSayBecomesRecords(t *testing.T) {
	table, k := New(0), Key{"g", "orders", 0}
	lease := entry.PopLease{Group: "g", Topic: "orders", Client: "a", Next: 4, PopMillis: 100, InvisibleMillis: 1000, Offsets: []int64{0, 1, 2, 3}}
	if _, err := table.Lease(&lease); err != nil {
		t.Fatal(err)
	}
	said := func(client string, offset, visible int64) *Settle {
		return &Settle{Ack: entry.PopAck{PopMillis: 100, Offset: offset}, Client: client, VisibleMillis: visible}
	}
	later, never := said("a", 3, 500), said("a", 9, 0)
	reset := said("a", 0, 0)
	reset.Err = ErrSettled
	again := said("b", 1, 0)
	acks, changes := table.Settle(k, 200, 0, []*Settle{later, said("b", 2, 0), never, said("a", 1, 0), said("a", 0, 0), again, reset})
	if len(acks) != 2 || acks[0].Client != "a" || !slices.Equal(acks[0].Acks, []entry.PopAck{{PopMillis: 100}, {PopMillis: 100, Offset: 1}}) || len(acks[1].Acks) != 1 || acks[1].AtMillis != 200 {
		t.Errorf("acks: %+v", acks)
	}
	if len(changes) != 1 || changes[0].Offset != 3 || changes[0].AtMillis != 200 || later.AtMillis != 200 || changes[0].InvisibleMillis != 500 {
		t.Errorf("changes: %+v", changes)
	}
	var refused *Refusal
	if !errors.As(never.Err, &refused) || refused.Code != CodeNoMessage || !errors.Is(again.Err, ErrSettled) {
		t.Errorf("never popped: %v; acked by another client: %v", never.Err, again.Err)
	}
	for i := range acks {
		if _, err := table.Ack(&acks[i]); err != nil {
			t.Error(err)
		}
	}
	if _, err := table.Change(&changes[0]); err != nil {
		t.Error(err)
	}
}

// A message that was retried as often as its group allows, or that its consumer gives up, becomes a dead letter.
func TestWhereAMessageGoesThatIsSentBack(t *testing.T) {
	for _, c := range []struct {
		times, level int32
		to           entry.PopTo
	}{{0, 0, entry.ToRetry}, {2, 0, entry.ToRetry}, {3, 0, entry.ToDeadLetter}, {0, -1, entry.ToDeadLetter}} {
		b := message.Append(nil, &message.Draft{Topic: []byte("orders"), ReconsumeTimes: c.times})
		message.Place(b, 2, 7, 4711, 8)
		v, err := message.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		want := entry.SentBack{Group: "g", Topic: "orders", QueueID: 2, Offset: 7, To: c.to}
		if r := BackOf(v, "g", 3, c.level); r != want {
			t.Errorf("retried %d times, level %d: %+v", c.times, c.level, r)
		}
	}
}

// A copy that a consumer sends itself says how often it was retried, that time included.
func TestWhereACopyGoesThatItsConsumerSends(t *testing.T) {
	for _, c := range []struct {
		times   int32
		ordered bool
		to      entry.PopTo
	}{{1, false, entry.ToRetry}, {3, false, entry.ToRetry}, {4, false, entry.ToDeadLetter}, {1, true, entry.ToDeadLetter}} {
		if to := RouteOwn(c.times, 3, c.ordered); to != c.to {
			t.Errorf("time %d, ordered %t: to %d", c.times, c.ordered, to)
		}
	}
}

// A leader whose clock is behind pops an ordered queue at an earlier time than the one before it. Whoever says again that it acknowledged what
// was popped first is told that it is so, not that its handle is made up (the simulator, seed 135 of the focus on ordered pops).
func TestAckedAgainWhenTheNextPopIsOfAnEarlierTime(t *testing.T) {
	table, k := New(0), Key{"g", "orders", 0}
	pop := func(from, at int64) {
		t.Helper()
		if _, err := table.Lease(&entry.PopLease{Group: "g", Topic: "orders", Client: "c", Order: true, From: from, Next: from + 1, PopMillis: at, InvisibleMillis: 100, Offsets: []int64{from}}); err != nil {
			t.Fatal(err)
		}
	}
	first := entry.PopAck{PopMillis: 2000}
	pop(0, 2000)
	if _, err := table.Ack(&entry.PopAcks{Group: "g", Topic: "orders", AtMillis: 2001, Acks: []entry.PopAck{first}}); err != nil {
		t.Fatal(err)
	}
	pop(1, 1500)
	if again, err := table.CanAck(k, first, 1); !again || err != nil {
		t.Errorf("acknowledged before: again %t, %v", again, err)
	}
	if _, err := table.CanAck(k, entry.PopAck{Start: 1, PopMillis: 2000, Offset: 1}, 1); err == nil {
		t.Error("the message in flight is acknowledged by a handle of a later pop than its own")
	}
}
