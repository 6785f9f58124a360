package sim

import (
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/contrailmq/contrail/broker/shard"
)

// In some runs members are replaced while everything goes on: a new one with an empty disk and an id that was never used learns
// until it has nearly everything, then it becomes a voter and another one goes; both at once (joint consensus) or one after the
// other. What is to be done next is read from the leader's status each time, so that any step may fail or be lost.

// replacement is a change that is under way.
type replacement struct {
	old, fresh *member
	joint      bool
}

const (
	nearly  = 30 // entries that a learner may lack when it is made a voter
	lookFor = 300 * milli
)

// reorganize looks, again and again, what is to be done next.
func (w *world) reorganize() {
	w.after(w.between(lookFor/2, lookFor), func() {
		often := 6.0
		if w.conf.Focus == FocusMembers {
			often = 50
		}
		if w.replacing == nil && !w.calm && len(w.members) < membersMax && (w.chance(often) || w.wiped() != nil) {
			w.beginReplacement()
		}
		if w.replacing != nil {
			w.replacement()
		}
		w.reorganize()
	})
}

// wiped is the member that lost everything and is still in the group, or nil.
func (w *world) wiped() *member {
	for _, m := range w.members {
		if m.wiped && !m.gone {
			return m
		}
	}
	return nil
}

func (w *world) beginReplacement() {
	old := w.wiped()
	if old == nil {
		old = w.someMember()
	}
	if l := w.leader(); l == nil || !slices.Contains(l.shard.Status().Members.Voters, old.raft()) {
		return
	}
	fresh := newMember(w, len(w.members))
	w.members = append(w.members, fresh)
	w.replacing = &replacement{old, fresh, w.chance(60)}
	w.say("%s shall take the place of %s, joint %t", fresh, old, w.replacing.joint)
	fresh.start()
}

// replacement does the next step.
func (w *world) replacement() {
	l, r := w.leader(), w.replacing
	if l == nil {
		return
	}
	all := l.shard.Status().Members
	old, fresh := slices.Contains(all.Voters, r.old.raft()), slices.Contains(all.Voters, r.fresh.raft())
	switch {
	case len(all.Outgoing) > 0: // the leader ends it
	case fresh && !old:
		w.replaced()
	case fresh:
		l.change(change(pb.ConfChangeRemoveNode, r.old))
	case !slices.Contains(all.Learners, r.fresh.raft()):
		w.covered(Joined)
		l.change(change(pb.ConfChangeAddLearnerNode, r.fresh))
	case l.knows(r.fresh) && r.joint:
		w.covered(Promoted)
		l.change(change(pb.ConfChangeAddNode, r.fresh), change(pb.ConfChangeRemoveNode, r.old))
	case l.knows(r.fresh):
		w.covered(Promoted)
		l.change(change(pb.ConfChangeAddNode, r.fresh))
	}
}

// knows says that a learner has nearly everything.
func (m *member) knows(learner *member) bool {
	s := m.shard.Status()
	return slices.ContainsFunc(s.Peers, func(p shard.Peer) bool { return p.ID == learner.raft() && p.Match+nearly >= s.Commit })
}

func change(what pb.ConfChangeType, m *member) *pb.ConfChangeSingle {
	id := m.raft()
	return &pb.ConfChangeSingle{Type: &what, NodeId: &id}
}

func (m *member) change(all ...*pb.ConfChangeSingle) {
	if m.shard.Held().Commands > 0 {
		return
	}
	body, err := proto.Marshal(&pb.ConfChangeV2{Changes: all})
	if err != nil {
		m.w.violate("change of members: %v", err)
		return
	}
	for _, one := range all {
		m.w.say("%s is asked: %s of member %d", m, one.GetType(), one.GetNodeId())
	}
	m.shard.ChangeMembers(body)
	m.turn()
}

// replaced lets the old member run for a while: it may not know yet.
func (w *world) replaced() {
	r := w.replacing
	w.replacing = nil
	w.covered(Removed)
	r.old.leaving = true
	w.stopLater(r.old)
}

// stopLater does as operators are told: the old member is stopped when all others that are left know that it is not one of them.
func (w *world) stopLater(old *member) {
	w.after(w.between(second, 3*second), func() {
		for _, m := range w.members {
			if !m.gone && m != old && !m.wiped && (!m.up || slices.Contains(m.shard.Status().Members.Voters, old.raft()) || len(m.shard.Status().Members.Outgoing) > 0) {
				w.stopLater(old)
				return
			}
		}
		old.stopForGood()
	})
}

func (m *member) stopForGood() {
	if m.gone {
		return
	}
	m.w.say("%s goes for good", m)
	m.crash(false)
	m.gone = true
}

// wipe takes a member's disk away. It comes back under its old id, and must be turned away: it may have voted, and does not know.
func (w *world) wipe(m *member) {
	if !w.reorganizes || !m.up || w.disksBad(m) || len(w.members) == membersMax || w.replacing != nil || w.anyLeaves() || !w.net.met(m) || !w.founded() {
		return
	}
	w.say("%s loses its disk", m)
	w.covered(Wiped)
	m.crash(true)
	m.forget()
	w.restart(m, w.between(10*milli, second))
}

// wipeInNeed and flipInNeed harm the disk of a follower when the other one is behind, and take the leader's power: who is left must not
// elect anybody as long as the leader is away.
func (w *world) wipeInNeed(*member) {
	if w.reorganizes {
		w.inNeed(w.wipe)
	}
}

func (w *world) flipInNeed(*member) { w.inNeed(w.flip) }

func (w *world) inNeed(harm func(*member)) {
	l := w.leader()
	var others []*member
	for _, m := range w.members {
		if m != l && m.up && !m.paused && !m.gone && !m.leaving {
			others = append(others, m)
		}
	}
	if l == nil || len(others) != 2 {
		return
	}
	behind, harmed := others[0], others[1]
	w.net.isolate(behind.id, true, true)
	w.after(w.between(200*milli, 800*milli), func() {
		if w.calm {
			return
		}
		harm(harmed)
		w.loses(l, w.between(3*second, 6*second))
		w.net.heal()
	})
}

// founded says that all founders take part: one that loses its disk before has all of them wait for ever.
func (w *world) founded() bool {
	return !slices.ContainsFunc(w.members[:voters], func(m *member) bool { return !m.founded })
}

func (w *world) anyLeaves() bool {
	return slices.ContainsFunc(w.members, func(m *member) bool { return m.leaving && !m.gone })
}

// disksBad says whether another member's disk decayed or went: more than one is more than a group of three can bear.
func (w *world) disksBad(besides *member) bool {
	return slices.ContainsFunc(w.members, func(m *member) bool { return m != besides && !m.gone && (m.damaged || m.wiped) })
}

// someMember is one that is not gone.
func (w *world) someMember() *member {
	var all []*member
	for _, m := range w.members {
		if !m.gone && !m.leaving {
			all = append(all, m)
		}
	}
	return all[w.rng.IntN(len(all))]
}
