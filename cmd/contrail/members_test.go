package main

import (
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/plan"
	"github.com/contrailmq/contrail/broker/shard"
)

// The leader handed its office each six seconds to a member that could not take it: each try held up the group for a second.
func TestTriesToMoveTheLeaderBackBecomeRarer(t *testing.T) {
	w, now, tries := &wish{}, time.Now(), 0
	for range 3600 {
		if now = now.Add(time.Second); w.due(now, settledFor, true) {
			tries++
		}
	}
	if tries < 5 || tries > 15 {
		t.Fatalf("%d tries in an hour", tries)
	}
}

// A node that stops must not hand its groups to one that is drained, because that is likely to stop next.
func TestDrainedNodeIsNoSuccessor(t *testing.T) {
	peer := func(id uint64) shard.Peer {
		return shard.Peer{ID: id, Match: 9, State: shard.StateReplicating, Active: true}
	}
	st := &shard.Status{ID: 1, Leads: true, Commit: 9, Peers: []shard.Peer{peer(1), peer(2), peer(3)}}
	p := plan.Plan{Drained: map[uint64]plan.Drain{2: {}}}
	if to := successor(p, st); to != 3 {
		t.Errorf("node %d gets the group", to)
	}
	st.Peers[2].Active = false
	if to := successor(p, st); to != 2 {
		t.Errorf("node %d gets the group when no other is there", to)
	}
}
