package shard

import (
	"slices"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/vfs"
)

// stop ends a member; its disk stays.
func (n *trio) stop(id uint64) *vfs.Mem {
	disk := n.disks[id].Kill()
	delete(n.members, id)
	return disk
}

// Two of three nodes lost their disks: they found each other, and went on as an empty group beside the one that had everything.
func TestTwoNodesThatLostTheirDisksFoundNoGroup(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	l := n.led()
	n.members[l].Command(entry.KindTopicPut, topicBody(t, "orders"))
	n.run(10)
	kept := n.stop(1)
	n.stop(2)
	n.stop(3)
	n.start(2, vfs.NewMem(), 1, 2, 3)
	n.start(3, vfs.NewMem(), 1, 2, 3)
	n.run(100)
	if got := n.leader(); got != 0 {
		t.Fatalf("member %d leads an empty group", got)
	}
	n.start(1, kept, 1, 2, 3)
	n.run(100)
	if got := n.leader(); got != 0 {
		t.Fatalf("member %d leads, with two that forgot what they promised", got)
	}
	if n.members[2].Founded() || n.members[3].Founded() || !n.members[1].Founded() {
		t.Error("who takes part?")
	}
}

// One that lost its disk does not count, and the two others go on.
func TestANodeThatLostItsDiskTakesNoPart(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	l := n.led()
	lost := l%3 + 1
	n.stop(lost)
	n.start(lost, vfs.NewMem(), 1, 2, 3)
	n.run(100)
	if n.members[lost].Founded() || n.members[lost].Log().LastIndex() > 0 {
		t.Error("it takes part")
	}
	if n.leader() == 0 {
		t.Error("nobody leads")
	}
}

// A group is founded when all founders were heard, whenever that is and whoever stops meanwhile.
func TestAGroupIsFoundedWhenAllWereHeard(t *testing.T) {
	n := newTrio(t, 1, 2)
	n.run(50)
	if n.leader() != 0 {
		t.Fatal("two of three founded the group")
	}
	n.start(2, n.stop(2), 1, 2, 3)
	n.start(3, vfs.NewMem(), 1, 2, 3)
	n.run(2 * foundingEvery)
	n.start(3, n.stop(3), 1, 2, 3)
	n.led()
	n.run(10)
	for id, m := range n.members {
		if !m.Founded() {
			t.Errorf("member %d takes no part", id)
		}
	}
	kept := n.stop(1)
	n.led()
	n.start(1, kept, 1, 2, 3)
	n.run(50)
	if l := n.leader(); n.members[1].Applied() != n.members[l].Applied() {
		t.Error("who was there before is not let in again")
	}
}

// A new node whose settings do not name the founders takes itself for one. It began with other members than the group did.
func TestANodeThatIsAddedIsNoFounder(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	n.led()
	n.run(10)
	n.start(4, vfs.NewMem(), 1, 2, 3, 4)
	n.run(20)
	m := n.members[4]
	if !m.Founded() || !slices.Equal(m.conf.GetVoters(), []uint64{1, 2, 3}) {
		t.Fatalf("founded %t, voters %v", m.Founded(), m.conf.GetVoters())
	}
	n.start(4, n.stop(4), 1, 2, 3, 4)
	n.run(50)
	if m = n.members[4]; !slices.Equal(m.conf.GetVoters(), []uint64{1, 2, 3}) || m.Status().Lead != 0 {
		t.Fatalf("after a restart: voters %v, leader %d", m.conf.GetVoters(), m.Status().Lead)
	}
}

// Leads stayed true after Close.
func TestWhoIsClosedLeadsNoMore(t *testing.T) {
	s := open(t, vfs.NewMem())
	putTopic(t, s, "orders") // a turn later it says that it leads
	for range 100 {
		if s.Leads() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !s.Leads() {
		t.Fatal("it does not lead")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.Leads() {
		t.Error("it leads, and is closed")
	}
}
