package seglog

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/contrailmq/contrail/broker/vfs"
)

// Each test here is a mistake that the simulator found in this package, made small.

// entries appends n entries of a size, synced.
func entries(t *testing.T, l *Log, n, size int) {
	t.Helper()
	for range n {
		if _, err := l.Append(Entry{Index: l.LastIndex() + 1, Term: 1, Data: make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
}

// send copies the sealed segments of a log to another one's folder for what comes in.
func send(t *testing.T, from, to *Log) (first, last uint64) {
	t.Helper()
	segs := from.Segments()
	for _, s := range segs[:len(segs)-1] {
		end, err := from.SegmentEnd(s.Seq)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, end)
		if err := from.ReadSegment(s.Seq, b, 0); err != nil {
			t.Fatal(err)
		}
		if err := vfs.WriteFileAtomic(to.fs, filepath.Join(to.IncomingDir(), SegmentFile(s.Seq)), b); err != nil {
			t.Fatal(err)
		}
	}
	return segs[0].Seq, segs[len(segs)-2].Seq
}

// An entry without data has no bytes to read; at a file's end that was taken for a record that was cut off.
func TestAnEmptyEntryMayEndAFile(t *testing.T) {
	from, to := mustOpen(t, vfs.NewMem()), mustOpen(t, vfs.NewMem())
	entries(t, from, 3, 100)
	entries(t, from, 1, 0)
	if err := from.Roll(); err != nil {
		t.Fatal(err)
	}
	first, last := send(t, from, to)
	if _, err := to.CheckIncoming(first, last, Check{}); err != nil {
		t.Fatal(err)
	}
}

// What comes in is checked while there is a way back: the own log goes on when it is damaged.
func TestDamagedSegmentsAreNotInstalled(t *testing.T) {
	from, disk := mustOpen(t, vfs.NewMem()), vfs.NewMem()
	entries(t, from, 3, 100)
	if err := from.Roll(); err != nil {
		t.Fatal(err)
	}
	to := mustOpen(t, disk)
	entries(t, to, 1, 10)
	first, last := send(t, from, to)
	if err := disk.Flip(filepath.Join(to.IncomingDir(), SegmentFile(1)), SegmentHeaderSize+200, 3); err != nil {
		t.Fatal(err)
	}
	var damage *CorruptError
	if _, err := to.CheckIncoming(first, last, Check{}); !errors.As(err, &damage) {
		t.Fatalf("damaged segments are accepted: %v", err)
	}
	entries(t, to, 1, 10)
}

// An install removes segments and what belongs to them. It once removed the file with what the member promised, too.
func TestAnInstallLeavesOtherFilesAlone(t *testing.T) {
	from, disk := mustOpen(t, vfs.NewMem()), vfs.NewMem()
	entries(t, from, 3, 100)
	if err := from.Roll(); err != nil {
		t.Fatal(err)
	}
	to := mustOpen(t, disk)
	if err := vfs.WriteFileAtomic(disk, "log/repair", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	first, last := send(t, from, to)
	in, err := to.CheckIncoming(first, last, Check{})
	if err == nil {
		err = to.Install(in, nil)
	}
	if err != nil || to.LastIndex() != 3 {
		t.Fatalf("installed up to entry %d: %v", to.LastIndex(), err)
	}
	if !slices.Contains(disk.Names("log"), "log/repair") {
		t.Fatal("the promise is gone")
	}
}

// A process that is killed between the removal of the marker and its sync leaves no marker, and goes on; a power loss later must not bring it back: what
// gathers in incoming by then is of another install, and not checked.
func TestAnInstallThatEndedDoesNotComeBack(t *testing.T) {
	from, disk := mustOpen(t, vfs.NewMem()), vfs.NewMem()
	entries(t, from, 3, 100)
	if err := from.Roll(); err != nil {
		t.Fatal(err)
	}
	removed := false
	to := mustOpen(t, &vfs.Fault{FS: disk, Hook: func(op vfs.Op, name string) error {
		if removed {
			return errors.New("killed")
		}
		removed = op == vfs.OpRemove && name == "log/"+markerName
		return nil
	}})
	first, last := send(t, from, to)
	in, err := to.CheckIncoming(first, last, Check{})
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Install(in, nil); err == nil || !removed {
		t.Fatal("the install was not interrupted", err)
	}
	disk = disk.Kill()
	mustOpen(t, disk)
	for seed := range uint64(10) {
		if after := disk.Crash(rand.New(rand.NewPCG(seed, 1))); slices.Contains(after.Names("log"), "log/"+markerName) {
			t.Fatal("the marker is there again")
		}
	}
}

// A power loss while the log is cut leaves any mixture of zeros and old bytes. That once looked like damage, and the newest vote
// could be among what went.
func TestACutMayBeInterruptedAnywhere(t *testing.T) {
	for stop := range 40 {
		for seed := range uint64(8) {
			interruptCut(t, stop, rand.New(rand.NewPCG(seed, 1)))
		}
	}
}

func interruptCut(t *testing.T, stop int, rng *rand.Rand) {
	t.Helper()
	disk, left := vfs.NewMem(), -1
	l := mustOpen(t, &vfs.Fault{FS: disk, Hook: func(op vfs.Op, _ string) error {
		if left >= 0 && op != vfs.OpRead && op != vfs.OpOpen {
			if left--; left < 0 {
				left = 0
				return errors.New("no power")
			}
		}
		return nil
	}})
	entries(t, l, 20, 500)
	vote := HardState{Term: 7, Vote: 3}
	if err := l.SetHardState(vote); err != nil {
		t.Fatal(err)
	}
	entries(t, l, 20, 500)
	left = stop
	_ = l.TruncateFrom(15)
	left = -1
	again, err := Open(disk.Crash(rng), "log", small)
	if err != nil {
		t.Fatalf("stopped at operation %d: %v", stop, err)
	}
	if got := again.HardState(); got != vote {
		t.Fatalf("stopped at operation %d: hard state %+v", stop, got)
	}
	if last := again.LastIndex(); last < 14 {
		t.Fatalf("stopped at operation %d: the log ends with entry %d", stop, last)
	}
}

// Decay of the newest record was taken for a torn tail, and what others count on was cut. A record behind it proves that it was
// synced; the log's owner writes one as soon as it is quiet.
func TestDecayOfTheNewestEntryIsNoTornTail(t *testing.T) {
	disk := vfs.NewMem()
	l := mustOpen(t, disk)
	entries(t, l, 5, 100)
	if err := l.Mark(); err != nil {
		t.Fatal(err)
	}
	if l.Proven() < int64(SegmentHeaderSize)+5*RecordSize(100) {
		t.Fatalf("%d bytes are proven", l.Proven())
	}
	after := disk.Kill()
	if err := after.Flip("log/"+SegmentFile(1), l.Proven()-20, 1); err != nil {
		t.Fatal(err)
	}
	var damage *CorruptError
	if _, err := Open(after, "log", small); !errors.As(err, &damage) {
		t.Fatalf("decay of the newest entry: %v", err)
	}
}

// A log that begins anew in place began with the chain of the old one, and could not be read after the next start.
func TestALogThatBeginsAnewCanBeReadAgain(t *testing.T) {
	disk := vfs.NewMem()
	l := mustOpen(t, disk)
	entries(t, l, 5, 100)
	hard := HardState{Term: 4, Vote: 2}
	err := l.Restart(hard, func() error { return errors.Join(disk.Remove("log/"+SegmentFile(1)), disk.SyncDir("log")) })
	if err != nil {
		t.Fatal(err)
	}
	entries(t, l, 3, 50)
	again := mustOpen(t, disk.Kill())
	if again.LastIndex() != 3 || again.HardState() != hard {
		t.Fatalf("it ends with entry %d, hard state %+v", again.LastIndex(), again.HardState())
	}
}
