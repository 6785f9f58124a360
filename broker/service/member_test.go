package service

import (
	"context"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/vfs"
)

// lone is a member of three that hears of nobody.
func lone(t *testing.T) *Service {
	return open(t, vfs.NewMem(), "log", func(o *Options) {
		o.MemberID, o.Voters, o.Send = 2, []uint64{1, 2, 3}, func([]*pb.Message) {}
	})
}

func TestMemberThatDoesNotLeadRefuses(t *testing.T) {
	s := lone(t) // Open does not wait for a leader
	defer s.Close()
	if s.Leads() || s.Leader() != 0 || s.BrokerID() != 2 || s.InspectNode().Leader {
		t.Fatalf("leads %v, leader %d, broker id %d", s.Leads(), s.Leader(), s.BrokerID())
	}
	if r := send(t, s, NewClient(addr, "remoting"), header("orders", "a", 0), "x"); r.Code == 0 || s.Held() != 0 {
		t.Fatalf("sent: %+v", r)
	}
	ch := make(chan *Error, 1)
	s.CommitOffset(entry.Offset{Group: "g", Topic: "orders"}, func(err *Error) { ch <- err })
	if err := <-ch; !err.NotLed() || err.Code != CodeServiceNotAvailable || !strings.Contains(err.Text, "broker-a") {
		t.Fatalf("commit: %v", err)
	}
	s.CommitOffset(entry.Offset{Group: "g", Topic: "orders"}, nil)
	if _, ok := s.Shard().Offsets().Get(offset.Key{Group: "g", Topic: "orders"}); ok || s.Shard().Offsets().Dirty() {
		t.Fatal("a member that does not lead noted an offset")
	}
	if _, err := s.EnsureGroup(context.Background(), "g"); !err.NotLed() {
		t.Fatalf("group: %v", err)
	}
	if r := pullOnce(s, &PullRequest{Group: "g", Topic: "orders", Follower: true}); r.Code != CodeServiceNotAvailable {
		t.Fatalf("pull: %d %s", r.Code, r.Remark)
	}
}

// TestLaggingMemberDoesNotMoveClients: a consumer that is ahead of the member that answers for want of a leader must not be sent back.
func TestLaggingMemberDoesNotMoveClients(t *testing.T) {
	s := open(t, vfs.NewMem(), "data")
	defer s.Close()
	c := NewClient(addr, "remoting")
	ok(t, send(t, s, c, header("orders", "a", 0), "x"))
	req := func(follower bool) *PullRequest {
		return &PullRequest{Client: c, Group: "g", Topic: "orders", Subscription: "*", Offset: 100, Follower: follower}
	}
	if r := pullOnce(s, req(true)); r.Code != CodePullNotFound || r.NextBegin != 100 {
		t.Errorf("a lagging member answers %d %s, next %d", r.Code, r.Remark, r.NextBegin)
	}
	if r := pullOnce(s, req(false)); r.Code != CodePullOffsetMoved || r.NextBegin != 1 {
		t.Errorf("the leader answers %d %s, next %d", r.Code, r.Remark, r.NextBegin)
	}
}

func TestMemberWithoutAMajorityStopsSoon(t *testing.T) {
	s := lone(t)
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Fatalf("it took %v", took)
	}
}

// What may be stored is not refused as if it were not, and with a code with which producers send again.
func TestUncertainOutcomeIsSaid(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	if err := s.refuse(shard.ErrUncertain); err.Code != CodeSystemError || !strings.HasPrefix(err.Text, OutcomeUnknown) || err.NotLed() {
		t.Fatalf("%v", err)
	}
	if err := s.refuse(shard.ErrNotLeader); err.Code != CodeServiceNotAvailable || !err.NotLed() {
		t.Fatalf("%v", err)
	}
}
