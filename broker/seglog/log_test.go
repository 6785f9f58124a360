package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/contrailmq/contrail/broker/vfs"
)

var small = Options{SegmentBytes: SegmentBytesMin, Foreground: true}

func mustOpen(t interface{ Fatalf(string, ...any) }, fs vfs.FS) *Log {
	l, err := Open(fs, "log", small)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return l
}

func data(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// model is what the log must hold: everything up to synced for sure, later entries only as a prefix.
type model struct {
	first   uint64
	entries []Entry // entries[i].Index == i+1
	pos     []int64
	synced  int
	hard    HardState
	hardAt  HardState // as of the last sync
}

func (m *model) end() int64 {
	if n := len(m.entries); n > 0 {
		return m.pos[n-1] + RecordSize(len(m.entries[n-1].Data))
	}
	return 0
}

func (m *model) check(t *rapid.T, l *Log) {
	if got := l.LastIndex(); got != uint64(len(m.entries)) {
		t.Fatalf("last index %d, expected %d", got, len(m.entries))
	}
	if got := l.EndPos(); got != m.end() {
		t.Fatalf("end position %d, expected %d", got, m.end())
	}
	next := l.FirstIndex()
	if next > m.first && next > uint64(len(m.entries))+1 {
		t.Fatalf("first index %d, model %d", next, m.first)
	}
	if err := l.Flush(); err != nil {
		t.Fatalf("flush: %v", err)
	}
	end, err := l.Read(next, 1<<30, func(r Record) error {
		e := m.entries[r.Index-1]
		if r.Index != next || r.Term != e.Term || r.Type != e.Type || !bytes.Equal(r.Data, e.Data) || r.Pos != m.pos[r.Index-1] {
			return fmt.Errorf("entry %d differs: term %d pos %d", r.Index, r.Term, r.Pos)
		}
		next++
		if len(r.Data) > 0 {
			at := r.Pos + RecordHeaderSize
			i, dataPos, err := l.Contains(at + int64(len(r.Data)) - 1)
			if err != nil || i != r.Index || dataPos != at {
				return fmt.Errorf("contains(%d) = %d %d %v", at, i, dataPos, err)
			}
			got := make([]byte, len(r.Data))
			if err := l.ReadAt(got, at); err != nil || !bytes.Equal(got, r.Data) {
				return fmt.Errorf("read at %d: %v", at, err)
			}
		}
		if term, err := l.Term(r.Index); err != nil || term != r.Term {
			return fmt.Errorf("term of %d: %d %v", r.Index, term, err)
		}
		return nil
	})
	if err != nil || end != uint64(len(m.entries))+1 {
		t.Fatalf("read to %d of %d: %v", end, len(m.entries), err)
	}
}

// TestLogAgainstModel drives a log over a disk that loses and tears what was not synced, and compares it with a list.
func TestLogAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		fs := vfs.NewMem()
		l, m := mustOpen(t, fs), &model{first: 1}
		for i := rapid.IntRange(1, 120).Draw(t, "steps"); i > 0; i-- {
			switch rng.IntN(20) {
			case 0:
				fs, l = m.crash(t, fs, l, rng)
			case 1:
				must(t, l.Close())
				m.synced, m.hardAt = len(m.entries), m.hard
				l = mustOpen(t, fs)
			case 2, 3:
				m.hard = HardState{m.hard.Term + 1, 1, uint64(len(m.entries))}
				must(t, l.SetHardState(m.hard))
			case 4:
				m.truncate(t, l, rng)
			case 5:
				_, err := l.DropBefore(uint64(rng.IntN(len(m.entries) + 1)))
				must(t, err)
				m.first = l.FirstIndex()
			case 6, 7, 8:
				must(t, l.Sync())
				m.synced, m.hardAt = len(m.entries), m.hard
			case 9:
				must(t, l.Flush())
			default:
				m.append(t, l, rng)
			}
		}
		m.check(t, l)
		must(t, l.Close())
	})
}

func must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m *model) append(t *rapid.T, l *Log, rng *rand.Rand) {
	term := uint64(1)
	if n := len(m.entries); n > 0 {
		term = m.entries[n-1].Term + uint64(rng.IntN(10)/9)
	}
	e := Entry{uint64(len(m.entries)) + 1, term, uint8(rng.IntN(3)), data(rng, rng.IntN(9000))}
	pos, err := l.Append(e)
	must(t, err)
	if pos != m.end() {
		t.Fatalf("entry %d got position %d, expected %d", e.Index, pos, m.end())
	}
	m.pos, m.entries = append(m.pos, pos), append(m.entries, e)
}

func (m *model) truncate(t *rapid.T, l *Log, rng *rand.Rand) {
	first := int(l.FirstIndex())
	if len(m.entries) < first+1 {
		return
	}
	from := first + 1 + rng.IntN(len(m.entries)-first)
	must(t, l.TruncateFrom(uint64(from)))
	m.entries, m.pos = m.entries[:from-1], m.pos[:from-1]
	m.synced, m.hardAt = len(m.entries), m.hard
}

