package shard

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/vfs"
)

var popped = delivery.Key{Group: "g", Topic: "orders", QueueID: 1}

func leaseBody(from int64, n int) []byte {
	r := entry.PopLease{Group: "g", Topic: "orders", QueueID: 1, Client: "c", From: from, Next: from + int64(n), PopMillis: 1000 + from, InvisibleMillis: 1000}
	for i := range n {
		r.Offsets = append(r.Offsets, from+int64(i))
	}
	return entry.AppendPopLease(nil, &r)
}

func ackBody(start int64, offsets ...int64) []byte {
	r := entry.PopAcks{Group: "g", Topic: "orders", QueueID: 1, Client: "c", AtMillis: 1500}
	for _, offset := range offsets {
		r.Acks = append(r.Acks, entry.PopAck{Start: start, PopMillis: 1000 + start, Offset: offset})
	}
	return entry.AppendPopAcks(nil, &r)
}

// committed is the group's consumer offset.
func committed(s Stepper) (int64, bool) {
	c, ok := s.Offsets().Get(offset.Key(popped))
	return c.Offset, ok
}

// leasing is a member that has the topic and some leases.
func leasing(t *testing.T, fs vfs.FS) Stepper {
	t.Helper()
	s := stepped(t, fs)
	proposed(t, s, entry.KindTopicPut, topicBody(t, "orders"))
	proposed(t, s, entry.KindPopLease, leaseBody(0, 4))
	proposed(t, s, entry.KindPopLease, leaseBody(4, 4))
	return s
}

// The group's offset follows from leases, acks and revivals; what is in flight is there after a restart.
func TestLeasesLeadTheOffset(t *testing.T) {
	fs := vfs.NewMem()
	s := leasing(t, fs)
	for _, c := range []struct {
		what entry.Kind
		body []byte
		low  int64
	}{
		{entry.KindPopAck, ackBody(0, 1, 3), 0},
		{entry.KindPopAck, ackBody(0, 0), 2},
		{entry.KindPopChange, entry.AppendPopChange(nil, &entry.PopChange{
			Group: "g", Topic: "orders", QueueID: 1, PopAck: entry.PopAck{Start: 0, PopMillis: 1000, Offset: 2}, AtMillis: 1600, InvisibleMillis: 9000,
		}), 2},
		{entry.KindPopRevive, entry.AppendPopRevive(nil, &entry.PopRevive{
			Group: "g", Topic: "orders", QueueID: 1, Start: 4, PopMillis: 1004, AtMillis: 2004, Messages: []entry.Revived{{Offset: 4, To: entry.ToRetry}, {Offset: 5, To: entry.ToNothing}},
		}), 2},
		{entry.KindPopAck, entry.AppendPopAcks(nil, &entry.PopAcks{
			Group: "g", Topic: "orders", QueueID: 1, AtMillis: 9000, Acks: []entry.PopAck{{Start: 2, PopMillis: 1600, Offset: 2}},
		}), 6},
	} {
		proposed(t, s, c.what, c.body)
		if low, ok := committed(s); !ok || low != c.low {
			t.Fatalf("after command %d: the offset is %d, expected %d", c.what, low, c.low)
		}
	}
	want := s.Deliveries().Save()
	s = stepped(t, fs.Kill())
	low, _ := committed(s)
	if st, ok := s.Deliveries().Get(popped); !ok || st.InFlight != 2 || low != 6 || !bytes.Equal(s.Deliveries().Save(), want) {
		t.Fatalf("%+v, offset %d", st, low)
	}
}

