package shard

import (
	"testing"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/group"
)

var lockedQueues = []group.QueueRef{{Topic: "orders", Broker: "broker-a", QueueID: 0}}

// lock asks the leader, with a record, and says whether the client holds the queue then.
func (n *trio) lock(client string, millis int64) bool {
	n.t.Helper()
	m := n.members[n.leader()]
	done := m.Command(entry.KindQueueLocks, m.LockBody(millis, "g", client, lockedQueues))
	n.run(2)
	if err := <-done; err != nil {
		n.t.Fatal(err)
	}
	return len(m.Locks().Held(m.LockNow(), "g", client, lockedQueues)) > 0
}

// Queue locks died with their leader: the next one gave a queue to a second client at once.
func TestQueueLocksOutliveTheirLeader(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	l := n.led()
	if !n.lock("one", group.LockForMillis) || n.lock("two", group.LockForMillis) {
		t.Fatal("who holds the queue?")
	}
	kept := n.stop(l)
	n.led()
	if n.lock("two", group.LockForMillis) {
		t.Fatal("two clients hold one queue after a failover")
	}
	n.start(l, kept, 1, 2, 3)
	n.run(int(group.LockForMillis / TickEvery.Milliseconds()))
	if !n.lock("two", group.LockForMillis) {
		t.Error("a lock that nobody renewed never ends")
	}
	if n.lock("two", 0) || !n.lock("one", group.LockForMillis) {
		t.Error("what was given back is not free")
	}
	clock, locks := n.members[l].Locks().Save()
	if again, _ := n.members[n.leader()].Locks().Save(); again != clock || len(locks) != 1 || locks[0].Client != "one" {
		t.Errorf("at the one that came back: %v at %d, the leader's clock is %d", locks, clock, again)
	}
}

// A client gave its queues back without waiting for that, and asked again: it was told that it holds them, and then they were free.
func TestAnUnlockOnItsWayIsNotOvertaken(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	n.led()
	n.lock("one", group.LockForMillis)
	m := n.members[n.leader()]
	if !m.LocksSettled(group.LockFreshMillis, "g", "one", lockedQueues) {
		t.Fatal("a fresh lock costs a record")
	}
	m.Command(entry.KindQueueLocks, m.LockBody(0, "g", "one", lockedQueues))
	if m.LocksSettled(group.LockFreshMillis, "g", "one", lockedQueues) {
		t.Error("confirmed while it is being given back")
	}
	n.run(2)
	if m.locking.Load() != 0 {
		t.Errorf("%d records are said to be on their way", m.locking.Load())
	}
}
