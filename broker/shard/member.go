package shard

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"

	"github.com/contrailmq/contrail/broker/consensus"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/seglog"
)

// Status is what a member knows of its group.
type Status struct {
	ID      uint64
	Lead    uint64 // 0: nobody leads as far as this member knows
	Term    uint64
	Leads   bool // this member leads and has applied an entry of its own term: it may answer as the leader
	Commit  uint64
	Applied uint64
	Members Members
	// Peers is what the leader knows of all members, itself included; elsewhere as it told lately.
	Peers []Peer
}

// Members of a group by id.
type Members struct {
	Voters, Learners []uint64
	Outgoing         []uint64 // voters that a change under way removes
}

// Peer is another member as the leader sees it.
type Peer struct {
	ID      uint64
	Match   uint64 // newest entry that it is known to have
	State   string // one of the states below
	Active  bool   // it was heard of lately
	Learner bool
	Full    bool // its disk has no room to lead
}

// States of a member as its leader sends to it.
const (
	StateReplicating = "replicating"
	StateProbing     = "probing" // what it has is not known
	StateSnapshot    = "snapshot"
)

var raftStates = map[tracker.StateType]string{
	tracker.StateReplicate: StateReplicating, tracker.StateProbe: StateProbing, tracker.StateSnapshot: StateSnapshot,
}

// closeEnough is how many entries a member may lack and still lead, or vote, at once.
const closeEnough = 100

// CaughtUp says that a member has what its leader has committed, or nearly.
func (p Peer) CaughtUp(commit uint64) bool {
	return p.Active && p.State == StateReplicating && p.Match+closeEnough >= commit
}

// Peer finds a member in what the leader knows.
func (st *Status) Peer(id uint64) (Peer, bool) {
	i := slices.IndexFunc(st.Peers, func(p Peer) bool { return p.ID == id })
	if i < 0 {
		return Peer{}, false
	}
	return st.Peers[i], true
}

// CanLead says that this member leads and could hand its office to another one now.
func (st *Status) CanLead(id uint64) bool {
	p, ok := st.Peer(id)
	return ok && st.Leads && id != st.ID && !p.Learner && !p.Full && p.CaughtUp(st.Commit)
}

// Status may be asked by anybody. Who leads is as of the loop's last turn, the rest as of its last tick.
func (s *Shard) Status() Status {
	if st := s.status.Load(); st != nil {
		return *st
	}
	return Status{ID: s.opts.ID}
}

// Leads says that this member may answer as the leader of its group.
func (s *Shard) Leads() bool { return s.Status().Leads }

// tell makes the status known when leadership changed, and with each tick.
func (s *Shard) tell() {
	_, term := s.node.Leader()
	lead, leads := s.node.Lead(), s.leaderTerm != 0 && s.Failed() == nil
	changed := lead != s.told.Lead || term != s.told.Term || leads != s.told.Leads
	if !changed && !s.untold {
		return
	}
	s.untold = false
	st := Status{
		ID: s.opts.ID, Lead: lead, Term: term, Leads: leads, Commit: s.node.Commit(), Applied: s.applied.Load(),
		Members: Members{s.conf.GetVoters(), s.conf.GetLearners(), s.conf.GetVotersOutgoing()}, Peers: s.peers,
	}
	s.told = st
	s.status.Store(&st)
	if changed && s.opts.Led != nil {
		s.opts.Led(st)
	}
}

// lookAround notes, now and then, what the leader knows of the members, and tells the others once a second.
func (s *Shard) lookAround() {
	s.untold = true
	leads, term := s.node.Leader()
	if s.alone() || !leads {
		if s.node.Lead() == 0 {
			s.peers = nil
		}
		return
	}
	s.peers = []Peer{{s.opts.ID, s.log.LastIndex(), StateReplicating, true, false, !s.log.HasRoom(s.opts.SegmentBytes)}}
	s.node.Progress(func(id uint64, p tracker.Progress) {
		if s.unheard[id]++; p.RecentActive {
			s.unheard[id] = 0
		}
		s.peers = append(s.peers, Peer{id, p.Match, raftStates[p.State], s.unheard[id] < unheardMax, p.IsLearner, s.room.full(id)})
	})
	if s.peersTicks++; s.peersTicks%peersEvery == 0 {
		s.tellPeers(term)
	}
}

