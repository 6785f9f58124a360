package seglog

import (
	"errors"
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
)

// A snapshot arrived on a full disk: the install failed half-way, with no way back, and the member stopped. Now the space is taken before, and
// what was taken is enough.
func TestAnInstallTakesItsSpaceBefore(t *testing.T) {
	from, disk := mustOpen(t, vfs.NewMem()), vfs.NewMem()
	entries(t, from, 3, 100)
	if err := from.Roll(); err != nil {
		t.Fatal(err)
	}
	to := mustOpen(t, disk)
	entries(t, to, 1, 10)
	first, last := send(t, from, to)
	disk.Capacity = disk.Used() + SegmentBytesMin/2
	if _, err := to.CheckIncoming(first, last, Check{}); !errors.Is(err, vfs.ErrNoSpace) {
		t.Fatalf("checked on a full disk: %v", err)
	}
	entries(t, to, 1, 10) // the old log goes on
	disk.Capacity = 0
	in, err := to.CheckIncoming(first, last, Check{})
	if err != nil {
		t.Fatal(err)
	}
	disk.Capacity = disk.Used()
	if err := to.Install(in, nil); err != nil {
		t.Fatalf("installed on a disk that is full now: %v", err)
	}
	if to.LastIndex() != 3 || to.Failed() != nil {
		t.Fatalf("entry %d, %v", to.LastIndex(), to.Failed())
	}
}
