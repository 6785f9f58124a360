package shard

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/vfs"
)

// Each test here is a mistake that the simulator found in this package, made small.

func stepped(t *testing.T, fs vfs.FS, voters ...uint64) Stepper {
	t.Helper()
	s, err := OpenStepped(Options{
		FS: fs, Dir: "data", ID: 1, Voters: voters, SegmentBytes: seglog.SegmentBytesMin, Durable: true, Log: slog.New(slog.DiscardHandler),
		Now: time.Now, Send: func([]*pb.Message) {}, Aside: func(uint64, AsideKind, []byte) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	return s
}

// settle ends all syncs until nothing more is to be done.
func settle(t *testing.T, s Stepper) {
	t.Helper()
	for range 20 {
		s.Turn()
		if s.Syncing() {
			s.EndSync()
		}
	}
	if err := s.Failed(); err != nil {
		t.Fatal(err)
	}
}

// fill stores so many messages that several segments are sealed.
func fill(t *testing.T, s Stepper) {
	t.Helper()
	s.Command(entry.KindTopicPut, topicBody(t, "orders"))
	settle(t, s)
	topic, rng := s.Index().Lookup("orders"), rand.New(rand.NewPCG(1, 1))
	for range 20 {
		s.Submit(batch(topic, nil, 30, rng, func(*Batch) {}))
		settle(t, s)
	}
	for s.Seals() {
		s.Seal()
	}
	if n := len(s.Log().Segments()); n < 4 {
		t.Fatalf("%d segments", n)
	}
}

func topicBody(t *testing.T, name string) []byte {
	t.Helper()
	body, err := json.Marshal(catalog.NewTopic(name, 4))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// A topic is deleted and made again while messages for the old one wait: they came to stand behind the deletion with the old one's
// offsets, and no member could apply them. Offsets committed in the old one passed to the new one.
func TestNothingOfADeletedTopicStandsBehindItsDeletion(t *testing.T) {
	s := stepped(t, vfs.NewMem())
	rng := rand.New(rand.NewPCG(1, 1))
	s.Command(entry.KindTopicPut, topicBody(t, "orders"))
	settle(t, s)
	e, _ := s.Catalog().Topic("orders")
	old := s.Index().Topic("orders", e.CreatedPos)
	s.Submit(batch(old, nil, 20, rng, func(*Batch) {}))
	settle(t, s)
	_, end, _ := old.Queue(1).Bounds()
	s.NoteOffset(&entry.Offset{Group: "g", Topic: "orders", QueueID: 1, Offset: end})
	s.Command(entry.KindTopicDelete, []byte("orders"))
	s.Command(entry.KindTopicPut, topicBody(t, "orders"))
	late := batch(old, nil, 5, rng, func(*Batch) {})
	s.Submit(late)
	settle(t, s)
	for i := range late.Items {
		if !late.Items[i].Gone {
			t.Fatalf("a message for the old topic got offset %d", late.Items[i].Offset)
		}
	}
	if c, ok := s.Offsets().Get(offset.Key{Group: "g", Topic: "orders", QueueID: 1}); ok {
		t.Fatalf("the new topic has the old one's commit %d", c.Offset)
	}
}

// Raft ended a change of several members with an entry of its own; the loop took its place for that of a send, and answered it.
func TestChangesOfSeveralMembersAreEndedByTheLoop(t *testing.T) {
	cc := &pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{}, {}}}
	byHand(cc)
	if auto, joint := cc.EnterJoint(); auto || !joint {
		t.Fatalf("joint %t, ended by raft %t", joint, auto)
	}
}

// Who asked for a queue made it, on one member alone; that member's state was then taken for a wrong one.
func TestLookingAtAQueueIsNoState(t *testing.T) {
	s := stepped(t, vfs.NewMem())
	s.Command(entry.KindTopicPut, topicBody(t, "orders"))
	settle(t, s)
	before := encodeMark(1, s.checkpoint(1).hashes())
	e, _ := s.Catalog().Topic("orders")
	s.Index().Topic("orders", e.CreatedPos).Queue(3)
	if after := encodeMark(1, s.checkpoint(1).hashes()); !bytes.Equal(before, after) {
		t.Fatal("the state differs after a look at a queue")
	}
}

// A checkpoint held the time of the newest entry that was formed, which only its leader knows.
func TestACheckpointKnowsAppliedTimesOnly(t *testing.T) {
	s := stepped(t, vfs.NewMem())
	s.lastMicros = s.appliedMicros + 1_000_000
	if c := s.checkpoint(1); c.LastMicros != s.appliedMicros {
		t.Fatalf("the checkpoint says %d, the newest applied entry %d", c.LastMicros, s.appliedMicros)
	}
}

// A member without its log refused appends, the leader said them again at once, and both were busy for ever.
func TestAMemberWithoutItsLogIsNotDrawnIntoAppends(t *testing.T) {
	s := stepped(t, vfs.NewMem(), 1, 2, 3)
	s.promise = &promise{Index: 100}
	index := uint64(90)
	if !s.promised(&pb.Message{Type: pb.MsgApp.Enum(), Index: &index}) {
		t.Fatal("an append behind entries that are lost is answered")
	}
	if !s.promised(&pb.Message{Type: pb.MsgVote.Enum()}) {
		t.Fatal("it votes")
	}
}

// A repair failed half-way on a full disk, and a checkpoint that waited was written into the folder of the new, empty log.
func TestARepairThatFailsLeavesNoCheckpoint(t *testing.T) {
	full := false
	disk := vfs.NewMem()
	s := stepped(t, &vfs.Fault{FS: disk, Hook: func(op vfs.Op, _ string) error {
		if full && op == vfs.OpAllocate {
			return vfs.ErrNoSpace
		}
		return nil
	}}, 1, 2, 3)
	s.applied.Store(5)
	waiting := sealJob{1, s.checkpoint(1), s.life}
	full = true
	s.fail(&seglog.CorruptError{Segment: "000000000001.seg"})
	if !errors.Is(s.Failed(), vfs.ErrNoSpace) {
		t.Fatalf("the repair did not fail: %v", s.Failed())
	}
	_ = s.seal(waiting)
	if slices.Contains(disk.Names("data"), "data/checkpoint") {
		t.Fatal("the checkpoint of the old log is there")
	}
}

// A learner that lost its log was not given another.
func TestALearnerIsGivenWhatItLost(t *testing.T) {
	var sent []*pb.Message
	s := stepped(t, vfs.NewMem())
	s.opts.Send = func(ms []*pb.Message) { sent = append(sent, ms...) }
	s.Command(entry.KindTopicPut, topicBody(t, "orders"))
	settle(t, s)
	s.conf = &pb.ConfState{Voters: []uint64{1}, Learners: []uint64{2}}
	s.onNeed(aside{from: 2, body: make([]byte, 8)})
	for range 5 {
		settle(t, s)
		for s.Seals() {
			s.Seal()
		}
	}
	s.giveNeeded()
	if len(sent) != 1 || sent[0].GetType() != pb.MsgSnap {
		t.Fatalf("sent: %v", sent)
	}
}

// A sealed segment whose sidecar was missing was found to be damaged while the state was recovered, and the member did not start.
func TestDamageFoundWhileRecoveringIsMended(t *testing.T) {
	disk := vfs.NewMem()
	s := stepped(t, disk)
	fill(t, s)
	s.newest.Load().Voters = []uint64{1, 2, 3}
	if err := s.saveCheckpoint(s.newest.Load()); err != nil {
		t.Fatal(err)
	}
	disk = disk.Kill()
	if err := errors.Join(disk.Remove("data/000000000001.idx"), disk.Remove("data/000000000001.ent"), disk.Flip("data/000000000001.seg", 5000, 2)); err != nil {
		t.Fatal(err)
	}
	again, err := OpenStepped(Options{
		FS: disk, Dir: "data", ID: 1, Voters: []uint64{1, 2, 3}, SegmentBytes: seglog.SegmentBytesMin, Durable: true, Log: slog.New(slog.DiscardHandler),
		Now: time.Now, Send: func([]*pb.Message) {}, Aside: func(uint64, AsideKind, []byte) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !again.Repairing() || again.Log().LastIndex() != 0 {
		t.Fatalf("mending %t, the log ends with entry %d", again.Repairing(), again.Log().LastIndex())
	}
}

// Segments that came with a snapshot have no entry table; who read them first came upon the damage, and nobody was told: it was never
// mended (row 24 of the fault table).
func TestDamageThatAReaderMeetsIsTold(t *testing.T) {
	for name, read := range map[string]func(*Shard, int64) error{
		"ReadAt":   func(s *Shard, pos int64) error { return s.ReadAt(make([]byte, 100), pos) },
		"Contains": func(s *Shard, pos int64) error { _, _, err := s.Contains(pos); return err },
		"Message":  func(s *Shard, pos int64) error { _, err := s.Message(nil, pos, 100); return err },
	} {
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewMem()
			s := stepped(t, disk)
			fill(t, s)
			pos := s.Log().Segments()[0].FirstPos
			disk = disk.Kill()
			if err := errors.Join(disk.Remove("data/000000000001.ent"), disk.Flip("data/000000000001.seg", 5000, 2)); err != nil {
				t.Fatal(err)
			}
			again := stepped(t, disk)
			var damage *seglog.CorruptError
			if err := read(again.Shard, pos); !errors.As(err, &damage) {
				t.Fatalf("reading gives %v", err)
			}
			if again.inbox.damage == nil {
				t.Error("the loop was not told")
			}
		})
	}
}

// A group of one grew: the snapshot that the new member was offered did not know it, and raft refused it for ever.
func TestANewMemberIsInTheSnapshotThatItGets(t *testing.T) {
	s := stepped(t, vfs.NewMem())
	s.opts.Send = func([]*pb.Message) {}
	fill(t, s)
	if _, err := s.snapshot(); err != nil {
		t.Fatal(err)
	}
	id := uint64(2)
	body, err := proto.Marshal(&pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{Type: pb.ConfChangeAddLearnerNode.Enum(), NodeId: &id}}})
	if err != nil {
		t.Fatal(err)
	}
	s.ChangeMembers(body)
	settle(t, s)
	if !s.Seals() {
		t.Fatal("no checkpoint that knows the member is made")
	}
	for s.Seals() {
		s.Seal()
	}
	if snap, err := s.snapshot(); err != nil || !slices.Contains(snap.GetMetadata().GetConfState().GetLearners(), id) {
		t.Fatalf("the snapshot is %v: %v", snap.GetMetadata(), err)
	}
}

// Retention took a segment of the snapshot that had been offered, and the same list was offered for ever (seed 1966).
func TestASnapshotIsOfferedWithoutWhatRetentionTook(t *testing.T) {
	s := stepped(t, vfs.NewMem())
	fill(t, s)
	before, err := s.snapshot()
	if err != nil {
		t.Fatal(err)
	}
	kept := s.Log().Segments()[2]
	if err := s.drop(kept.Seq, kept.FirstIndex, 2); err != nil {
		t.Fatal(err)
	}
	after, err := s.snapshot()
	if err != nil || bytes.Equal(before.Data, after.Data) || bytes.Contains(after.Data, []byte(seglog.SegmentFile(1))) {
		t.Fatalf("offered after segments went: %s (%v)", after.GetData(), err)
	}
}