const peersEvery = 10 // ticks

func (s *Shard) tellPeers(term uint64) {
	b, err := json.Marshal(s.peers)
	if err != nil {
		return
	}
	body := append(binary.LittleEndian.AppendUint64(nil, term), b...)
	for _, p := range s.peers {
		if p.ID != s.opts.ID {
			s.opts.Aside(p.ID, AsidePeers, body)
		}
	}
}

func (s *Shard) onPeers(a aside) {
	leads, term := s.node.Leader()
	if len(a.body) < 8 || leads || a.from != s.node.Lead() || binary.LittleEndian.Uint64(a.body) != term {
		return
	}
	var peers []Peer
	if json.Unmarshal(a.body[8:], &peers) == nil {
		s.peers = peers
	}
}

// unheardMax is how many ticks a member may be silent and count as active: raft forgets who was active whenever it looks for
// its quorum, once in an election time-out.
const unheardMax = 5

// Receive takes a message of another member. It never blocks: when too much waits, the message is dropped, and raft says it
// again.
func (s *Shard) Receive(m *pb.Message) {
	size := 64
	for _, e := range m.Entries {
		size += len(e.Data) + 32
	}
	in := &s.inbox
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed || in.heard+size > heardMax {
		in.dropped++
		return
	}
	in.heard += size
	in.messages = append(in.messages, m)
	in.kick()
}

// Unreachable says that what was sent to a member may be lost.
func (s *Shard) Unreachable(id uint64) {
	s.Receive(&pb.Message{Type: pb.MsgUnreachable.Enum(), From: &id, To: &s.opts.ID})
}

// Transfer asks this member, if it leads, to hand its office to another one.
func (s *Shard) Transfer(to uint64) {
	s.Receive(&pb.Message{Type: pb.MsgTransferLeader.Enum(), From: &to, To: &s.opts.ID})
}

// ErrMembers refuses a change of members.
var ErrMembers = errors.New("members cannot be changed so now")

// Change proposes a change of members and returns when it was applied here. Only the leader can.
func (s *Shard) Change(ctx context.Context, cc *pb.ConfChangeV2) error {
	body, err := proto.Marshal(cc)
	if err != nil {
		return err
	}
	return s.do(ctx, command{kind: kindMembers, body: body, done: make(chan error, 1)})
}

// hear steps what other members said.
func (s *Shard) hear() error {
	messages, asides := s.messages, s.asides
	s.messages, s.asides = s.messages[:0], s.asides[:0]
	if s.Failed() != nil {
		return nil
	}
	for i, m := range messages {
		messages[i] = nil
		if err := s.step(m); err != nil {
			return err
		}
	}
	for i := range asides {
		s.onAside(asides[i])
		asides[i] = aside{}
	}
	return nil
}

func (s *Shard) step(m *pb.Message) error {
	if s.unfounded(m) || s.promised(m) {
		return nil
	}
	if m.GetFrom() == s.node.Lead() {
		s.silence = 0
	}
	switch m.GetType() {
	case pb.MsgUnreachable:
		s.node.Unreachable(m.GetFrom())
		return nil
	case pb.MsgTransferLeader:
		s.node.Transfer(m.GetFrom())
		return nil
	case pb.MsgSnap:
		return s.snapshotOffered(m)
	case pb.MsgApp:
		if !s.roomFor(m) {
			return nil // as if it were lost: the leader says it again
		}
	}
	return s.stepRaft(m)
}

func (s *Shard) stepRaft(m *pb.Message) error {
	err := s.node.Step(m)
	var refused consensus.Refusal
	if !errors.As(err, &refused) {
		return err
	}
	if !errors.Is(err, raft.ErrStepPeerNotFound) {
		s.opts.Log.Warn("message refused", "type", m.GetType().String(), "from", m.GetFrom(), "err", err)
	}
	return nil
}

