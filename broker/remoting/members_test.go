package remoting

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// info asks a member about its broker group.
func (m *oneOfThree) info(t *testing.T) (g inspect.BrokerGroup) {
	t.Helper()
	a := m.client().ok(wire.BrokerGroupInfo, "")
	if err := json.Unmarshal(a.Body, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func voters(g inspect.BrokerGroup) (ids []uint64) {
	for _, m := range g.Members {
		ids = append(ids, m.ID)
	}
	return ids
}

// TestAnyMemberIsAskedToMoveTheLeader: the request goes to the leader, wherever it is sent.
func TestAnyMemberIsAskedToMoveTheLeader(t *testing.T) {
	g := startTrio(t)
	l, to := g.follow(), g.followers()[0]
	id := strconv.FormatUint(to.id, 10)
	g.await("the leader to know that the member follows", func() bool {
		return g.followers()[1].client().do(wire.BrokerGroupTransfer, "", "member", id).Code == 0
	})
	g.await("the member to lead", func() bool { return g.leader() == to })
	if got := to.info(t); !got.Leads || got.Leader != to.id {
		t.Fatalf("%+v", got)
	}
	a := l.client().do(wire.BrokerGroupTransfer, "", "member", "9")
	if a.Code != service.CodeInvalidParameter {
		t.Fatalf("a member that does not exist shall lead: code %d %s", a.Code, a.Remark)
	}
}

// TestMemberIsRemovedUnderLoad: messages are stored all the while, and the rest of the group goes on without it.
func TestMemberIsRemovedUnderLoad(t *testing.T) {
	g := startTrio(t)
	l, gone := g.follow(), g.followers()[0]
	c := l.client()
	c.ok(wire.SendMessageV2, "before", sendFields("orders")...)
	for add, remove := range map[string]string{"0": "0", "1": "0", "4": "0", "7": "9", "2": "2"} {
		if a := c.do(wire.BrokerGroupMembers, "", "add", add, "remove", remove); a.Code != service.CodeInvalidParameter {
			t.Errorf("add %s, remove %s: code %d %s", add, remove, a.Code, a.Remark)
		}
	}
	if a := c.do(wire.BrokerGroupMembers, "", "remove", strconv.FormatUint(l.id, 10)); a.Code != service.CodeInvalidParameter {
		t.Errorf("the leader was removed: code %d %s", a.Code, a.Remark)
	}
	c.ok(wire.BrokerGroupMembers, "", "remove", strconv.FormatUint(gone.id, 10))
	g.await("the member to be gone", func() bool {
		c.ok(wire.SendMessageV2, "meanwhile", sendFields("orders")...)
		return !slices.Contains(voters(l.info(t)), gone.id)
	})
	gone.end()
	c.ok(wire.SendMessageV2, "after", sendFields("orders")...)
}
