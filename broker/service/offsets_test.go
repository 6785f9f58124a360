package service

import (
	"fmt"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/vfs"
)

// A commit that comes with a pull is checked as any other: one beyond the end would make the group skip messages.
func TestPullsCommitBeyondTheEndIsNotStored(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	ok(t, send(t, s, c, header("orders", "x", 0), "first"))
	for commit, want := range map[int64]int64{1 << 60: 0, 1: 1} {
		pullOnce(s, &PullRequest{Client: c, Group: fmt.Sprint("g", want), Topic: "orders", SysFlag: PullCommitOffset, CommitOffset: commit})
		if at, err := s.QueryOffset(fmt.Sprint("g", want), "orders", 0, true); err != nil || at != want {
			t.Errorf("commit of %d: stored as %d %v, expected %d", commit, at, err, want)
		}
	}
}

// The later of two commits is the one that is kept, whichever of them is answered.
func TestLaterCommitWins(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	for range 3 {
		ok(t, send(t, s, c, header("orders", "x", 0), "m"))
	}
	for i := range 100 {
		o := entry.Offset{Group: fmt.Sprint("g", i), Topic: "orders", Offset: 1}
		s.CommitOffset(o, nil)
		o.Offset = 3
		ch := make(chan *Error, 1)
		s.CommitOffset(o, func(e *Error) { ch <- e })
		if err := <-ch; err != nil {
			t.Fatal(err)
		}
		if at, err := s.QueryOffset(o.Group, "orders", 0, true); err != nil || at != 3 {
			t.Fatalf("group %d: %d %v", i, at, err)
		}
	}
	time.Sleep(300 * time.Millisecond) // what was one-way is stored by now
	for i := range 100 {
		if at, err := s.QueryOffset(fmt.Sprint("g", i), "orders", 0, true); err != nil || at != 3 {
			t.Fatalf("group %d later: %d %v", i, at, err)
		}
	}
}
