package seglog

import (
	"errors"
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
)

// The record of a vote was what was damaged: what was salvaged named the vote before it, and the member might have voted twice in a term.
func TestSalvageDoesNotVoteInATermOfWhichItMayHaveForgotten(t *testing.T) {
	disk := vfs.NewMem()
	l := mustOpen(t, disk)
	entries(t, l, 1, 100)
	for _, vote := range []uint64{0, 2} {
		if err := l.SetHardState(HardState{Term: 5, Vote: vote}); err != nil {
			t.Fatal(err)
		}
	}
	at := int64(l.active.mu.end) - RecordSize(len(l.hard.encode()))
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := disk.Flip(l.active.name, at+4, 1); err != nil {
		t.Fatal(err)
	}
	if got, err := Salvage(disk, l.dir); err != nil || got.Hard.Term != 5 || got.Hard.Vote != nobody {
		t.Fatalf("salvaged %+v, %v", got, err)
	}
}

// counted counts open files.
type counted struct {
	vfs.FS
	open int
}

type countedFile struct {
	vfs.File
	fs *counted
}

func (c *counted) Open(name string) (vfs.File, error) {
	f, err := c.FS.Open(name)
	if err != nil {
		return nil, err
	}
	c.open++
	return &countedFile{f, c}, nil
}

func (f *countedFile) Close() error {
	f.fs.open--
	return f.File.Close()
}

// A log that does not open, and is put aside by a running process, left the files of all its segments open.
func TestALogThatDoesNotOpenLeavesNoFileOpen(t *testing.T) {
	disk := vfs.NewMem()
	l := mustOpen(t, disk)
	for range 3 {
		entries(t, l, 2, 1000)
		if err := l.Roll(); err != nil {
			t.Fatal(err)
		}
	}
	entries(t, l, 2, 1000)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := disk.Flip(segmentName(l.dir, 2), 20, 1); err != nil {
		t.Fatal(err)
	}
	c := &counted{FS: disk}
	_, err := Open(c, l.dir, Options{SegmentBytes: SegmentBytesMin, Foreground: true})
	if damage := new(CorruptError); !errors.As(err, &damage) {
		t.Fatal(err)
	}
	if c.open != 0 {
		t.Fatalf("%d files are open", c.open)
	}
}
