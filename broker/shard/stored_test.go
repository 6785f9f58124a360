package shard

import (
	"bytes"
	"errors"
	"testing"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/txn"
	"github.com/contrailmq/contrail/broker/vfs"
)

// flipped inverts a bit of a stored message, so many bytes behind its begin.
func flipped(t *testing.T, fs *vfs.Mem, s *Shard, h *txn.Half, behind int) {
	t.Helper()
	raw, err := s.Message(nil, h.Position, int(h.Size))
	if err != nil {
		t.Fatal(err)
	}
	for _, seg := range s.Log().Segments() {
		b, err := vfs.ReadFile(fs, seg.Name, 1<<20)
		if at := bytes.Index(b, raw); err == nil && at >= 0 {
			err = fs.Flip(seg.Name, int64(at+behind), 3)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What is stored again gets new checksums on every member: a bit of its properties that decayed would be on all of them. Only bodies were
// checked (the simulator, seed 1011551).
func TestWhatDecayedIsNotStoredAgain(t *testing.T) {
	n := newTrio(t, 1, 2, 3)
	l := n.led()
	m := n.members[l]
	m.Command(entry.KindTopicPut, topicBody(t, txn.HalfTopic))
	n.run(2)
	m.Submit(halfBatch(m.Index().Lookup(txn.HalfTopic), 2))
	n.run(2)
	for offset, where := range []string{"of the other message of the entry", "of its own properties"} {
		h, _ := m.Txn().Find(int64(offset))
		if v, err := m.StoredReader().Message(h.Position, h.Size); err != nil || v.QueueOffset() != int64(offset) {
			t.Fatalf("before a bit decayed %s: %v", where, err)
		}
	}
	h, _ := m.Txn().Find(1)
	flipped(t, n.disks[l], m.Shard, &h, int(h.Size)-3)
	var damage *seglog.CorruptError
	for offset := range int64(2) {
		h, _ := m.Txn().Find(offset)
		if _, err := m.StoredReader().Message(h.Position, h.Size); !errors.As(err, &damage) {
			t.Errorf("half message %d: %v", offset, err)
		}
		if _, err := m.HalfMessage(&h); (offset == 0) != (err == nil) {
			t.Errorf("half message %d, whose checksum is known: %v", offset, err)
		}
	}
}

// Who has the only copy takes a message whose body is whole, and none whose body is not.
func TestTheOnlyCopyIsTakenAsItIs(t *testing.T) {
	fs := vfs.NewMem()
	s := halves(t, fs, 2)
	first, _ := s.Txn().Find(0)
	second, _ := s.Txn().Find(1)
	flipped(t, fs, s.Shard, &second, 120)
	if v, err := s.StoredReader().Message(first.Position, first.Size); err != nil || v.QueueOffset() != 0 {
		t.Errorf("a message beside one that decayed: %v", err)
	}
	if _, err := s.StoredReader().Message(second.Position, second.Size); !errors.Is(err, errLost) {
		t.Errorf("one whose body decayed: %v", err)
	}
}