// roomFor says whether a follower takes the entries. A log that must roll on a full disk is lost, so it does not try; and while
// many segments wait for their checkpoints, which cannot be written, applying more would hold up the loop.
func (s *Shard) roomFor(m *pb.Message) bool {
	if len(m.Entries) == 0 {
		return true
	}
	if len(s.seals)+inflightMax >= cap(s.seals) {
		return false
	}
	n := s.slack
	for _, e := range m.Entries {
		n += seglog.RecordSize(len(e.Data))
	}
	return s.log.HasRoom(n)
}

// applyMembers takes a committed change of members.
func (s *Shard) applyMembers(c consensus.Committed) error {
	cc := &pb.ConfChangeV2{}
	var change pb.ConfChangeI = cc
	if c.Type == pb.EntryConfChange {
		one := &pb.ConfChange{}
		change = one
		if err := proto.Unmarshal(c.Data, one); err != nil {
			return fmt.Errorf("change of members: %w", err)
		}
	} else if err := proto.Unmarshal(c.Data, cc); err != nil {
		return fmt.Errorf("change of members: %w", err)
	}
	s.conf = s.node.ApplyConfChange(change)
	// A snapshot must say that its receiver is a member, or raft refuses it: one is made that does.
	if newest := s.newest.Load(); newest == nil || s.lacksMember(newest) {
		s.wantSeal = true
	}
	s.event("members", fmt.Sprintf("members are now %v, learners %v", s.conf.GetVoters(), s.conf.GetLearners()))
	return nil
}

// change is a change of members on its way. Nothing else is proposed meanwhile, because raft may put something else in its
// place, and the positions of what follows would be wrong.
type change struct {
	command
	index, term uint64
}

// kindMembers marks a command that is a change of members; it never stands in an entry.
const kindMembers entry.Kind = 0xFFFF

// proposeMembers proposes the next change of members when nothing else is on its way. It says whether proposing must wait.
func (s *Shard) proposeMembers() (wait bool) {
	if s.changing != nil {
		return true
	}
	if len(s.changes) == 0 || s.leaderTerm == 0 || s.deleting() {
		return false
	}
	if len(s.inflight) > 0 {
		return true
	}
	c := s.changes[0]
	s.changes = s.changes[1:]
	cc := &pb.ConfChangeV2{}
	err := proto.Unmarshal(c.body, cc)
	if err == nil {
		byHand(cc)
		err = s.node.ProposeConf(cc)
	}
	if err != nil {
		c.done <- fmt.Errorf("%w: %w", ErrMembers, err)
		return false
	}
	s.changing = &change{c, s.applied.Load() + 1, s.leaderTerm}
	return true
}

// byHand lets a change of several members be ended by leaveJoint. Raft would do it itself by default, with an entry of which the
// loop does not know: answers would then go to who waits for the entry behind it, before that one is stored.
func byHand(cc *pb.ConfChangeV2) {
	if len(cc.Changes) > 1 || cc.GetTransition() == pb.ConfChangeTransitionJointImplicit {
		cc.Transition = pb.ConfChangeTransitionJointExplicit.Enum()
	}
}

// changed notices that the entry was applied in which a change of members was proposed.
func (s *Shard) changed(c consensus.Committed) {
	if s.changing == nil || c.Index != s.changing.index {
		return
	}
	var err error
	switch {
	case c.Term != s.changing.term:
		err = ErrUncertain
	case c.Type == pb.EntryNormal: // raft refused it: another change is under way, or it makes no sense now
		err = ErrMembers
	}
	s.changing.done <- err
	s.changing = nil
	s.nextPos = s.log.EndPos()
}

// leaveJoint ends a change of several members at once, which raft makes in two steps.
func (s *Shard) leaveJoint() {
	if s.leaderTerm == 0 || len(s.conf.GetVotersOutgoing()) == 0 || s.changing != nil || len(s.changes) > 0 {
		return
	}
	s.changes = append(s.changes, command{kind: kindMembers, done: make(chan error, 1)}) // an empty change leaves
}
