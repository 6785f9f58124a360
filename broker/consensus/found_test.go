package consensus

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/vfs"
)

// Each test here is a mistake that the simulator found in this package or in how it uses raft, made small.

// raft panics when its storage cannot be read or its log contradicts it: that is this member's end, not the process's.
func TestRaftsPanicEndsTheMemberOnly(t *testing.T) {
	m := newMember(t, 1, []uint64{1}, vfs.NewMem())
	if err := m.node.guarded(func() error { panic("tocommit is out of range") }); err == nil {
		t.Fatal("a panic of raft is no error")
	}
	if _, err := m.node.Process(nil); err == nil {
		t.Fatal("the member goes on")
	}
}

func changeOf(what pb.ConfChangeType, id uint64) *pb.ConfChangeV2 {
	return &pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{Type: &what, NodeId: &id}}}
}

// changeMembers proposes a change to a member that leads, and applies it there.
func changeMembers(t *testing.T, m *member, cc *pb.ConfChangeV2) uint64 {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	if err := m.node.Campaign(); err != nil {
		t.Fatal(err)
	}
	m.run(t, rng)
	if err := m.node.ProposeConf(cc); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		m.run(t, rng)
	}
	last := m.applied[len(m.applied)-1]
	if last.Type == pb.EntryNormal {
		t.Fatal("the change was not applied")
	}
	m.node.ApplyConfChange(cc)
	for range 20 {
		m.run(t, rng)
	}
	return last.Index
}

// Members that were restarted counted by the members of their last checkpoint: it was not written down that a change was committed.
func TestACommittedChangeOfMembersIsWrittenDown(t *testing.T) {
	disk := vfs.NewMem()
	m := newMember(t, 1, []uint64{1}, disk)
	index := changeMembers(t, m, changeOf(pb.ConfChangeAddLearnerNode, 2))
	log, err := seglog.Open(disk.Kill(), "log", seglog.Options{SegmentBytes: seglog.SegmentBytesMin, Foreground: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if got := log.HardState().Commit; got < index {
		t.Fatalf("after a restart entry %d is known to be committed, the change is entry %d", got, index)
	}
}

// A leader that was removed refused everything and led on, so that nobody else could.
func TestARemovedLeaderStepsDown(t *testing.T) {
	m := newMember(t, 1, []uint64{1}, vfs.NewMem())
	changeMembers(t, m, changeOf(pb.ConfChangeAddLearnerNode, 2))
	demote := changeOf(pb.ConfChangeAddLearnerNode, 1)
	demote.Changes = append(demote.Changes, changeOf(pb.ConfChangeAddNode, 2).Changes...)
	if err := m.node.ProposeConf(demote); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(2, 2))
	for range 20 {
		m.run(t, rng)
	}
	explicit := pb.ConfChangeTransitionJointExplicit
	demote.Transition = &explicit
	m.node.ApplyConfChange(demote)
	m.node.ApplyConfChange(&pb.ConfChangeV2{})
	for range 20 {
		m.run(t, rng)
	}
	if leads, _ := m.node.Leader(); leads {
		t.Fatal("it leads a group that it is no voter of")
	}
}

// A read error of the storage is this member's end, with its cause.
func TestAReadErrorIsSaidAsTheCause(t *testing.T) {
	m, broken := newMember(t, 1, []uint64{1}, vfs.NewMem()), errors.New("input/output error")
	err := m.node.guarded(func() error {
		_ = m.node.storage.unread(broken)
		panic("unexpected error")
	})
	if !errors.Is(err, broken) {
		t.Fatalf("the cause is %v", err)
	}
}

// A disk failed in the middle of a batch that held a change of members and said that it was committed: the change was there afterwards,
// and that it was committed was not. Seed 659 found it: the member was elected by those who had been members before.
func TestAChangeIsNeverThereWithoutWhatIsKnownOfIt(t *testing.T) {
	disk, full := vfs.NewMem(), false
	log, err := seglog.Open(&vfs.Fault{FS: disk, Hook: func(op vfs.Op, _ string) error {
		if full && op == vfs.OpCreate {
			return vfs.ErrNoSpace
		}
		return nil
	}}, "log", seglog.Options{SegmentBytes: seglog.SegmentBytesMin, Foreground: true})
	if err != nil {
		t.Fatal(err)
	}
	node, err := New(Options{
		ID: 2, ConfState: &pb.ConfState{Voters: []uint64{1, 2, 3}}, Log: log, Durable: true, Logger: slog.New(slog.DiscardHandler),
		Send: func([]*pb.Message) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	full = true
	term, from, to, zero, commit := uint64(1), uint64(1), uint64(2), uint64(0), uint64(5)
	batch := []*pb.Entry{newEntry(1, 1, pb.EntryConfChangeV2, nil)}
	for i := range uint64(4) {
		batch = append(batch, newEntry(i+2, 1, pb.EntryNormal, make([]byte, 30_000)))
	}
	m := &pb.Message{Type: pb.MsgApp.Enum(), From: &from, To: &to, Term: &term, Index: &zero, LogTerm: &zero, Commit: &commit, Entries: batch}
	if err := node.Step(m); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = node.Process(func(Committed) error { return nil })
	}
	if !errors.Is(err, vfs.ErrNoSpace) {
		t.Fatal(err)
	}
	again, err := seglog.Open(disk.Kill(), "log", seglog.Options{SegmentBytes: seglog.SegmentBytesMin, Foreground: true})
	if err != nil {
		t.Fatal(err)
	}
	if again.LastIndex() == 0 || again.HardState().Commit == 0 {
		t.Fatalf("entries up to %d are there, committed up to %d", again.LastIndex(), again.HardState().Commit)
	}
}

// Raft reads the term of the log's last entry when it begins: damage there, in a sealed segment, ended the process (seed 2042333).
func TestDamageWhereRaftBeginsIsSaid(t *testing.T) {
	disk := vfs.NewMem()
	options := seglog.Options{SegmentBytes: seglog.SegmentBytesMin, Foreground: true, Log: slog.New(slog.DiscardHandler)}
	log, err := seglog.Open(disk, "log", options)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3) {
		if _, err := log.Append(seglog.Entry{Index: i + 1, Term: 1, Data: make([]byte, 500)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(log.Roll(), log.Close(), disk.Remove("log/000000000001.ent"), disk.Flip("log/000000000001.seg", 500, 1)); err != nil {
		t.Fatal(err)
	}
	if log, err = seglog.Open(disk, "log", options); err != nil {
		t.Fatal(err)
	}
	_, err = New(Options{ID: 1, ConfState: &pb.ConfState{Voters: []uint64{1, 2, 3}}, Log: log, Logger: slog.New(slog.DiscardHandler), Durable: true})
	var damage *seglog.CorruptError
	if !errors.As(err, &damage) {
		t.Fatalf("%v", err)
	}
}

// A leader whose newest snapshot did not know a learner gave it to nobody: a follower that it did know, and without which there was no
// majority to have a newer one made, never got it (seed 402529).
func TestASnapshotIsForThoseWhomItKnows(t *testing.T) {
	to := func(id uint64) *pb.Message {
		conf := &pb.ConfState{Voters: []uint64{1, 2, 3}, Learners: []uint64{5}}
		return &pb.Message{Type: pb.MsgSnap.Enum(), To: &id, Snapshot: &pb.Snapshot{Metadata: &pb.SnapshotMetadata{ConfState: conf}}}
	}
	for id, want := range map[uint64]bool{2: false, 4: true, 5: false} {
		if got := foreign(to(id)); got != want {
			t.Errorf("for member %d: %v", id, got)
		}
	}
}
