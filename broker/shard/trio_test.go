package shard

import (
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/contrailmq/contrail/broker/vfs"
)

// trio is three members without goroutines. What they say to each other arrives within the tick.
type trio struct {
	t       *testing.T
	disks   map[uint64]*vfs.Mem
	members map[uint64]*Stepper // those that run
	sent    []func()
}

func newTrio(t *testing.T, ids ...uint64) *trio {
	t.Helper()
	n := &trio{t: t, disks: map[uint64]*vfs.Mem{}, members: map[uint64]*Stepper{}}
	for _, id := range ids {
		n.start(id, vfs.NewMem(), 1, 2, 3)
	}
	return n
}

func (n *trio) start(id uint64, disk *vfs.Mem, founders ...uint64) {
	n.t.Helper()
	o := optionsOf(disk, founders...)
	o.ID = id
	o.Send = func(ms []*pb.Message) {
		for _, m := range ms {
			sent := proto.Clone(m).(*pb.Message)
			n.say(m.GetTo(), func(s *Stepper) { s.Receive(sent) })
		}
	}
	o.Aside = func(to uint64, k AsideKind, b []byte) { n.say(to, func(s *Stepper) { s.Aside(id, k, b) }) }
	s, err := OpenStepped(o)
	if err != nil {
		n.t.Fatal(err)
	}
	n.disks[id], n.members[id] = disk, &s
}

func (n *trio) say(to uint64, arrive func(*Stepper)) {
	n.sent = append(n.sent, func() {
		if s := n.members[to]; s != nil {
			arrive(s)
		}
	})
}

func (n *trio) ids() (ids []uint64) {
	for id := range uint64(10) {
		if n.members[id] != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

func (n *trio) run(ticks int) {
	n.t.Helper()
	for range ticks {
		for _, id := range n.ids() {
			n.members[id].Tick(time.Now())
		}
		for range 10 {
			n.turn()
		}
	}
	for _, id := range n.ids() {
		if err := n.members[id].Failed(); err != nil {
			n.t.Fatalf("member %d: %v", id, err)
		}
	}
}

func (n *trio) turn() {
	for _, id := range n.ids() {
		s := n.members[id]
		s.Turn()
		if s.Syncing() {
			s.EndSync()
		}
		for s.Seals() {
			s.Seal()
		}
		if s.Checks() {
			s.Check()
		}
	}
	sent := n.sent
	n.sent = nil
	for _, arrive := range sent {
		arrive()
	}
}

// leader is who leads, or 0.
func (n *trio) leader() (lead uint64) {
	for _, id := range n.ids() {
		if n.members[id].Leads() {
			lead = id
		}
	}
	return lead
}

// led waits for a leader.
func (n *trio) led() uint64 {
	n.t.Helper()
	for range 100 {
		n.run(1)
		if l := n.leader(); l != 0 {
			return l
		}
	}
	n.t.Fatal("nobody leads")
	return 0
}
