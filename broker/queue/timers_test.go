package queue

import (
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/vfs"
)

// sealedWith is an index with one sealed segment: some rows, keys, and n parked messages. at is the position of the first.
func sealedWith(t *testing.T, fs *vfs.Mem, n int) (*Index, []timer.Entry) {
	t.Helper()
	x := New(fs, "data", slog.New(slog.DiscardHandler))
	w, r := x.Writer(1), rand.New(rand.NewPCG(1, 1))
	topic := x.Topic("orders", 0)
	var open timer.Open
	for i := range int64(1000) {
		if err := w.Add(topic.Queue(int32(i%3)), i/3, Row{Pos: i * 100, Size: 90, Millis: i}); err != nil {
			t.Fatal(err)
		}
		w.AddKey(topic, []byte{byte(i), byte(i >> 8)}, i*100)
	}
	for i := range int64(n) {
		if err := open.Add(timer.Entry{Due: 1 + r.Int64N(100), Pos: i, Key: r.Uint64(), Size: r.Uint32(), Sum: r.Uint32()}); err != nil {
			t.Fatal(err)
		}
	}
	w.SetTimers(&open)
	if err := x.Seal(1); err != nil {
		t.Fatal(err)
	}
	return x, open.Sorted()
}

func load(fs vfs.FS, fired timer.Cursor) (*Index, error) {
	x := New(fs, "data", slog.New(slog.DiscardHandler))
	return x, x.Load(1, fired, func(string) (int64, bool) { return 0, true })
}

func all(t *testing.T, r timer.Run) (entries []timer.Entry) {
	t.Helper()
	for i, fence := range r.Fences() {
		before := len(entries)
		var err error
		if entries, err = r.Read(entries, i); err != nil {
			t.Fatal(err)
		}
		if entries[before].Place() != fence {
			t.Errorf("block %d begins with %v, its fence is %v", i, entries[before].Place(), fence)
		}
	}
	if last := entries[len(entries)-1].Place(); last != r.Last() || len(entries) != r.Len() {
		t.Errorf("%d entries to %v, expected %d to %v", len(entries), last, r.Len(), r.Last())
	}
	return entries
}

func TestTimersOfASidecarComeBack(t *testing.T) {
	for _, n := range []int{1, 255, 256, 257, 1000} {
		fs := vfs.NewMem()
		x, want := sealedWith(t, fs, n)
		if got := all(t, x.Timers(1)); !slices.Equal(got, want) {
			t.Errorf("%d timers after the seal: %v", n, got)
		}
		x, err := load(fs, timer.Cursor{})
		if err != nil {
			t.Fatal(err)
		}
		if got := all(t, x.Timers(1)); !slices.Equal(got, want) {
			t.Errorf("%d timers after a load: %v", n, got)
		}
		rows, err := x.Topic("orders", 0).Queue(0).Rows(nil, 300, 10)
		if err != nil || len(rows) != 10 || rows[0].Pos != 90_000 {
			t.Errorf("rows %v %v", rows, err)
		}
		found := 0
		if err := x.Find("orders", string([]byte{7, 1}), 10, func(pos int64) (bool, bool) { found++; return pos == 26_300, true }); err != nil || found != 1 {
			t.Errorf("%d keys %v", found, err)
		}
	}
}

// A sidecar without parked messages has no section: those that older versions wrote are read, and are written as they were.
func TestASidecarWithoutTimers(t *testing.T) {
	fs := vfs.NewMem()
	x, _ := sealedWith(t, fs, 0)
	if x.Timers(1) != nil || x.Timers(2) != nil {
		t.Error("there are timers")
	}
	if x, err := load(fs, timer.Cursor{}); err != nil || x.Timers(1) != nil {
		t.Errorf("after a load: %v", err)
	}
	size := sidecarHeader + 1000*(rowBytes+keyBytes) + 3*(2+len("orders")+44)
	if got := sidecarBytes(t, fs); len(got) != size || !slices.Equal(got[36:40], make([]byte, 4)) {
		t.Errorf("%d bytes, expected %d", len(got), size)
	}
}

func sidecarBytes(t *testing.T, fs vfs.FS) []byte {
	t.Helper()
	b, err := vfs.ReadFile(fs, filepath.Join("data", "000000000001.idx"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whichever byte of the section is damaged, or of the count: what could fire is never read wrong. What was fired already does not matter.
func TestDamagedTimersAreFound(t *testing.T) {
	fs := vfs.NewMem()
	_, entries := sealedWith(t, fs, 600)
	name, from := filepath.Join("data", "000000000001.idx"), int64(sidecarHeader+1000*rowBytes)
	places := []int64{36, 37, 38, 39}
	for at := from; at < from+timersSize(600); at += 7 {
		places = append(places, at)
	}
	for _, at := range places {
		if err := fs.Flip(name, at, 3); err != nil {
			t.Fatal(err)
		}
		if _, err := load(fs, timer.Cursor{}); !errors.Is(err, ErrSidecar) {
			t.Fatalf("byte %d is damaged: %v", at, err)
		}
		if _, err := load(fs, entries[599].Place()); (at < 40 || at >= from+600*timerBytes) != errors.Is(err, ErrSidecar) {
			t.Fatalf("byte %d is damaged, and all was fired: %v", at, err)
		}
		if err := fs.Flip(name, at, 3); err != nil {
			t.Fatal(err)
		}
	}
	x, err := load(fs, timer.Cursor{})
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.Flip(name, from+256*timerBytes, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Timers(1).Read(nil, 0); err != nil {
		t.Error(err)
	}
	if _, err := x.Timers(1).Read(nil, 1); !errors.Is(err, ErrSidecar) || !strings.Contains(err.Error(), "block 1") {
		t.Errorf("damaged after the load: %v", err)
	}
}

// bytesFile is a file in memory.
type bytesFile struct {
	vfs.File
	b []byte
}

func (f *bytesFile) Size() (int64, error) { return int64(len(f.b)), nil }

func (f *bytesFile) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(f.b)) {
		return 0, io.EOF
	}
	n := copy(p, f.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// FuzzSidecar: no file makes a reader panic or read behind its end; timers that are read are in order if they were.
func FuzzSidecar(f *testing.F) {
	for _, n := range []int{0, 3, 300} {
		x := New(vfs.NewMem(), "data", slog.New(slog.DiscardHandler))
		w := x.Writer(1)
		topic := x.Topic("t", 0)
		var open timer.Open
		for i := range int64(n) {
			if err := errors.Join(open.Add(timer.Entry{Due: 100 - i%7, Pos: i}), w.Add(topic.Queue(0), i, Row{Pos: i})); err != nil {
				f.Fatal(err)
			}
			w.AddKey(topic, []byte("k"), i)
		}
		w.SetTimers(&open)
		b, _ := encodeSidecar(w.seg)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := readSidecar(&bytesFile{b: b}, 1)
		if err != nil {
			return
		}
		_, _ = s.find(1)
		if s.timers == nil {
			return
		}
		for i := range s.timers.fences {
			if _, err := s.timers.Read(nil, i); err != nil && !errors.Is(err, ErrSidecar) {
				t.Fatal(err)
			}
		}
	})
}
