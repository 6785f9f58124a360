package seglog

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/vfs"
)

// zeroes counts how often a file is filled with zeros.
type zeroes struct {
	vfs.FS
	n *atomic.Int64
}

type zeroesFile struct {
	vfs.File
	n *atomic.Int64
}

func (z zeroes) Create(name string) (vfs.File, error) {
	f, err := z.FS.Create(name)
	return zeroesFile{f, z.n}, err
}

func (z zeroesFile) Zero(size int64) error {
	z.n.Add(1)
	return z.File.Zero(size)
}

// Zeros double what the disk is given, and are worth it only where syncs are small.
func TestTheNextSegmentIsFilledWhileSyncsAreSmall(t *testing.T) {
	var filled atomic.Int64
	l, err := Open(zeroes{vfs.NewMem(), &filled}, "log", Options{SegmentBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	made := func() int64 {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); !l.prepare.ready.Load(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the next segment was not prepared")
			}
		}
		return filled.Swap(0)
	}
	segment := func(perSync int) int64 { // writes one segment full, and says whether the one prepared then was filled
		t.Helper()
		for seq := l.active.seq; l.active.seq == seq; {
			entries(t, l, perSync, 10_000)
		}
		return made()
	}
	if got := made(); got != 1 {
		t.Fatalf("a new log's next segment was filled %d times, want once", got)
	}
	for i, step := range []struct {
		perSync int
		filled  int64
	}{{1, 1}, {50, 0}, {50, 0}, {2, 1}, {1, 1}} {
		if got := segment(step.perSync); got != step.filled {
			t.Fatalf("step %d: %d entries of 10 000 bytes in each sync: filled %d times, want %d", i, step.perSync, got, step.filled)
		}
	}
}
