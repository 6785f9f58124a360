package shard

import (
	"errors"
	"slices"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/contrailmq/contrail/broker/vfs"
)

// pair is a leader that is the only voter, and a member that learns from it.
type pair struct {
	t      *testing.T
	leader Stepper
	fresh  Stepper
	sent   []func() // messages on their way
	beats  int      // answers of the fresh one to heartbeats
	disk   *vfs.Mem // the fresh one's
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{t: t, disk: vfs.NewMem()}
	p.leader = p.open(vfs.NewMem(), 1, &p.fresh)
	settle(t, p.leader)
	fill(t, p.leader)
	kept := p.leader.Log().Segments()[1]
	if err := p.leader.drop(kept.Seq, kept.FirstIndex, 1); err != nil {
		t.Fatal(err)
	}
	p.fresh = p.open(p.disk, 2, &p.leader)
	return p
}

func (p *pair) open(disk vfs.FS, id uint64, other *Stepper) Stepper {
	p.t.Helper()
	o := optionsOf(disk, 1)
	o.ID = id
	o.Send = func(ms []*pb.Message) {
		for _, m := range ms {
			if m.GetType() == pb.MsgHeartbeatResp {
				p.beats++
			}
			sent := proto.Clone(m).(*pb.Message)
			p.sent = append(p.sent, func() { other.Receive(sent) })
		}
	}
	o.Aside = func(_ uint64, k AsideKind, b []byte) {
		p.sent = append(p.sent, func() { other.Aside(id, k, b) })
	}
	s, err := OpenStepped(o)
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// run lets time pass; check says whether what a snapshot brought is checked.
func (p *pair) run(ticks int, check bool) {
	p.t.Helper()
	for range ticks {
		p.leader.Tick(time.Now())
		p.fresh.Tick(time.Now())
		for range 20 {
			for _, s := range []Stepper{p.leader, p.fresh} {
				s.Turn()
				if s.Syncing() {
					s.EndSync()
				}
				for s.Seals() {
					s.Seal()
				}
				if check && s.Checks() {
					s.Check()
				}
			}
			sent := p.sent
			p.sent = nil
			for _, arrive := range sent {
				arrive()
			}
		}
	}
	if err := errors.Join(p.leader.Failed(), p.fresh.Failed()); err != nil {
		p.t.Fatal(err)
	}
}

// learn makes the fresh one a member.
func (p *pair) learn() {
	p.t.Helper()
	id := uint64(2)
	body, err := proto.Marshal(&pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{Type: pb.ConfChangeAddLearnerNode.Enum(), NodeId: &id}}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.leader.ChangeMembers(body)
}

func (p *pair) learned() {
	p.t.Helper()
	if got, want := p.fresh.Applied(), p.leader.Applied(); got != want {
		p.t.Fatalf("the new member has entry %d of %d", got, want)
	}
}

// A snapshot that came on a full disk stopped the member for good.
func TestASnapshotOnAFullDiskIsTakenLater(t *testing.T) {
	p := newPair(t)
	p.learn()
	p.run(30, false)
	if !p.fresh.Checks() {
		t.Fatal("nothing came")
	}
	p.disk.Capacity = p.disk.Used() + p.fresh.opts.SegmentBytes/2
	p.run(200, true)
	if p.fresh.Applied() != 0 {
		t.Fatal("the disk was not full enough")
	}
	p.disk.Capacity = 0
	p.run(200, true)
	p.learned()
}

// Checking what came held the loop up: a member with a long log answered nobody meanwhile, and its leader offered the snapshot again.
func TestAMemberAnswersWhileASnapshotIsChecked(t *testing.T) {
	p := newPair(t)
	p.learn()
	p.run(30, false)
	if !p.fresh.Checks() {
		t.Fatal("nothing is to be checked")
	}
	before, offered := p.beats, p.leader.offered.Load()
	p.run(3*quietMax, false)
	if n := p.beats - before; n < quietMax {
		t.Errorf("%d heartbeats answered in %d ticks", n, 3*quietMax)
	}
	if p.leader.offered.Load() != offered {
		t.Error("it was offered again")
	}
	p.run(30, true)
	p.learned()
}

// The sidecars of what came were made within the install: they come with it now.
func TestSidecarsAreMadeBeforeASnapshotIsInstalled(t *testing.T) {
	p := newPair(t)
	p.learn()
	p.run(30, false)
	p.fresh.Check()
	names := p.disk.Names("data/incoming")
	if !slices.Contains(names, "data/incoming/000000000002.idx") {
		t.Fatalf("incoming holds %v", names)
	}
	p.run(30, true)
	p.learned()
	for _, seg := range p.fresh.Log().Segments() {
		if seg.Sealed && !slices.Contains(p.disk.Names("data"), "data/"+sidecarOf(seg.Name)) {
			t.Errorf("segment %s has no sidecar", seg.Name)
		}
	}
	topic := p.fresh.Index().Lookup("orders")
	checkQueues(t, p.fresh.Shard, topic)
}

func sidecarOf(segment string) string {
	return segment[len("data/"):len(segment)-len(".seg")] + ".idx"
}
