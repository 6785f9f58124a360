package seglog

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
)

// A tool that looks at a log while its broker begins a segment must not take that segment away.
func TestReadOnlyRemovesNothing(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, fs)
	fill(t, l, 3)
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	last := l.LastIndex()
	begun := filepath.Join("log", "000000000002.seg") // its header is not written yet
	f, err := fs.Create(begun)
	if err == nil {
		err = f.Allocate(SegmentBytesMin)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(fs, "log", Options{SegmentBytes: SegmentBytesMin, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.LastIndex() != last {
		t.Errorf("the last entry is %d, expected %d", r.LastIndex(), last)
	}
	if _, err := fs.Open(begun); err != nil {
		t.Fatalf("the new segment is gone: %v", err)
	}
}

// Who reads while retention takes the segment is told so, not that the log is damaged.
func TestReadingWhatRetentionTakesIsNoDamage(t *testing.T) {
	for _, how := range []string{"read", "position", "bytes"} {
		var during func()
		fault := &vfs.Fault{FS: vfs.OS{}, Hook: func(op vfs.Op, name string) error {
			if f := during; op == vfs.OpRead && f != nil {
				during = nil
				f()
			}
			return nil
		}}
		l, err := Open(fault, t.TempDir(), Options{SegmentBytes: SegmentBytesMin, Foreground: true})
		if err != nil {
			t.Fatal(err)
		}
		for len(l.Segments()) < 3 {
			fill(t, l, 1)
		}
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		second := l.Segments()[1].FirstIndex
		during = func() {
			if n, err := l.DropBefore(second); n != 1 || err != nil {
				t.Errorf("dropped %d: %v", n, err)
			}
		}
		switch how {
		case "read":
			_, err = l.Read(1, 1, func(Record) error { return nil })
		case "position":
			_, err = l.PositionOf(1)
		case "bytes":
			err = l.ReadAt(make([]byte, 8), RecordHeaderSize)
		}
		if !errors.Is(err, ErrCompacted) {
			t.Errorf("%s: %v", how, err)
		}
		_ = l.Close()
	}
}

// TestALostSegmentIsDamage: retention takes a segment's entry table first, so a table without its segment is no retention.
func TestALostSegmentIsDamage(t *testing.T) {
	fs := vfs.NewMem()
	l, err := Open(fs, "log", Options{SegmentBytes: SegmentBytesMin, Foreground: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); len(l.Segments()) < 5; i++ {
		if _, err := l.Append(Entry{Index: i, Term: 1, Data: make([]byte, 4000)}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := l.DropBefore(l.Segments()[2].FirstIndex); n != 2 || err != nil {
		t.Fatalf("%d segments dropped: %v", n, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(fs, "log", Options{SegmentBytes: SegmentBytesMin, Foreground: true}); err != nil {
		t.Fatalf("after retention: %v", err)
	}
	lost := l.Segments()[0].Name
	if err := errors.Join(l.Close(), fs.Remove(lost)); err != nil {
		t.Fatal(err)
	}
	var damage *CorruptError
	if _, err := Open(fs, "log", Options{SegmentBytes: SegmentBytesMin, Foreground: true}); !errors.As(err, &damage) || damage.Segment != lost {
		t.Fatalf("a lost segment was not noticed: %v", err)
	}
}
