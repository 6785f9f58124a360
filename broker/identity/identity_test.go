package identity

import (
	"errors"
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
)

func TestWipedNodeIsNotHeard(t *testing.T) {
	disk := vfs.NewMem()
	a, err := Open(disk, "data", 1)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Open(vfs.NewMem(), "data", 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Vet(2, two.Incarnation()); err != nil {
		t.Fatal(err)
	}
	again, err := Open(disk, "data", 1)
	if err != nil || again.Incarnation() != a.Incarnation() {
		t.Fatalf("the incarnation changed with a restart: %v", err)
	}
	if err := again.Vet(2, two.Incarnation()); err != nil {
		t.Errorf("a restart on the other side: %v", err)
	}
	wiped, err := Open(vfs.NewMem(), "data", 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Vet(2, wiped.Incarnation()); !errors.Is(err, ErrWiped) {
		t.Errorf("a wiped node was heard: %v", err)
	}
	if _, err := Open(disk, "data", 3); err == nil {
		t.Error("the folder of node 1 was taken for node 3")
	}
}

// A node whose broker group's folder was lost, or was not mounted, voted in it with an empty log: it had kept its incarnation.
func TestAMemberWithoutItsLogIsNotOpened(t *testing.T) {
	disk := vfs.NewMem()
	i, err := Open(disk, "data", 1)
	if err != nil {
		t.Fatal(err)
	}
	founders := []uint64{1, 2, 3}
	if err := errors.Join(i.Check("a", founders, true), i.Opened("a", founders)); err != nil {
		t.Fatal(err)
	}
	if i, err = Open(disk, "data", 1); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(i.Check("a", founders, false), i.Check("a", founders[:2], false), i.Check("b", founders, true)); err != nil {
		t.Fatal(err)
	}
	if err := i.Check("a", founders, true); !errors.Is(err, ErrLogGone) {
		t.Errorf("an empty log: %v", err)
	}
	if i.Check("a", []uint64{1, 2, 3, 4}, false) == nil {
		t.Error("a node that was added is taken for a founder")
	}
}
