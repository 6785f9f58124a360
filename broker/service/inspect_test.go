package service

import (
	"context"
	"testing"

	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/vfs"
)

// A queue that is consumed in order says which message holds up the others, and who has it.
func TestHeadOfAnOrderedQueue(t *testing.T) {
	s := open(t, vfs.NewMem(), "log")
	defer s.Close()
	c := NewClient(addr, "remoting")
	orders(t, s, c, 5)
	head := func() *inspect.Head {
		g, _ := s.InspectGroup("g")
		for _, q := range g.Queues {
			if q.Topic == "orders" && q.QueueID == 0 {
				return q.Head
			}
		}
		return nil
	}
	if h := head(); h != nil {
		t.Errorf("of a group that never came: %+v", h)
	}
	got := popSome(t, s, popping(c, 2, inOrder("a")))
	h := head()
	if h == nil || h.Offset != 0 || h.UniqKey != "IDt0" || h.Behind != 4 || h.Until == 0 || h.Since == 0 {
		t.Fatalf("popped: %+v", h)
	}
	ackAll(t, s, c, got)
	if h := head(); h != nil {
		t.Errorf("acknowledged: %+v", h)
	}
	queues := []group.QueueRef{{Topic: "orders", Broker: s.opts.Broker}}
	if held, err := s.LockQueues(context.Background(), "g", "c1", queues); err != nil || len(held) != 1 {
		t.Fatal(held, err)
	}
	if h := head(); h == nil || h.Offset != 2 || h.Client != "c1" || h.Behind != 2 {
		t.Errorf("locked: %+v", h)
	}
}
