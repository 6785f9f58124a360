package shard

import (
	"errors"
	"testing"

	"github.com/contrailmq/contrail/broker/consensus"
	"github.com/contrailmq/contrail/broker/vfs"
)

// orphan is something that was on its way with an entry when the member was voted out; answer tells what became of it.
func orphan(s Stepper, index, term uint64) (answer func() (error, bool)) {
	done := make(chan error, 1)
	s.inflight = append(s.inflight, &proposal{index: index, term: term, commands: []command{{done: done}}})
	s.votedOut()
	return func() (error, bool) {
		select {
		case err := <-done:
			return err, true
		default:
			return nil, false
		}
	}
}

// What a leader had on its way when it was voted out is answered as it turns out: stored, when the next leader commits that very
// entry; not stored, when another one stands in its place, or this member leads again without it.
func TestWhatAVotedOutLeaderHadOnItsWayIsAnsweredAsItTurnsOut(t *testing.T) {
	for name, c := range map[string]struct {
		then func(Stepper)
		want error
	}{
		"the same entry":                {func(s Stepper) { s.decide(consensus.Committed{Index: 7, Term: 3}) }, nil},
		"another one in its place":      {func(s Stepper) { s.decide(consensus.Committed{Index: 7, Term: 4}) }, ErrNotLeader},
		"a snapshot took its place":     {func(s Stepper) { s.decide(consensus.Committed{Index: 9, Term: 4}) }, ErrUncertain},
		"it leads again without it":     {func(s Stepper) { s.supplant() }, ErrNotLeader},
		"it stops":                      {func(s Stepper) { s.abandon(ErrStopped) }, ErrUncertain},
		"nothing is heard for too long": {func(s Stepper) { tickOrphans(s, voteOutPatience+1) }, ErrUncertain},
	} {
		s := stepped(t, vfs.NewMem())
		answer := orphan(s, 7, 3)
		s.decide(consensus.Committed{Index: 6, Term: 3})
		tickOrphans(s, voteOutPatience)
		if err, told := answer(); told {
			t.Fatalf("%s: answered before it is known: %v", name, err)
		}
		c.then(s)
		if err, told := answer(); !told || !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: answered %t, %v; want %v", name, told, err, c.want)
		}
		if len(s.orphans) > 0 {
			t.Errorf("%s: it is kept", name)
		}
	}
	// An answer that the outcome is not known must not be taken for the refusal that caused it.
	s := stepped(t, vfs.NewMem())
	answer := orphan(s, 7, 3)
	s.abandon(ErrNotLeader)
	if err, _ := answer(); errors.Is(err, ErrNotLeader) || !errors.Is(err, ErrUncertain) {
		t.Errorf("%v", err)
	}
}

func tickOrphans(s Stepper, n int) {
	for range n {
		s.giveUpOrphans()
	}
}
