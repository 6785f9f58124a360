package seglog

import (
	"errors"
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
)

// A disk that does not answer says nothing about the bytes: a read error while the newest segment is scanned was once taken for a
// torn tail, and what was synced behind it was cut.
func TestAReadErrorIsNeitherDamageNorATornTail(t *testing.T) {
	disk := vfs.NewMem()
	l := mustOpen(t, disk)
	for i := range uint64(20) {
		if _, err := l.Append(Entry{Index: i + 1, Term: 1, Data: make([]byte, 500)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	broken, refused := errors.New("input/output error"), 0
	for fails := range 60 {
		reads := 0
		faulty := &vfs.Fault{FS: disk.Kill(), Hook: func(op vfs.Op, _ string) error {
			if op == vfs.OpRead {
				if reads++; reads == fails {
					return broken
				}
			}
			return nil
		}}
		l, err := Open(faulty, "log", small)
		var damage *CorruptError
		switch {
		case errors.As(err, &damage):
			t.Fatalf("read %d fails: taken for damage: %v", fails, err)
		case err != nil && !errors.Is(err, broken):
			t.Fatal(err)
		case err != nil:
			refused++
		case l.LastIndex() != 20:
			t.Fatalf("read %d fails: the log ends with entry %d", fails, l.LastIndex())
		}
	}
	if refused < 40 {
		t.Fatalf("only %d of the reads of a recovery were made to fail", refused)
	}
}
