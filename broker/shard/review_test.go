package shard

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/vfs"
)

// What was on its way when the log failed or the member stopped was refused as if nothing had been done of it. It was in the log, and
// other members may have it.
func TestWhatIsOnItsWayIsNotKnownToBeUndone(t *testing.T) {
	for _, why := range []error{ErrStopped, seglog.ErrFailed} {
		s := stepped(t, vfs.NewMem())
		s.Command(entry.KindTopicPut, topicBody(t, "orders"))
		settle(t, s)
		e, _ := s.Catalog().Topic("orders")
		var got error
		s.Submit(batch(s.Index().Topic("orders", e.CreatedPos), nil, 3, rand.New(rand.NewPCG(1, 1)), func(b *Batch) { got = b.Err }))
		s.Turn()
		if len(s.inflight) == 0 {
			t.Fatal("nothing is on its way")
		}
		s.abandon(why)
		if !errors.Is(got, ErrUncertain) {
			t.Errorf("the answer is %v", got)
		}
	}
}

// Two syncs were under way when the member stopped, one of them of a log that had been replaced: Close waited for ever.
func TestStoppingDoesNotWaitForTheSyncOfAReplacedLog(t *testing.T) {
	s := stepped(t, vfs.NewMem()).Shard
	s.others.Add(1)
	for range 2 {
		y, err := s.log.BeginSync()
		if err != nil {
			t.Fatal(err)
		}
		if len(s.synced) == 0 {
			s.synced <- y
		} else {
			s.syncs <- y
		}
	}
	close(s.stopped)
	close(s.syncs)
	go s.syncer()
	ended := make(chan struct{})
	go func() { s.others.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("the syncer still waits")
	}
}

// optionsOf are those of stepped, for a folder that is there.
func optionsOf(disk vfs.FS, voters ...uint64) Options {
	return Options{
		FS: disk, Dir: "data", ID: 1, Voters: voters, SegmentBytes: seglog.SegmentBytesMin, Durable: true, Log: slog.New(slog.DiscardHandler),
		Now: time.Now, Send: func([]*pb.Message) {}, Aside: func(uint64, AsideKind, []byte) {},
	}
}

// A member whose disk is full lost its log, and asked for it each second: each time its leader ended a segment, until its own disk was
// full, or retention by size had dropped the messages.
func TestWhoAsksAgainGetsTheSameSnapshot(t *testing.T) {
	s := stepped(t, vfs.NewMem())
	s.Command(entry.KindTopicPut, topicBody(t, "orders"))
	settle(t, s)
	id := uint64(2)
	body, err := proto.Marshal(&pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{Type: pb.ConfChangeAddLearnerNode.Enum(), NodeId: &id}}})
	if err != nil {
		t.Fatal(err)
	}
	s.ChangeMembers(body)
	var sent []*pb.Message
	s.opts.Send = func(ms []*pb.Message) {
		for _, m := range ms {
			if m.GetType() == pb.MsgSnap {
				sent = append(sent, m)
			}
		}
	}
	segments := 0
	for i := range 10 {
		s.onNeed(aside{from: 2, body: make([]byte, 8)})
		for range 3 {
			settle(t, s)
			for s.Seals() {
				s.Seal()
			}
			s.giveNeeded()
		}
		if n := len(s.Log().Segments()); i == 0 {
			segments = n
		} else if n > segments {
			t.Fatalf("%d segments after %d asks, %d after the first", n, i+1, segments)
		}
	}
	if len(s.needs) > 0 {
		t.Fatal("it was not given what it needs")
	}
}

// A group that had shrunk to one member put its only copy aside when that was damaged.
func TestTheOnlyCopyIsNotPutAside(t *testing.T) {
	disk := vfs.NewMem()
	s := stepped(t, disk)
	fill(t, s)
	disk = disk.Kill()
	if err := errors.Join(disk.Remove("data/000000000001.idx"), disk.Remove("data/000000000001.ent"), disk.Flip("data/000000000001.seg", 5000, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStepped(optionsOf(disk, 1, 2, 3)); err == nil {
		t.Fatal("it began anew")
	}
	for _, n := range disk.Names("data") {
		if strings.Contains(n, damagedDir) {
			t.Fatal("the only copy was put aside")
		}
	}
}

// The only voter found damage while a learner copied its log, and put aside what nobody else had.
func TestALearnerIsNoOtherCopy(t *testing.T) {
	s := stepped(t, vfs.NewMem())
	s.conf = &pb.ConfState{Voters: []uint64{1}, Learners: []uint64{2}}
	if s.repairs(&seglog.CorruptError{Segment: "000000000001.seg"}) {
		t.Fatal("it would begin anew")
	}
}
