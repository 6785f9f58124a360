package shard

import (
	"errors"
	"fmt"
	"testing"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/txn"
	"github.com/contrailmq/contrail/broker/vfs"
)

// counting is deeds that each add one to what is in the state: an offset of a group that is named like its key. Two that saw the same value
// would lose one.
type counting struct {
	n     *trio
	ended map[*Batch]error
}

func (c *counting) value(m *Stepper, group string) int64 {
	v, _ := m.Offsets().Get(offset.Key{Group: group, Topic: "t"})
	return v.Offset
}

// add submits a deed to a member; limit is the value at which it does not hold any more.
func (c *counting) add(m *Stepper, group string, key uint64, limit int64) *Batch {
	b := &Batch{Deed: &Deed{Keys: []uint64{key}}, Done: func(b *Batch) { c.ended[b] = b.Err }}
	b.Deed.Holds = func(int64) error {
		v := c.value(m, group)
		if v >= limit {
			return errLimit
		}
		b.Deed.Commands = []Command{{entry.KindOffsetReset, entry.AppendOffset(nil, &entry.Offset{Group: group, Topic: "t", Offset: v + 1})}}
		return nil
	}
	m.Submit(b)
	return b
}

var errLimit = errors.New("it is high enough")

// Deeds that touch the same thing see each other's outcome, those that do not share an entry.
func TestDeedsSeeWhatCameBefore(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	m := n.members[n.led()]
	c := &counting{n: n, ended: map[*Batch]error{}}
	before := m.Applied()
	for range 10 {
		for key := range uint64(20) {
			c.add(m, fmt.Sprint("g", key), key, 7)
		}
	}
	n.run(30)
	held := 0
	for _, err := range c.ended {
		if err == nil {
			held++
		} else if !errors.Is(err, errLimit) {
			t.Fatal(err)
		}
	}
	if len(c.ended) != 200 || held != 20*7 {
		t.Fatalf("%d of 200 deeds ended, %d held, expected %d", len(c.ended), held, 20*7)
	}
	for key := range uint64(20) {
		if v := c.value(m, fmt.Sprint("g", key)); v != 7 {
			t.Errorf("g%d is %d, expected 7", key, v)
		}
	}
	if entries := m.Applied() - before; entries > 20 {
		t.Errorf("%d entries for seven rounds of deeds that do not touch each other", entries)
	}
	if len(m.deeds.claimed)+len(m.deeds.waiting) > 0 || m.inbox.undone != 0 {
		t.Errorf("%d keys are claimed, %d deeds wait, %d are counted", len(m.deeds.claimed), len(m.deeds.waiting), m.inbox.undone)
	}
}

// What a leader that was voted out had on its way does not keep the deeds of its next term from being formed.
func TestDeedsAfterAnotherTerm(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	first := n.led()
	m, c := n.members[first], &counting{n: n, ended: map[*Batch]error{}}
	lost := c.add(m, "g", 1, 10)
	m.Turn() // it is proposed, and nobody hears of it
	n.sent = nil
	delete(n.members, first)
	n.led()
	n.members[first] = m
	n.run(30)
	if err := c.ended[lost]; err == nil || len(c.ended) != 1 {
		t.Fatalf("a deed that nobody heard of: %v, %d answers", err, len(c.ended))
	}
	m.node.Campaign()
	n.run(2)
	for range 20 {
		if n.leader() == first {
			break
		}
		if l := n.leader(); l != 0 {
			n.members[l].node.Transfer(first)
		}
		n.run(1)
	}
	if n.leader() != first {
		t.Fatalf("member %d leads, expected %d", n.leader(), first)
	}
	c.add(m, "g", 1, 10)
	n.run(5)
	if v := c.value(m, "g"); v != 1 {
		t.Errorf("after the second term's deed the value is %d, expected 1", v)
	}
}

// A deed that touches two things gets its turn, however many come behind it that touch one of them.
func TestDeedsWithManyKeysDoNotStarve(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	m := n.members[n.led()]
	c := &counting{n: n, ended: map[*Batch]error{}}
	c.add(m, "a", 1, 1000)
	m.Turn()
	both := c.add(m, "both", 1, 1000)
	both.Deed.Keys = []uint64{1, 2}
	for range 50 { // each round brings another one for each of the two
		c.add(m, "a", 1, 1000)
		c.add(m, "b", 2, 1000)
		n.turn()
		if _, ok := c.ended[both]; ok {
			return
		}
	}
	t.Error("it still waits")
}

// A leader that was cut off does not know what was decided meanwhile: it must not say that a deed does not hold. It did, and who ended a
// transaction that it did not know yet was told that there is none (the simulator, seed 25 of the focus on transactions).
func TestWhoMayHaveBeenReplacedRefusesNothing(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	l := n.led()
	for _, id := range n.ids() {
		if id != l {
			delete(n.members, id)
		}
	}
	c := &counting{n: n, ended: map[*Batch]error{}}
	b := c.add(n.members[l], "g", 1, 0)
	n.run(2)
	if err, ended := c.ended[b]; ended {
		t.Fatalf("it is refused by who is alone: %v", err)
	}
	n.run(40)
	if err := c.ended[b]; !errors.Is(err, ErrNotLeader) {
		t.Fatalf("when it knows that it does not lead: %v", err)
	}
}

// The topic of a committed message was deleted while the commit waited: the transaction was said to be committed, and its message was nowhere
// (the simulator, seed 13 of the focus on transactions). It stays open instead, and is given up in the end.
func TestNothingIsDecidedWithoutItsMessage(t *testing.T) {
	s := halves(t, vfs.NewMem(), 1)
	h, _ := s.Txn().Find(0)
	var ends []error
	end := func() *Batch {
		b := ending(s.Shard, txn.Wish{Offset: 0, Position: h.Position, Group: "g", Decision: entry.TxnCommit, How: entry.TxnByProducer}, func(err error) { ends = append(ends, err) })
		b.Put(Item{Queue: s.Index().Lookup("orders").Queue(0)}, &message.Draft{Topic: []byte("orders"), Body: []byte("paid"), BornHost: host, StoreHost: host})
		return b
	}
	late := end()
	s.Command(entry.KindTopicDelete, []byte("orders"))
	settle(t, s)
	s.Submit(late)
	settle(t, s)
	if len(ends) != 1 || !errors.Is(ends[0], ErrGone) || s.Txn().Counts().Open != 1 {
		t.Fatalf("%v, %+v", ends, s.Txn().Counts())
	}
	s.Command(entry.KindTopicPut, topicBody(t, "orders"))
	settle(t, s)
	s.Submit(end())
	settle(t, s)
	if _, stored, _ := s.Index().Lookup("orders").Queue(0).Bounds(); len(ends) != 2 || ends[1] != nil || stored != 1 {
		t.Errorf("in the topic that was made again: %v, %d messages", ends, stored)
	}
}
