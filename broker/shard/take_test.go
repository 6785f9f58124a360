package shard

import (
	"errors"
	"testing"
)

// A follower takes what came in once more while it waits for its disk.
func TestDamageIsNotForgottenWhenMoreIsTaken(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	n.led()
	s := n.members[1]
	s.inbox.damage = errors.New("damaged")
	s.take()
	s.take()
	if s.damage == nil {
		t.Fatal("what was said of damage is forgotten")
	}
}
