package shard

import (
	"bytes"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/txn"
	"github.com/contrailmq/contrail/broker/vfs"
)

// halfBatch is n half messages of group g.
func halfBatch(topic *queue.Topic, n int) *Batch {
	b := &Batch{Done: func(*Batch) {}}
	for range n {
		from := len(b.Buf)
		props := message.AppendProperty(nil, message.PropProducerGroup, "g")
		props = message.AppendProperty(props, message.PropRealTopic, "orders")
		b.Buf = message.Append(b.Buf, &message.Draft{Topic: []byte(topic.Name), Body: make([]byte, 100), Properties: props, BornHost: host, StoreHost: host})
		b.Items = append(b.Items, Item{From: from, To: len(b.Buf), Queue: topic.Queue(0)})
	}
	return b
}

// halves is a group with n open transactions.
func halves(t *testing.T, fs vfs.FS, n int) Stepper {
	t.Helper()
	s := stepped(t, fs)
	for _, name := range []string{"orders", txn.HalfTopic} {
		s.Command(entry.KindTopicPut, topicBody(t, name))
	}
	settle(t, s)
	for left := n; left > 0; left -= 50 {
		s.Submit(halfBatch(s.Index().Lookup(txn.HalfTopic), min(left, 50)))
		settle(t, s)
	}
	return s
}

// ending is a deed that ends a transaction, as a service would submit it.
func ending(s *Shard, w txn.Wish, done func(error)) *Batch {
	return &Batch{Deed: s.EndDeed(&w, "c", 6000), Done: func(b *Batch) { done(b.Err) }}
}

// What is open, was checked and was decided is the same after a restart, whichever segments were sealed.
func TestTransactionsAreFoundAgain(t *testing.T) {
	for _, seals := range []int{0, 1, 3} {
		fs := vfs.NewMem()
		s := halves(t, fs, 2000)
		if c := s.Txn().Counts(); c.Open != 2000 {
			t.Fatalf("%+v", c)
		}
		h, _ := s.Txn().Find(7)
		if raw, err := s.Message(nil, h.Position, int(h.Size)); err != nil || h.Sum != crc32.Checksum(raw, castagnoli) {
			t.Fatalf("checksum %x: %v", h.Sum, err)
		}
		h.Sum = 0
		rows, err := s.Index().Lookup(txn.HalfTopic).Queue(0).Rows(nil, 7, 1)
		if err != nil || h != (txn.Half{Offset: 7, Position: rows[0].Pos, Size: int32(rows[0].Size), Group: "g", StoredMillis: rows[0].Millis}) {
			t.Fatalf("%+v, the index has %+v: %v", h, rows, err)
		}
		proposed(t, s, entry.KindTxnCheck, entry.AppendTxnCheck(nil, &entry.TxnCheck{Offset: 7, AtMillis: 5, Times: 1, Group: "g"}))
		proposed(t, s, entry.KindTxnEnd, entry.AppendTxnEnd(nil, &entry.TxnEnd{Offset: 7, Position: h.Position, Decision: entry.TxnCommit, How: entry.TxnByCheck}))
		sealSome(t, s, seals)
		want := s.Txn().Save()
		s = stepped(t, fs.Kill())
		if c := s.Txn().Counts(); !bytes.Equal(s.Txn().Save(), want) || c.Open != 1999 || c.Committed != 1 || c.ChecksAsked != 1 {
			t.Fatalf("after %d seals and a restart: %+v", seals, c)
		}
	}
}

// The producer commits twice and rolls back: the first decision wins, on every member.
func TestTheFirstDecisionWins(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	m := n.members[n.led()]
	m.Command(entry.KindTopicPut, topicBody(t, txn.HalfTopic))
	n.run(2)
	m.Submit(halfBatch(m.Index().Lookup(txn.HalfTopic), 1))
	n.run(2)
	h, ok := m.Txn().Find(0)
	if !ok {
		t.Fatal("nothing is open")
	}
	var ends []error
	for _, d := range []entry.TxnDecision{entry.TxnCommit, entry.TxnRollback, entry.TxnCommit} {
		m.Submit(ending(m.Shard, txn.Wish{Offset: 0, Position: h.Position, Group: "g", Decision: d, How: entry.TxnByProducer}, func(err error) { ends = append(ends, err) }))
	}
	n.run(10)
	var refusal *txn.Refusal
	if len(ends) != 3 || ends[0] != nil || !errors.As(ends[1], &refusal) || !errors.Is(ends[2], txn.ErrDecided) {
		t.Fatalf("%v", ends)
	}
	for id, other := range n.members {
		if c := other.Txn().Counts(); c.Committed != 1 || c.Open != 0 || !bytes.Equal(other.Txn().Save(), m.Txn().Save()) {
			t.Errorf("member %d: %+v", id, c)
		}
	}
}

// An end of what is not open stops the member: the log contradicts itself.
func TestAVoidEndStopsTheMember(t *testing.T) {
	s := halves(t, vfs.NewMem(), 1)
	s.Command(entry.KindTxnEnd, entry.AppendTxnEnd(nil, &entry.TxnEnd{Offset: 1, Decision: entry.TxnCommit, How: entry.TxnByProducer}))
	for range 5 {
		s.Turn()
		if s.Syncing() {
			s.EndSync()
		}
	}
	if err := s.Failed(); err == nil || !strings.Contains(err.Error(), "end of transaction 1: it is not open") {
		t.Fatalf("%v", err)
	}
}

// Retention keeps a segment while a half message in it is not decided.
func TestRetentionKeepsWhatIsNotDecided(t *testing.T) {
	var events []string
	s, rng := halves(t, vfs.NewMem(), 1), rand.New(rand.NewPCG(1, 1))
	s.opts.Event = func(kind, text string) { events = append(events, kind+": "+text) }
	s.opts.RetentionBytes = 1
	for range 20 {
		s.Submit(batch(s.Index().Lookup("orders"), nil, 30, rng, func(*Batch) {}))
		settle(t, s)
	}
	for s.Seals() {
		s.Seal()
	}
	segments := len(s.Log().Segments())
	for range 2 {
		if err := s.retain(time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.Log().Segments()); n != segments || segments < 3 || len(events) != 1 || !strings.Contains(events[0], "half message 0 of g is not decided yet") {
		t.Fatalf("%d of %d segments are kept: %q", n, segments, events)
	}
	h, _ := s.Txn().Find(0)
	proposed(t, s, entry.KindTxnEnd, entry.AppendTxnEnd(nil, &entry.TxnEnd{Offset: 0, Position: h.Position, Decision: entry.TxnParked, How: entry.TxnByLastCheck}))
	if err := s.retain(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Log().Segments()); n >= segments {
		t.Fatalf("all %d segments are kept", n)
	}
}

// A half topic that is made anew begins with offset 0.
func TestAHalfTopicMadeAnewBeginsAnew(t *testing.T) {
	s := halves(t, vfs.NewMem(), 3)
	proposed(t, s, entry.KindTopicDelete, []byte(txn.HalfTopic))
	proposed(t, s, entry.KindTopicPut, topicBody(t, txn.HalfTopic))
	s.Submit(halfBatch(s.Index().Lookup(txn.HalfTopic), 1))
	settle(t, s)
	if c := s.Txn().Counts(); c.Open != 1 {
		t.Fatalf("%+v", c)
	}
}
