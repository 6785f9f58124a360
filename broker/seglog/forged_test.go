package seglog

import (
	"bytes"
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
)

// Whoever fills messages with what looks like record headers must not make a torn tail look like damage.
func TestForgedHeadersProveNothing(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, fs)
	fill(t, l, 3)
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	forged := make([]byte, RecordHeaderSize)
	h := recordHeader{length: 8, term: 1, index: 5, synced: 1 << 31, kind: kindEntry}
	h.encode(forged, (&segmentHeader{seq: 1}).seed())
	at := l.active.mu.end
	if _, err := l.Append(Entry{4, 1, 0, bytes.Repeat(forged, 40)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := fs.Flip(l.active.name, int64(at)+10, 1); err != nil { // the record's own header did not reach the disk whole
		t.Fatal(err)
	}
	_ = l.lock.Close()
	again, err := Open(fs, "log", small)
	if err != nil {
		t.Fatal(err)
	}
	if again.LastIndex() != 3 {
		t.Errorf("the last entry is %d", again.LastIndex())
	}
}
