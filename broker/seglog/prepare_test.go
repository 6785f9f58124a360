package seglog

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/contrailmq/contrail/broker/vfs"
)

// zeroes counts how often a file is begun to be filled with zeros.
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

func (z zeroesFile) Zero(from, to int64) error {
	if from == 0 {
		z.n.Add(1)
	}
	return z.File.Zero(from, to)
}

// made waits for the next segment, and says how often it was filled.
func made(t *testing.T, l *Log, filled *atomic.Int64) int64 {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !l.prepare.ready.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the next segment was not prepared")
		}
	}
	return filled.Swap(0)
}

// Zeros double what the disk is given, and are worth it only where syncs are small.
func TestTheNextSegmentIsFilledWhileSyncsAreSmall(t *testing.T) {
	var filled atomic.Int64
	l, err := Open(zeroes{vfs.NewMem(), &filled}, "log", Options{SegmentBytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i, step := range []struct {
		perSync int
		filled  int64
	}{{1, 1}, {10, 0}, {10, 0}, {2, 1}, {1, 1}} {
		for int64(l.active.mu.end) < l.opts.SegmentBytes/2 {
			entries(t, l, step.perSync, 10_000)
		}
		if got := made(t, l, &filled); got != step.filled {
			t.Fatalf("step %d: %d entries of 10 000 bytes in each sync: filled %d times, want %d", i, step.perSync, got, step.filled)
		}
		for seq := l.active.seq; l.active.seq == seq; {
			entries(t, l, step.perSync, 10_000)
		}
	}
}

// A log that was opened again has not been seen to sync: its segments are filled until it was.
func TestAReopenedLogFillsItsNextSegment(t *testing.T) {
	var filled atomic.Int64
	fs := zeroes{vfs.NewMem(), &filled}
	opts := Options{SegmentBytes: 1 << 20, Foreground: true}
	l, err := Open(fs, "log", opts)
	if err != nil {
		t.Fatal(err)
	}
	entries(t, l, 50, 10_000)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	opts.Foreground = false
	if l, err = Open(fs, "log", opts); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := made(t, l, &filled); got != 1 {
		t.Fatalf("filled %d times, want once", got)
	}
}

// slowZeroes waits, in the second piece of zeros, until the log wants the file.
type slowZeroes struct {
	vfs.FS
	log    atomic.Pointer[Log]
	begun  chan struct{}
	pieces atomic.Int64
}

type slowZeroesFile struct {
	vfs.File
	fs *slowZeroes
}

func (z *slowZeroes) Create(name string) (vfs.File, error) {
	f, err := z.FS.Create(name)
	return slowZeroesFile{f, z}, err
}

func (z slowZeroesFile) Zero(from, to int64) error {
	if z.fs.pieces.Add(1) == 2 {
		close(z.fs.begun)
		for deadline := time.Now().Add(30 * time.Second); !z.fs.log.Load().prepare.hurry.Load(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				return errors.New("nobody wanted the file")
			}
		}
	}
	return z.File.Zero(from, to)
}

// A log that fills its segment faster than zeros are written goes on with what there is.
func TestALogDoesNotWaitForZeros(t *testing.T) {
	fs := &slowZeroes{FS: vfs.NewMem(), begun: make(chan struct{})}
	l, err := Open(fs, "log", Options{SegmentBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fs.log.Store(l)
	for range 30 {
		entries(t, l, 5, 10_000)
	}
	select {
	case <-fs.begun:
	case <-time.After(30 * time.Second):
		t.Fatal("no zeros were written")
	}
	for l.active.seq == 1 {
		entries(t, l, 1, 1_000_000)
	}
	if got := fs.pieces.Load(); got != 2 {
		t.Fatalf("%d pieces of zeros were written, want 2", got)
	}
}