// A checkpoint and a replay give the same leases.
func TestLeasesAreInTheCheckpoint(t *testing.T) {
	fs := vfs.NewMem()
	s := leasing(t, fs)
	c, err := s.checkpoint(1).encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := decodeCheckpoint(c)
	if err != nil {
		t.Fatal(err)
	}
	table := delivery.New(0)
	if err := table.Restore(again.Deliveries); err != nil || !bytes.Equal(table.Save(), s.Deliveries().Save()) || table.Counts().InFlight != 8 {
		t.Fatalf("%+v: %v", table.Counts(), err)
	}
	// Who never popped writes nothing, so that members of an older version take its snapshots.
	if b, err := stepped(t, vfs.NewMem()).checkpoint(1).encode(); err != nil || bytes.Contains(b, []byte("deliveries")) || bytes.Contains(b, []byte("txn")) {
		t.Fatalf("%s: %v", b, err)
	}
}

// What a group had in flight goes with the group, with the topic, and when its offset is reset.
func TestLeasesGoWithTheirGroupTopicAndOffset(t *testing.T) {
	for what, c := range map[string]struct {
		kind entry.Kind
		body []byte
	}{
		"group deleted": {entry.KindGroupDelete, []byte("g")},
		"topic deleted": {entry.KindTopicDelete, []byte("orders")},
		"offset reset":  {entry.KindOffsetReset, entry.AppendOffset(nil, &entry.Offset{Group: "g", Topic: "orders", QueueID: 1, Offset: 2})},
	} {
		s := leasing(t, vfs.NewMem())
		proposed(t, s, c.kind, c.body)
		if st, ok := s.Deliveries().Get(popped); ok {
			t.Errorf("%s: %+v", what, st)
		}
	}
}

// What was sent back is remembered until the group's offset passes it.
func TestSentBackUntilTheOffsetPasses(t *testing.T) {
	s := stepped(t, vfs.NewMem())
	proposed(t, s, entry.KindTopicPut, topicBody(t, "orders"))
	commit := func(to int64) {
		proposed(t, s, entry.KindOffsets, entry.AppendOffset(nil, &entry.Offset{Group: "g", Topic: "orders", QueueID: 1, Offset: to}))
	}
	back := func(offset int64) {
		proposed(t, s, entry.KindSentBack, entry.AppendSentBack(nil, &entry.SentBack{Group: "g", Topic: "orders", QueueID: 1, Offset: offset, To: entry.ToRetry}))
	}
	commit(3)
	for _, offset := range []int64{5, 7, 2} {
		back(offset)
	}
	if got := s.Deliveries().SentBackIn(nil, popped, 0, 100); len(got) != 2 {
		t.Fatalf("%v", got)
	}
	commit(6)
	if s.Deliveries().IsSentBack(popped, 5) || !s.Deliveries().IsSentBack(popped, 7) {
		t.Fatal("forgotten too early or too late")
	}
	back(5) // again: the group's offset has passed it, so nothing is remembered
	commit(8)
	if _, ok := s.Deliveries().Get(popped); ok {
		t.Fatal("something is kept")
	}
}

// A lease of what was popped before stops the member: the log contradicts itself.
func TestAVoidLeaseStopsTheMember(t *testing.T) {
	s := leasing(t, vfs.NewMem())
	s.Command(entry.KindPopLease, leaseBody(7, 2))
	for range 5 {
		s.Turn()
		if s.Syncing() {
			s.EndSync()
		}
	}
	if err := s.Failed(); err == nil || !strings.Contains(err.Error(), "from offset 7, those before 8 were popped") {
		t.Fatalf("%v", err)
	}
}

