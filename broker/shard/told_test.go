package shard

import (
	"slices"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Who is removed hears nothing more: what says that its removal is committed is the last that it is told.
func TestWhoIsRemovedLearnsIt(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	lead := n.led()
	n.run(20)
	gone := lead%3 + 1
	cc, err := proto.Marshal(&pb.ConfChangeV2{Changes: []*pb.ConfChangeSingle{{Type: pb.ConfChangeRemoveNode.Enum(), NodeId: &gone}}})
	if err != nil {
		t.Fatal(err)
	}
	done := n.members[lead].ChangeMembers(cc)
	for range 10 { // between two heartbeats
		n.turn()
	}
	n.run(50)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if v := n.members[lead].Status().Members.Voters; slices.Contains(v, gone) {
		t.Fatalf("the leader has %v", v)
	}
	if v := n.members[gone].Status().Members.Voters; slices.Contains(v, gone) {
		t.Fatalf("member %d was removed and still believes to belong to %v", gone, v)
	}
}
