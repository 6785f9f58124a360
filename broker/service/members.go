package service

import (
	"context"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/shard"
)

const (
	changePatience = 10 * time.Second // of one change of members, until a majority has it
	learnEvery     = 500 * time.Millisecond
	learnSay       = 10 * time.Second // how often a learner's progress is told
	learnMax       = 24 * time.Hour   // until a member that does not catch up is given up
)

// MoveLeader hands this leader's office to another member.
func (s *Service) MoveLeader(to uint64) *Error {
	if err := s.refuseToLead(); err != nil {
		return err
	}
	st := s.shard.Status()
	p, ok := st.Peer(to)
	switch {
	case to == st.ID:
		return nil
	case !ok || p.Learner:
		return Refuse(CodeInvalidParameter, "member %d cannot lead broker group %s; possible are %v", to, s.opts.Broker, st.Members.Voters)
	case !p.CaughtUp(st.Commit):
		return Refuse(CodeInvalidParameter, "member %d has entry %d of %d: it must have caught up before it can lead", to, p.Match, st.Commit)
	}
	s.happened("leader-move", "", "", fmt.Sprintf("%s: member %d shall lead in place of %d", s.opts.Broker, to, st.ID))
	s.shard.Transfer(to)
	return nil
}

// ChangeMembers begins to add a member, remove one, or let one take the other's place. It goes on by itself; its progress is told
// as happenings. 0 is nobody.
func (s *Service) ChangeMembers(add, remove uint64) *Error {
	if err := s.refuseToLead(); err != nil {
		return err
	}
	if err := s.checkChange(add, remove); err != nil {
		return err
	}
	if !s.changing.CompareAndSwap(false, true) {
		return Refuse(CodeSystemBusy, "the members of broker group %s are being changed already", s.opts.Broker)
	}
	s.progress(inspect.Running, 0, fmt.Sprintf("members are being changed (add %d, remove %d)", add, remove))
	go func() {
		defer s.changing.Store(false)
		if err := s.changeMembers(add, remove); err != nil {
			s.opts.Log.Warn("members not changed", "broker", s.opts.Broker, "add", add, "remove", remove, "err", err)
			s.progress(inspect.Failed, 0, fmt.Sprintf("members not changed (add %d, remove %d), give the command again: %v", add, remove, err))
			return
		}
		s.progress(inspect.Done, 100, fmt.Sprintf("members changed (add %d, remove %d)", add, remove))
	}()
	return nil
}

func (s *Service) progress(state string, percent int, text string) {
	if s.opts.Progress != nil {
		s.opts.Progress(inspect.ChangeProgress{Kind: "members", Subject: s.opts.Broker, State: state, Percent: min(percent, 100), Text: s.opts.Broker + ": " + text})
	}
}

func (s *Service) checkChange(add, remove uint64) *Error {
	st := s.shard.Status()
	voters := st.Members.Voters
	switch {
	case !s.grouped():
		return Refuse(CodeInvalidParameter, "this node is alone (replication is not configured)")
	case add == 0 && remove == 0 || add == remove:
		return Refuse(CodeInvalidParameter, "add %d, remove %d: name a member to add, one to remove, or two different ones", add, remove)
	case add != 0 && len(s.opts.Nodes) > 0 && !slices.Contains(s.opts.Nodes, add):
		return Refuse(CodeInvalidParameter, "node %d is not in the cluster; possible are %v", add, s.opts.Nodes)
	case add != 0 && slices.Contains(voters, add):
		return Refuse(CodeInvalidParameter, "member %d is in broker group %s already: %v", add, s.opts.Broker, voters)
	case remove != 0 && !slices.Contains(voters, remove) && !slices.Contains(st.Members.Learners, remove):
		return Refuse(CodeInvalidParameter, "member %d is not in broker group %s: %v", remove, s.opts.Broker, voters)
	case remove == st.ID:
		return Refuse(CodeInvalidParameter, "member %d leads broker group %s: move the leader first", remove, s.opts.Broker)
	case add == 0 && len(voters) == 1:
		return Refuse(CodeInvalidParameter, "member %d is the last of broker group %s", remove, s.opts.Broker)
	}
	return nil
}

// changeMembers lets the new member learn first: while it votes without having what the others have, the group cannot bear the
// loss of another member.
func (s *Service) changeMembers(add, remove uint64) error {
	if add != 0 {
		if err := s.learn(add); err != nil {
			return err
		}
	}
	cc := &pb.ConfChangeV2{}
	if add != 0 {
		cc.Changes = append(cc.Changes, &pb.ConfChangeSingle{Type: pb.ConfChangeAddNode.Enum(), NodeId: &add})
	}
	if remove != 0 {
		cc.Changes = append(cc.Changes, &pb.ConfChangeSingle{Type: pb.ConfChangeRemoveNode.Enum(), NodeId: &remove})
	}
	if len(cc.Changes) > 1 { // in two steps, of which the shard makes the second
		cc.Transition = pb.ConfChangeTransitionJointExplicit.Enum()
	}
	return s.change(cc)
}

func (s *Service) change(cc *pb.ConfChangeV2) error {
	ctx, cancel := context.WithTimeout(context.Background(), changePatience)
	defer cancel()
	return s.shard.Change(ctx, cc)
}

// learn adds a member that does not vote yet, and waits until it has what the others have.
func (s *Service) learn(id uint64) error {
	if !slices.Contains(s.shard.Status().Members.Learners, id) {
		cc := &pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{Type: pb.ConfChangeAddLearnerNode.Enum(), NodeId: &id}}}
		if err := s.change(cc); err != nil {
			return err
		}
	}
	began, said := time.Now(), time.Time{}
	for time.Since(began) < learnMax {
		st := s.shard.Status()
		if !st.Leads {
			return shard.ErrNotLeader
		}
		p, ok := st.Peer(id)
		if ok && p.CaughtUp(st.Commit) {
			return nil
		}
		if time.Since(said) >= learnSay {
			said = time.Now()
			s.progress(inspect.Running, int(100*p.Match/max(1, st.Commit)), fmt.Sprintf("member %d learns: entry %d of %d", id, p.Match, st.Commit))
		}
		time.Sleep(learnEvery)
	}
	return fmt.Errorf("member %d did not catch up in %s", id, learnMax)
}
