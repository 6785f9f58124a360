package consensus

import (
	"errors"
	"math/rand/v2"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/vfs"
)

// The only voter came upon a damaged entry while it read it for a member that learns: raft panicked, and nothing was served any more.
func TestDamageThatRaftComesUponIsTold(t *testing.T) {
	disk, rng := vfs.NewMem(), rand.New(rand.NewPCG(1, 1))
	m := newMember(t, 1, []uint64{1}, disk)
	index := changeMembers(t, m, changeOf(pb.ConfChangeAddLearnerNode, 2))
	for range 5 {
		if err := m.node.Propose(make([]byte, 4000)); err != nil {
			t.Fatal(err)
		}
		m.run(t, rng)
	}
	for range 20 {
		m.run(t, rng)
	}
	if err := disk.Flip("log/000000000001.seg", 6000, 1); err != nil {
		t.Fatal(err)
	}
	from, to, term := uint64(2), uint64(1), m.node.term
	answer := &pb.Message{Type: pb.MsgAppResp.Enum(), From: &from, To: &to, Term: &term, Index: &index}
	if err := m.node.Step(answer); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		m.run(t, rng)
	}
	if damage := new(seglog.CorruptError); !errors.As(m.node.Damage(), &damage) {
		t.Fatal("nothing is said of the damage")
	}
	if m.node.Damage() != nil {
		t.Fatal("it is said twice")
	}
}

// A member that was restarted did not know its term before something was committed.
func TestATermIsKnownFromTheStart(t *testing.T) {
	disk := vfs.NewMem()
	changeMembers(t, newMember(t, 1, []uint64{1}, disk), changeOf(pb.ConfChangeAddLearnerNode, 2))
	if _, term := newMember(t, 1, []uint64{1}, disk.Kill()).node.Leader(); term != 1 {
		t.Fatalf("its term is %d", term)
	}
}
