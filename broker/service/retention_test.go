package service

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/vfs"
)

// A pull whose messages retention takes while it reads them is told where to go on, as one that came later is.
func TestPullDuringRetention(t *testing.T) {
	var during atomic.Pointer[func()]
	fs := &vfs.Fault{FS: vfs.OS{}, Hook: func(op vfs.Op, name string) error {
		if op == vfs.OpRead && strings.HasSuffix(name, ".prepared") { // the name under which the segment was made
			if f := during.Swap(nil); f != nil {
				(*f)()
			}
		}
		return nil
	}}
	s := open(t, fs, t.TempDir(), func(o *Options) { o.SegmentBytes, o.RetentionBytes = 64<<10, 64<<10 })
	defer s.Close()
	c := NewClient(addr, "remoting")
	for i := 0; len(s.shard.Log().Segments()) < 4; i++ {
		ok(t, send(t, s, c, header("orders", fmt.Sprint("t", i), 0), strings.Repeat("x", 4000)))
	}
	for deadline := time.Now().Add(20 * time.Second); !s.sealedIn(t, 2); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not sealed")
		}
	}
	from, _ := s.MinOffset("orders", 0)
	first := s.shard.Log().FirstPos()
	taken := func() { // retention looks every 10 s
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if s.shard.Log().FirstPos() > first {
				return
			}
		}
		t.Error("retention takes nothing")
	}
	during.Store(&taken)
	r := pullOnce(s, &PullRequest{Client: c, Group: "g", Topic: "orders", Offset: from, Subscription: "*"})
	kept, _ := s.MinOffset("orders", 0)
	if r.Code != CodePullOffsetMoved || r.NextBegin != kept || kept <= from {
		t.Fatalf("code %d, next %d; the first one kept is %d", r.Code, r.NextBegin, kept)
	}
}

// sealedIn says whether a segment's rows are in its sidecar.
func (s *Service) sealedIn(t *testing.T, seq int) bool {
	t.Helper()
	names, err := vfs.OS{}.List(s.opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(strings.Join(names, " "), fmt.Sprintf("%012d.idx ", seq+1))
}
