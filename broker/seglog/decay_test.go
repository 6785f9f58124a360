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
