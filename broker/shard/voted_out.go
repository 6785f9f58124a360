package shard

import (
	"fmt"

	"github.com/contrailmq/contrail/broker/consensus"
)

// What was on its way when this member was voted out is in its log, and perhaps in others'. It is not known yet whether it is
// stored, but it will be: this member applies what the next leader commits. Who waits is answered then, so that an orderly change
// of leader fails nobody. An answer that does not come in voteOutPatience is that the outcome is not known.
const voteOutPatience = 20 // ticks

// votedOut keeps what is on its way.
func (s *Shard) votedOut() {
	for _, p := range s.inflight {
		p.ticks = 0
	}
	s.orphans = append(s.orphans, s.inflight...)
	clear(s.inflight)
	s.inflight = s.inflight[:0]
}

// decide answers what was on its way when an entry is applied in its place: it is that entry, or was never stored.
func (s *Shard) decide(c consensus.Committed) {
	s.answerOrphans(func(p *proposal) (bool, error) {
		switch {
		case p.index > c.Index:
			return false, nil
		case p.index < c.Index: // a snapshot took its place
			return true, ErrUncertain
		case p.term != c.Term:
			return true, ErrNotLeader
		}
		return true, nil
	})
}

// supplant answers what lies behind the entry with which this member leads again: raft let it lead because it has all that was
// committed, and this is not among it.
func (s *Shard) supplant() {
	s.answerOrphans(func(*proposal) (bool, error) { return true, ErrNotLeader })
}

// abandon answers everything because this member goes on no more, or begins anew: what is in its log may yet be committed, by the
// next leader, or by this one after a restart.
func (s *Shard) abandon(err error) {
	s.votedOut()
	s.answerOrphans(func(*proposal) (bool, error) { return true, fmt.Errorf("%w: %v", ErrUncertain, err) })
	s.refuseAll(err)
}

// giveUpOrphans is called with each tick.
func (s *Shard) giveUpOrphans() {
	s.answerOrphans(func(p *proposal) (bool, error) {
		p.ticks++
		return p.ticks > voteOutPatience, ErrUncertain
	})
}

// answerOrphans answers those of which is known what to say.
func (s *Shard) answerOrphans(known func(*proposal) (bool, error)) {
	kept := s.orphans[:0]
	for _, p := range s.orphans {
		if ok, err := known(p); ok {
			s.finish(p, err)
		} else {
			kept = append(kept, p)
		}
	}
	clear(s.orphans[len(kept):])
	s.orphans = kept
}