func (m *model) crash(t *rapid.T, fs *vfs.Mem, l *Log, rng *rand.Rand) (*vfs.Mem, *Log) {
	fs = fs.Crash(rng)
	_ = l.Close()
	l = mustOpen(t, fs)
	n := int(l.LastIndex())
	if n < m.synced || n > len(m.entries) {
		t.Fatalf("after a crash the log ends with %d; synced %d, appended %d", n, m.synced, len(m.entries))
	}
	m.entries, m.pos, m.synced = m.entries[:n], m.pos[:n], n
	if h := l.HardState(); h.Term < m.hardAt.Term {
		t.Fatalf("hard state %+v, synced was %+v", h, m.hardAt)
	}
	m.hard = l.HardState()
	m.hardAt = m.hard
	m.check(t, l)
	return fs, l
}

// TestTornAtEveryCut: whatever prefix of an unsynced write reached the disk, the log opens with exactly the whole records.
func TestTornAtEveryCut(t *testing.T) {
	build := func() (*vfs.Mem, *Log, []uint32) {
		fs := vfs.NewMem()
		l := mustOpen(t, fs)
		var ends []uint32
		for i := uint64(1); i <= 4; i++ {
			if _, err := l.Append(Entry{i, 1, 0, bytes.Repeat([]byte{byte(i)}, int(i)*13)}); err != nil {
				t.Fatal(err)
			}
			ends = append(ends, l.active.mu.end)
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		return fs, l, ends
	}
	_, probe, ends := build()
	start := ends[0] - uint32(RecordSize(13))
	for cut := start; cut < probe.active.mu.end; cut++ {
		fs, l, _ := build()
		f := l.active.file
		zero := make([]byte, l.active.mu.end-cut)
		if _, err := f.WriteAt(zero, int64(cut)); err != nil {
			t.Fatal(err)
		}
		l.prepare.stop()
		l.lock.Close()
		re := mustOpen(t, fs)
		want := uint64(0)
		for i, e := range ends {
			padding := uint32(7) // zeros of the padding are as good as written
			if i < len(ends) && cut+padding >= e && allZeroFrom(i, cut, e) || cut >= e {
				want = uint64(i) + 1
			}
		}
		if got := re.LastIndex(); got != want {
			t.Fatalf("cut at %d: last index %d, expected %d (ends %v)", cut, got, want, ends)
		}
	}
}

// allZeroFrom says whether the bytes of entry i from cut to its end are padding.
func allZeroFrom(i int, cut, end uint32) bool {
	n := (i + 1) * 13
	padding := uint32((8 - n&7) & 7)
	return cut >= end-padding
}

// TestDamageBelowSyncedBytesIsRefused: a flipped bit in what was synced is damage, never a shorter log.
func TestDamageBelowSyncedBytesIsRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for round := range 200 {
		fs := vfs.NewMem()
		l := mustOpen(t, fs)
		for i := uint64(1); i <= 6; i++ {
			if _, err := l.Append(Entry{i, 1, 0, data(rng, 50)}); err != nil {
				t.Fatal(err)
			}
			if err := l.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		// The last record's own header says that all before it was synced.
		last := int64(l.active.mu.end) - RecordSize(50)
		name := l.active.name
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		at := SegmentHeaderSize + rng.Int64N(last-SegmentHeaderSize)
		if err := fs.Flip(name, at, uint(rng.IntN(8))); err != nil {
			t.Fatal(err)
		}
		re, err := Open(fs, "log", small)
		var corrupt *CorruptError
		if err == nil && re.LastIndex() == 6 {
			continue // a bit of the padding
		}
		if !errors.As(err, &corrupt) {
			t.Fatalf("round %d: flip at %d of %d: %v", round, at, last, err)
		}
	}
}

func TestSealedSegmentDamageIsFoundByReaders(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, fs)
	fill(t, l, 30)
	name := l.Segments()[0].Name
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.Flip(name, SegmentHeaderSize+200, 3); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, fs)
	var corrupt *CorruptError
	if _, err := l.Read(1, 1<<30, func(Record) error { return nil }); !errors.As(err, &corrupt) {
		t.Fatalf("read of damaged bytes: %v", err)
	}
	if err := l.Verify(1); !errors.As(err, &corrupt) {
		t.Fatalf("verify: %v", err)
	}
	if err := l.Verify(2); err != nil {
		t.Fatalf("verify of a good segment: %v", err)
	}
}

