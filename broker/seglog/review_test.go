package seglog

import (
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
)

// The record of a vote was what was damaged: what was salvaged named the vote before it, and the member might have voted twice in a term.
func TestSalvageDoesNotVoteInATermOfWhichItMayHaveForgotten(t *testing.T) {
	disk := vfs.NewMem()
	l := mustOpen(t, disk)
	entries(t, l, 1, 100)
	for _, vote := range []uint64{0, 2} {
		if err := l.SetHardState(HardState{Term: 5, Vote: vote}); err != nil {
			t.Fatal(err)
		}
	}
	at := int64(l.active.mu.end) - RecordSize(len(l.hard.encode()))
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := disk.Flip(l.active.name, at+4, 1); err != nil {
		t.Fatal(err)
	}
	if got, err := Salvage(disk, l.dir); err != nil || got.Hard.Term != 5 || got.Hard.Vote != nobody {
		t.Fatalf("salvaged %+v, %v", got, err)
	}
}
