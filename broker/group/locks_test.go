package group

import (
	"encoding/json"
	"reflect"
	"testing"
)

func apply(t *testing.T, l *Locks, now, millis int64, client string, queues []QueueRef) []QueueRef {
	t.Helper()
	b, err := json.Marshal(LockRecord{now, millis, "g", client, queues})
	if err == nil {
		err = l.Apply(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l.Held(l.Clock(), "g", client, queues)
}

func TestLocks(t *testing.T) {
	l := NewLocks()
	q := []QueueRef{{"orders", "broker-a", 0}, {"orders", "broker-a", 1}}
	if got := apply(t, l, 0, LockForMillis, "a", q); len(got) != 2 {
		t.Fatal(got)
	}
	if got := apply(t, l, 1, LockForMillis, "b", q); len(got) != 0 {
		t.Fatal("two clients hold one queue", got)
	}
	apply(t, l, 1, 0, "b", q)
	apply(t, l, 1, 0, "a", q[:1])
	if got := apply(t, l, 2, LockForMillis, "b", q); len(got) != 1 {
		t.Fatal(got)
	}
	if got := apply(t, l, LockForMillis+1, LockForMillis, "b", q); len(got) != 2 {
		t.Fatal("an expired lock holds", got)
	}
}

// What is fresh, or another's, needs no record.
func TestLocksThatAreSettled(t *testing.T) {
	l := NewLocks()
	q := []QueueRef{{"orders", "broker-a", 0}}
	if l.Settled(0, LockFreshMillis, "g", "a", q) {
		t.Error("a free queue")
	}
	apply(t, l, 0, LockForMillis, "a", q)
	for now, want := range map[int64]string{0: "a", LockForMillis - 1: "a", LockForMillis: ""} {
		if got := l.Holder(now, "g", q[0]); got != want || l.Holder(now, "other", q[0]) != "" {
			t.Errorf("after %d ms it is held by %q", now, got)
		}
	}
	for now, want := range map[int64]bool{0: true, 20_000: true, 40_000: false} {
		if l.Settled(now, LockFreshMillis, "g", "a", q) != want {
			t.Errorf("after %d ms: %t", now, !want)
		}
	}
	if !l.Settled(40_000, LockFreshMillis, "g", "b", q) || l.Settled(LockForMillis, LockFreshMillis, "g", "b", q) {
		t.Error("for another client")
	}
}

// Locks that nobody renews go, there is a limit of those that are held, and a copy is equal.
func TestLocksAreBounded(t *testing.T) {
	l := NewLocks()
	var queues []QueueRef
	for i := range int32(LocksMax + 10) {
		queues = append(queues, QueueRef{"t", "broker-a", i})
	}
	for range 2 {
		if n := len(apply(t, l, 1000, LockForMillis, "a", queues)); n != LocksMax {
			t.Errorf("%d queues locked", n)
		}
	}
	again := NewLocks()
	again.Restore(l.Save())
	if !reflect.DeepEqual(again.held, l.held) || again.Clock() != l.Clock() {
		t.Error("a copy differs")
	}
	apply(t, l, 1000+LockForMillis+lockPurgeMillis, LockForMillis, "b", queues[:1])
	if n := len(l.held); n != 1 {
		t.Errorf("%d locks are kept", n)
	}
}

// A group is ordered as long as somebody holds one of its queues.
func TestAnyLockOfAGroup(t *testing.T) {
	l := NewLocks()
	apply := func(now, millis int64, group, client string) {
		b, err := json.Marshal(LockRecord{Now: now, For: millis, Group: group, Client: client, Queues: []QueueRef{{Topic: "t", Broker: "b"}}})
		if err == nil {
			err = l.Apply(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	apply(1, 100, "g", "one")
	apply(1, 100, "g", "two") // it is another's
	if !l.Any(50, "g") || l.Any(50, "other") || l.Any(101, "g") {
		t.Error("while it is held")
	}
	clock, all := l.Save()
	l.Reset()
	if l.Any(50, "g") {
		t.Error("after a reset")
	}
	l.Restore(clock, all)
	if apply(60, 0, "g", "two"); !l.Any(61, "g") {
		t.Error("given back by who does not hold it")
	}
	if apply(60, 0, "g", "one"); l.Any(61, "g") || len(l.of) != 0 {
		t.Error("after it was given back")
	}
}