func fill(t testing.TB, l *Log, n int) {
	for i := l.LastIndex() + 1; n > 0; i, n = i+1, n-1 {
		if _, err := l.Append(Entry{i, 1, 0, make([]byte, 8000)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMissingEntryTableIsRebuilt(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, fs)
	fill(t, l, 30)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, n := range fs.Names("log") {
		if filepath.Ext(n) == ".ent" {
			if err := fs.Remove(filepath.Join("log", filepath.Base(n))); err != nil {
				t.Fatal(err)
			}
		}
	}
	l = mustOpen(t, fs)
	next, err := l.Read(1, 1<<30, func(Record) error { return nil })
	if err != nil || next != 31 {
		t.Fatalf("read to %d: %v", next, err)
	}
}

func TestFailedSyncStopsTheLog(t *testing.T) {
	broken := errors.New("EIO")
	fault := &vfs.Fault{FS: vfs.NewMem()}
	l := mustOpen(t, fault)
	fill(t, l, 1)
	fault.Hook = func(op vfs.Op, _ string) error {
		if op == vfs.OpSync {
			return broken
		}
		return nil
	}
	if err := l.Sync(); !errors.Is(err, broken) || !errors.Is(err, ErrFailed) {
		t.Fatalf("sync: %v", err)
	}
	fault.Hook = nil
	if err := l.Sync(); !errors.Is(err, ErrFailed) {
		t.Fatalf("a failed log synced again: %v", err)
	}
	if _, err := l.Append(Entry{2, 1, 0, nil}); !errors.Is(err, ErrFailed) {
		t.Fatalf("a failed log took an entry: %v", err)
	}
}

// TestPositionsDoNotDependOnLocalRecords: members write their hard states at different times; positions stay equal.
func TestPositionsDoNotDependOnLocalRecords(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var logs []*Log
	for range 3 {
		logs = append(logs, mustOpen(t, vfs.NewMem()))
	}
	for i := uint64(1); i <= 200; i++ {
		d := data(rng, rng.IntN(3000))
		want := logs[0].EndPos()
		for m, l := range logs {
			for range rng.IntN(3) * m {
				if err := l.SetHardState(HardState{i, uint64(m), i}); err != nil {
					t.Fatal(err)
				}
			}
			pos, err := l.Append(Entry{i, 1, 0, d})
			if err != nil || pos != want {
				t.Fatalf("member %d entry %d at %d, expected %d: %v", m, i, pos, want, err)
			}
		}
	}
	if len(logs[0].Segments()) == len(logs[2].Segments()) && logs[0].active.mu.end == logs[2].active.mu.end {
		t.Fatal("the members' files do not differ: the test shows nothing")
	}
	for i := uint64(1); i <= 200; i++ {
		for _, l := range logs {
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		read(t, logs, i)
	}
}

func read(t *testing.T, logs []*Log, index uint64) {
	var want []byte
	for m, l := range logs {
		_, err := l.Read(index, 1, func(r Record) error {
			got := make([]byte, len(r.Data))
			if err := l.ReadAt(got, r.Pos+RecordHeaderSize); err != nil {
				return err
			}
			if m > 0 && !bytes.Equal(got, want) {
				return fmt.Errorf("member %d differs", m)
			}
			want = got
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, fs)
	if _, err := Open(fs, "log", small); !errors.Is(err, vfs.ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzDecodeTable(f *testing.F) {
	t := table{offsets: []uint32{64, 200}, terms: []termRun{{1, 1}}, locals: []localRun{{0, 72}}}
	f.Add(encodeTable(1, &t))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tab, err := decodeTable(b, 1)
		if err == nil && !bytes.Equal(encodeTable(1, &tab), b) {
			t.Fatal("decoded bytes encode differently")
		}
	})
}

func TestAppendAllocatesNothing(t *testing.T) {
	l, err := Open(vfs.OS{}, t.TempDir(), Options{SegmentBytes: 64 << 20, Foreground: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, i := make([]byte, 1000), uint64(0)
	one := func() {
		i++
		if _, err := l.Append(Entry{i, 1, 0, d}); err != nil {
			t.Fatal(err)
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2000 {
		one()
	}
	if n := testing.AllocsPerRun(1000, one); n >= 1 {
		t.Fatalf("%.2f allocations per append", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			l, err := Open(vfs.OS{}, b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			d := make([]byte, size)
			b.SetBytes(int64(size))
			for i := uint64(1); b.Loop(); i++ {
				if _, err := l.Append(Entry{i, 1, 0, d}); err != nil {
					b.Fatal(err)
				}
				if err := l.Flush(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestReadersStopBeforeWhatIsStaged: an entry that has a number but is not in the file yet is neither read nor called damage.
func TestReadersStopBeforeWhatIsStaged(t *testing.T) {
	l, err := Open(vfs.NewMem(), "d", Options{SegmentBytes: SegmentBytesMin, Foreground: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := uint64(1); i <= 3; i++ {
		if _, err := l.Append(Entry{Index: i, Term: 1, Data: []byte("data")}); err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	seen := 0
	next, err := l.ReadThrough(1, 2, 1<<20, func(Record) error { seen++; return nil })
	if err != nil || next != 3 || seen != 2 {
		t.Fatalf("read %d entries, next %d: %v", seen, next, err)
	}
}
