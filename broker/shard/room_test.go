package shard

import "testing"

// A leader with a full disk refused sends for as long as it led, though others had room.
func TestALeaderWithoutRoomHandsOver(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	first := n.led()
	n.run(2 * roomEvery)
	n.disks[first].Capacity = n.disks[first].Used()
	n.run(handOverMin + 2*roomEvery)
	second := n.leader()
	if second == first || second == 0 {
		t.Fatalf("member %d led without room, now %d", first, second)
	}
	if st := n.members[second].Status(); st.CanLead(first) {
		t.Error("the office may go back to the one that is full")
	}
	for id, disk := range n.disks { // now nobody has any: nobody moves
		if id != first {
			disk.Capacity = disk.Used()
		}
	}
	n.run(2 * roomEvery)
	last, term := n.leader(), n.members[second].Status().Term
	n.run(4 * handOverMin)
	if n.leader() != last || n.members[second].Status().Term != term {
		t.Errorf("all are full, and the office went from %d (term %d) to %d", last, term, n.leader())
	}
	n.disks[first].Capacity = 0
	n.run(handOverMin + 2*roomEvery)
	if n.leader() != first {
		t.Errorf("member %d has room and %d leads", first, n.leader())
	}
}
