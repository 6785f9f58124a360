package shard

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/vfs"
)

// Who holds a deleted topic's queues stores nothing in them, and does no harm to a topic of that name made later.
func TestDeletedTopicsQueuesTakeNothing(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	rng := rand.New(rand.NewPCG(5, 5))
	old := putTopic(t, s, "orders")
	send(t, s, batch(old, nil, 20, rng, nil))
	if err := s.Do(context.Background(), entry.KindTopicDelete, []byte("orders")); err != nil {
		t.Fatal(err)
	}
	again := putTopic(t, s, "orders")
	first := batch(again, nil, 1, rng, nil)
	first.Items[0].Queue = again.Queue(10)
	send(t, s, first)
	late := batch(again, nil, 1, rng, nil)
	late.Items[0].Queue = old.Queue(10) // a queue that was not there when the topic went
	send(t, s, late)
	for i := range late.Items {
		if !late.Items[i].Gone {
			t.Errorf("a message for a deleted topic was stored as offset %d", late.Items[i].Offset)
		}
	}
	send(t, s, batch(again, nil, 20, rng, nil))
	if err := s.Failed(); err != nil {
		t.Fatal(err)
	}
}
