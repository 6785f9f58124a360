package service

import (
	"fmt"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/vfs"
)

// committed is a service with a topic of n messages in queue 0, of which group g has consumed all.
func committed(t *testing.T, s *Service, n int) *Client {
	t.Helper()
	c := NewClient(addr, "remoting")
	for i := range n {
		ok(t, send(t, s, c, header("orders", "a", 0), fmt.Sprint("m", i)))
	}
	pullOnce(s, &PullRequest{Client: c, Group: "g", Topic: "orders"}).Release() // makes the group
	commit(t, s, "g", int64(n))
	return c
}

func commit(t *testing.T, s *Service, group string, at int64) {
	t.Helper()
	ch := make(chan *Error, 1)
	s.CommitOffset(entry.Offset{Group: group, Topic: "orders", Offset: at, Client: "c1"}, func(err *Error) { ch <- err })
	if err := <-ch; err != nil {
		t.Fatal(err)
	}
}

func place(t *testing.T, s *Service, group string) int64 {
	t.Helper()
	at, err := s.QueryOffset(group, "orders", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func reset(t *testing.T, s *Service, q ResetRequest) ResetPlace {
	t.Helper()
	q.Group, q.Topic, q.By = "g", "orders", "10.0.0.2:7"
	places, err := s.ResetOffsets(q)
	if err != nil {
		t.Fatal(err)
	}
	return places[0]
}

// A group that is reset is told with its next pull, and what it commits until then is ignored: it is about messages from before.
func TestResetIsToldWithTheNextPull(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := committed(t, s, 10)
	p := reset(t, s, ResetRequest{QueueID: 0, Offset: 4})
	if p.Committed != 10 || p.To != 4 || p.Again != 6 || p.Skipped != 0 || p.Oldest <= 0 || p.Newest < p.Oldest || place(t, s, "g") != 4 {
		t.Fatalf("%+v, the group is at %d", p, place(t, s, "g"))
	}
	commit(t, s, "g", 9)
	pullOnce(s, &PullRequest{Client: c, Group: "other", Topic: "orders", Offset: 10, SysFlag: PullCommitOffset, CommitOffset: 10})
	if place(t, s, "g") != 4 || !s.ResetWaits("g", "orders", 0) || s.ResetWaits("other", "orders", 0) {
		t.Fatalf("a stale commit moved the group to %d", place(t, s, "g"))
	}
	r := pullOnce(s, &PullRequest{Client: c, Group: "g", Topic: "orders", Offset: 10, SysFlag: PullCommitOffset, CommitOffset: 10})
	if r.Code != CodePullOffsetMoved || r.NextBegin != 4 || place(t, s, "g") != 4 {
		t.Fatalf("pull: code %d, next %d; the group is at %d", r.Code, r.NextBegin, place(t, s, "g"))
	}
	if r := pullOnce(s, &PullRequest{Client: c, Group: "g", Topic: "orders", Offset: 4}); r.Code != CodeSuccess || r.Messages != 6 {
		t.Fatalf("it is told twice: code %d", r.Code)
	}
	commit(t, s, "g", 7)
	if place(t, s, "g") != 7 {
		t.Fatalf("the group cannot commit any more: it is at %d", place(t, s, "g"))
	}
}

// A pull that is held when its group is reset is answered at once.
func TestHeldPullIsToldOfAReset(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := committed(t, s, 3)
	mine, others := make(chan *PullResult, 1), make(chan *PullResult, 1)
	for group, ch := range map[string]chan *PullResult{"g": mine, "other": others} {
		s.Pull(&PullRequest{Client: c, Group: group, Topic: "orders", Offset: 3, SysFlag: PullSuspend, SuspendMillis: 60_000}, func(r *PullResult) { ch <- r })
	}
	reset(t, s, ResetRequest{QueueID: -1, Millis: 0})
	if r := <-mine; r.Code != CodePullOffsetMoved || r.NextBegin != 0 {
		t.Fatalf("code %d, next %d", r.Code, r.NextBegin)
	}
	if s.Held() != 1 {
		t.Fatalf("%d are held, expected the other group's", s.Held())
	}
}

// A reset is not lost when the broker ends before the group's next pull, and not told again once the group has committed.
func TestResetOutlivesTheBroker(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs, "log")
	c := committed(t, s, 5)
	reset(t, s, ResetRequest{QueueID: 0, Offset: 2})
	for _, want := range []int{CodePullOffsetMoved, CodeSuccess} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, fs, "log")
		if want == CodePullOffsetMoved {
			commit(t, s, "g", 5)
		}
		if r := pullOnce(s, &PullRequest{Client: c, Group: "g", Topic: "orders", Offset: 2}); r.Code != want {
			t.Fatalf("code %d %s, expected %d", r.Code, r.Remark, want)
		}
		commit(t, s, "g", 3)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhereAResetGoes(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	committed(t, s, 4)
	commit(t, s, "g", 1)
	for name, x := range map[string]struct {
		q              ResetRequest
		to             int64
		again, skipped int64
	}{
		"the end":            {ResetRequest{QueueID: -1, Offset: -1, Millis: -1}, 4, 0, 3},
		"the beginning":      {ResetRequest{QueueID: -1, Offset: -1}, 0, 1, 0},
		"one queue's end":    {ResetRequest{QueueID: 0, Offset: -1, Millis: -1}, 4, 0, 3},
		"behind the end":     {ResetRequest{QueueID: 0, Offset: 5}, 4, 0, 3},
		"an offset":          {ResetRequest{QueueID: 0, Offset: 1}, 1, 0, 0},
		"a time to come":     {ResetRequest{QueueID: 0, Offset: -1, Millis: time.Now().Add(time.Hour).UnixMilli()}, 4, 0, 3},
		"offset of no queue": {ResetRequest{QueueID: -1, Offset: 3, Millis: -1}, 4, 0, 3},
	} {
		x.q.Group, x.q.Topic = "g", "orders"
		got, err := s.PlanReset(x.q)
		if err != nil || got[0].To != x.to || got[0].Again != x.again || got[0].Skipped != x.skipped || place(t, s, "g") != 1 {
			t.Errorf("%s: %+v %v, expected %+v", name, got, err, x)
		}
	}
	for code, q := range map[int]ResetRequest{
		CodeTopicNotExist:            {Group: "g", Topic: "none", QueueID: -1},
		CodeSubscriptionGroupMissing: {Group: "none", Topic: "orders", QueueID: -1},
		CodeSystemError:              {Group: "g", Topic: "orders", QueueID: 0, Offset: 6},
		CodeInvalidParameter:         {Group: "g", Topic: "orders", QueueID: 99, Offset: 0},
	} {
		if _, err := s.ResetOffsets(q); err == nil || err.Code != code {
			t.Errorf("%+v: %v, expected code %d", q, err, code)
		}
	}
}

// A group that is gone takes its marks with it.
func TestMarkGoesWithTheGroup(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := committed(t, s, 3)
	reset(t, s, ResetRequest{QueueID: 0, Offset: 1})
	if err := s.DeleteGroup(t.Context(), "g"); err != nil {
		t.Fatal(err)
	}
	if r := pullOnce(s, &PullRequest{Client: c, Group: "g", Topic: "orders", Offset: 3}); r.Code != CodePullNotFound {
		t.Fatalf("a new group is told of the old one's reset: code %d, next %d", r.Code, r.NextBegin)
	}
}

func TestCloneOffsets(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	committed(t, s, 3)
	all := func(string) bool { return true }
	if n, err := s.CloneOffsets("g", "h", "", "me", all); err != nil || n != 1 || place(t, s, "h") != 3 {
		t.Fatalf("%d cloned, %v", n, err)
	}
	for name, wanted := range map[string]func(string) bool{"other": all, "orders": func(string) bool { return false }} {
		if n, err := s.CloneOffsets("g", "i", name, "me", wanted); err != nil || n != 0 {
			t.Fatalf("%d cloned, %v", n, err)
		}
	}
	got := s.CorrectionOffsets("orders", "g", []string{"h"})
	if len(got) != 1 || got[0] != 3 {
		t.Fatalf("corrections %v", got)
	}
}

func TestTimeSpans(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	committed(t, s, 3)
	commit(t, s, "g", 2)
	spans, err := s.TimeSpans("g", "orders")
	if err != nil || len(spans) != 4 {
		t.Fatalf("%+v %v", spans, err)
	}
	if a := spans[0]; a.Oldest <= 0 || a.Newest < a.Oldest || a.Consumed < a.Oldest || a.Consumed > a.Newest || a.Delay < 0 {
		t.Errorf("%+v", a)
	}
	if b := spans[1]; b.Oldest != -1 || b.Newest != -1 || b.Consumed != -1 || b.Delay != 0 {
		t.Errorf("an empty queue: %+v", b)
	}
	if _, err := s.TimeSpans("g", "none"); err == nil || err.Code != CodeTopicNotExist {
		t.Errorf("%v", err)
	}
}
