package seglog

import (
	"errors"
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
)

// Damage that a position or a cut came upon was an error like any other: the member stopped, though others could mend it.
func TestDamageIsSaidToBeDamage(t *testing.T) {
	for name, ask := range map[string]func(*Log) error{
		"position": func(l *Log) error { _, err := l.PositionOf(2); return err },
		"cut":      func(l *Log) error { return l.TruncateFrom(2) },
	} {
		for _, length := range []int64{0, RecordHeaderSize} { // of what is zeros
			disk := vfs.NewMem()
			l := mustOpen(t, disk)
			entries(t, l, 3, 100)
			at := int64(l.active.mu.table.offsets[1])
			if length == 0 {
				if err := disk.Flip(l.active.name, at+5, 1); err != nil {
					t.Fatal(err)
				}
			} else if _, err := l.active.file.WriteAt(make([]byte, length), at); err != nil {
				t.Fatal(err)
			}
			var damage *CorruptError
			err := ask(l)
			if !errors.As(err, &damage) || l.Failed() != nil {
				t.Errorf("%s: %v; the log: %v", name, err, l.Failed())
			}
		}
	}
}

// The header of the newest entry decayed (seed 1081055): the log was said to have reached the entry before, and the member voted again without
// what it had acknowledged.
func TestALostHeaderIsCounted(t *testing.T) {
	for _, damaged := range []int{0, 1, 2} {
		disk := vfs.NewMem()
		l := mustOpen(t, disk)
		entries(t, l, 3, 100)
		if err := l.Mark(); err != nil {
			t.Fatal(err)
		}
		if err := disk.Flip(l.active.name, int64(l.active.mu.table.offsets[damaged])+5, 1); err != nil {
			t.Fatal(err)
		}
		got, err := Salvage(disk, "log")
		if err != nil || !got.Known || got.Index < 3 || got.Index > 3+4 || damaged < 2 && got.Index != 3 {
			t.Errorf("entry %d of 3 damaged: reaches %+v (%v)", damaged+1, got, err)
		}
	}
	disk := vfs.NewMem()
	l := mustOpen(t, disk)
	if _, err := l.Append(Entry{Index: 1, Term: 1, Data: []byte("not only zeros")}); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	if got, err := Salvage(disk, "log"); err != nil || got.Index != 1 {
		t.Errorf("undamaged: %+v (%v)", got, err)
	}
}