// The leader goes with leases out: the next one knows what is in flight and what was acked, and takes the handles that the old one gave.
func TestLeasesOutliveTheirLeader(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	l := n.led()
	m := n.members[l]
	propose := func(k entry.Kind, body []byte) {
		t.Helper()
		done := m.Command(k, body)
		n.run(2)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	propose(entry.KindTopicPut, topicBody(t, "orders"))
	for i := range int64(100) {
		propose(entry.KindPopLease, leaseBody(32*i, 32))
	}
	propose(entry.KindPopAck, ackBody(32, 33, 40))
	want := m.Deliveries().Save()
	kept := n.stop(l)
	m = n.members[n.led()]
	if !bytes.Equal(m.Deliveries().Save(), want) {
		t.Fatalf("the next leader has %+v", m.Deliveries().Counts())
	}
	again, err := m.Deliveries().CanAck(popped, entry.PopAck{Start: 32, PopMillis: 1032, Offset: 40}, 0)
	if held, err := m.Deliveries().CanAck(popped, entry.PopAck{Start: 32, PopMillis: 1032, Offset: 41}, 0); !again || held || err != nil {
		t.Fatalf("acked %t, in flight %t: %v", again, !held, err)
	}
	if room, err := m.Deliveries().CanPop(popped, 32); err != nil || room.From != 3200 {
		t.Fatalf("%+v: %v", room, err)
	}
	if over, _, _ := m.Deliveries().Due(1<<40, 1000); len(over) != 100 || err != nil {
		t.Fatalf("%d leases are over: %v", len(over), err)
	}
	propose(entry.KindPopAck, ackBody(32, 41))
	n.start(l, kept, 1, 2, 3)
	n.run(50)
	if !bytes.Equal(n.members[l].Deliveries().Save(), m.Deliveries().Save()) {
		t.Fatal("the old leader has other leases")
	}
}

// An ack that is formed while a reset of its queue's offset is on its way would name a lease that the reset takes away, and every member would
// stop. It waits for the reset, and is told that it has no effect.
func TestNothingRestsOnWhatAResetTakesAway(t *testing.T) {
	s := leasing(t, vfs.NewMem())
	said := &delivery.Settle{Ack: entry.PopAck{PopMillis: 1000, Offset: 1}, Client: "c"}
	var ended error
	s.Command(entry.KindOffsetReset, entry.AppendOffset(nil, &entry.Offset{Group: "g", Topic: "orders", QueueID: 1, Offset: 3}))
	s.Submit(&Batch{Deed: s.SettleDeed(popped, func() []*delivery.Settle { return []*delivery.Settle{said} }), Done: func(b *Batch) { ended = b.Err }})
	settle(t, s)
	if !errors.Is(ended, ErrNoEffect) || !errors.Is(said.Err, delivery.ErrSettled) {
		t.Errorf("%v, the ack: %v", ended, said.Err)
	}
	if low, _ := committed(s); low != 3 || s.Failed() != nil {
		t.Errorf("the offset is %d: %v", low, s.Failed())
	}
}

// An ordered queue was popped again, with the attempt of its last pop, while the ack of its only message was on its way: the group's place was
// the same, and the message was given again although it was acknowledged (the simulator, seed 45 of the focus on ordered pops).
func TestWhatWasAcknowledgedMeanwhileIsNotPoppedAgain(t *testing.T) {
	s := stepped(t, vfs.NewMem())
	proposed(t, s, entry.KindTopicPut, topicBody(t, "orders"))
	r := entry.PopLease{Group: "g", Topic: "orders", QueueID: 1, Client: "c", Attempt: "a", Order: true, Next: 1, PopMillis: 1000, InvisibleMillis: 1000, Offsets: []int64{0}}
	proposed(t, s, entry.KindPopLease, entry.AppendPopLease(nil, &r))
	plan, err := s.Deliveries().PlanOrdered(1001, popped, "a", 1)
	if err != nil || len(plan.Again) != 1 {
		t.Fatalf("%+v: %v", plan, err)
	}
	again := r
	again.PopMillis = plan.PopMillis
	planned := []PlannedLease{{&again, s.PopPosition(popped)}}
	proposed(t, s, entry.KindPopAck, ackBody(0, 0))
	var ended error
	s.Submit(&Batch{Deed: s.LeaseDeed(planned), Done: func(b *Batch) { ended = b.Err }})
	settle(t, s)
	if st, _ := s.Deliveries().Get(popped); !errors.Is(ended, ErrPlanOver) || st.InFlight != 0 {
		t.Errorf("%v, %d in flight", ended, st.InFlight)
	}
	if low, _ := committed(s); low != 1 {
		t.Errorf("the offset is %d", low)
	}
}
