package service

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
)

// TestDecayedMessageIsNotDelivered flips a bit of a message's body on disk: clients do not check it, so the pull must not hand it out.
func TestDecayedMessageIsNotDelivered(t *testing.T) {
	disk := vfs.NewMem()
	s := open(t, disk, "data")
	defer s.Close()
	c := NewClient(s.opts.StoreHost, "remoting")
	ok(t, send(t, s, c, header("decay", "a", 0), "a body that will decay"))
	name := filepath.Join("data", disk.Names("data")[0])
	for _, n := range disk.Names("data") {
		if filepath.Ext(n) == ".seg" {
			name = filepath.Join("data", filepath.Base(n))
			break
		}
	}
	b, err := vfs.ReadFile(disk, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("will decay"))
	if err := disk.Flip(name, int64(at), 3); err != nil || at < 0 {
		t.Fatal(err, at)
	}
	r := pullOnce(s, &PullRequest{Client: c, Group: "g", Topic: "decay", Subscription: "*", MaxMessages: 32, Offset: 0})
	if r.Code == CodeSuccess {
		t.Fatalf("delivered %q", messages(t, r))
	}
}

// A half message that decayed is not stored again under a fresh checksum.
func TestDecayedHalfMessageIsNotCommitted(t *testing.T) {
	disk := vfs.NewMem()
	s := open(t, disk, "data", patient)
	defer s.Close()
	c := NewClient(s.opts.StoreHost, "remoting")
	r := ok(t, send(t, s, c, asking("orders", "a", "TRAN_MSG", "true", "PGROUP", "pg"), "a half that will decay"))
	for _, n := range disk.Names("data") {
		name := filepath.Join("data", filepath.Base(n))
		b, err := vfs.ReadFile(disk, name, 1<<20)
		if at := bytes.Index(b, []byte("will decay")); err == nil && at >= 0 {
			if err := disk.Flip(name, int64(at), 3); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := end(t, s, EndTxn{Client: c, Group: "pg", Offset: r.QueueOffset, Position: r.Position, Decision: TxnCommit}); err == nil {
		t.Fatal("committed")
	}
	if n := s.Shard().Txn().Counts(); n.Open != 1 {
		t.Errorf("%+v", n)
	}
}
