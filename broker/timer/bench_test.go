package timer

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
)

// drain fires everything in entries of 4096 messages.
func drain(tb testing.TB, t *Table) (fired int) {
	var batch []Entry
	for {
		var (
			to  Cursor
			err error
		)
		batch, to, err = t.Due(batch[:0], math.MaxInt64, 4096)
		if err != nil {
			tb.Fatal(err)
		}
		if len(batch) == 0 {
			return fired
		}
		fired += len(batch)
		if err := t.Fire(t.Cursor(), to, int64(len(batch))); err != nil {
			tb.Fatal(err)
		}
	}
}

const million = 1_000_000

// due times of a million messages: all at once, far apart, and as fixed delays come.
var dues = map[string]func(i int, r *rand.Rand) int64{
	"storm":  func(int, *rand.Rand) int64 { return 1000 },
	"random": func(_ int, r *rand.Rand) int64 { return 1000 + r.Int64N(86_400_000) },
	"delays": func(i int, r *rand.Rand) int64 { return 1000 + int64(i) + [...]int64{1000, 5000, 60_000}[r.IntN(3)] },
}

func BenchmarkPark(b *testing.B) {
	for name, due := range dues {
		b.Run(name, func(b *testing.B) {
			t, r := New(), rand.New(rand.NewPCG(1, 1))
			for i := 0; b.Loop(); i++ {
				if err := t.Park(uint64(1+i/million), Entry{Due: due(i, r), Pos: int64(i)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDrain fires a million messages that are in memory, or in 100 sealed segments.
func BenchmarkDrain(b *testing.B) {
	for name, due := range dues {
		for _, sealed := range []bool{false, true} {
			where := "/open"
			if sealed {
				where = "/sealed"
			}
			b.Run(name+where, func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					t, r := New(), rand.New(rand.NewPCG(1, 1))
					for i := range million {
						seq := uint64(1)
						if sealed {
							seq += uint64(i / (million / 100))
						}
						if err := t.Park(seq, Entry{Due: due(i, r), Pos: int64(i)}); err != nil {
							b.Fatal(err)
						}
					}
					for seq := uint64(1); sealed && seq <= 100; seq++ {
						if err := sealSegment(t, seq); err != nil {
							b.Fatal(err)
						}
					}
					b.StartTimer()
					if n := drain(b, t); n != million {
						b.Fatalf("%d fired", n)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/million, "ns/message")
			})
		}
	}
}

// madeUp is a sealed run that is on no disk: its memory is its fences.
type madeUp struct {
	first, n int64
	fences   []Cursor
}

func newMadeUp(first, n int64) *madeUp {
	r := &madeUp{first: first, n: n}
	for i := int64(0); i < n; i += BlockEntries {
		e := r.entry(i)
		r.fences = append(r.fences, e.Place())
	}
	return r
}

func (r *madeUp) entry(i int64) Entry { return Entry{Due: 1 + i, Pos: r.first + i} }
func (r *madeUp) Len() int            { return int(r.n) }
func (r *madeUp) Fences() []Cursor    { return r.fences }
func (r *madeUp) Last() Cursor        { e := r.entry(r.n - 1); return e.Place() }
func (r *madeUp) Read(dst []Entry, block int) ([]Entry, error) {
	for i := int64(block) * BlockEntries; i < min(r.n, int64(block+1)*BlockEntries); i++ {
		dst = append(dst, r.entry(i))
	}
	return dst, nil
}

// Ten million messages that are pending in sealed segments cost little memory, also while they are looked through.
func TestMemoryOfTenMillionPending(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	tab := New()
	for i := range int64(1000) {
		if err := tab.Attach(uint64(1+i), newMadeUp(i*10_000, 10_000)); err != nil {
			t.Fatal(err)
		}
	}
	if next, ok, err := tab.Next(); next != 1 || !ok || err != nil {
		t.Fatal(next, ok, err)
	}
	if got, _, err := tab.Due(nil, math.MaxInt64, 300_000); err != nil || len(got) != 300_000 {
		t.Fatal(len(got), err)
	}
	used := heap() - before
	t.Logf("%d KiB", used>>10)
	if used > 20<<20 {
		t.Errorf("%d bytes", used)
	}
	runtime.KeepAlive(tab)
}

// BenchmarkOldest finds what is rolled next among a million messages of one sealed segment.
func BenchmarkOldest(b *testing.B) {
	for name, due := range dues {
		b.Run(name, func(b *testing.B) {
			t, r := New(), rand.New(rand.NewPCG(1, 1))
			for i := range million {
				if err := t.Park(1, Entry{Due: due(i, r), Pos: int64(i)}); err != nil {
					b.Fatal(err)
				}
			}
			if err := sealSegment(t, 1); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if got, err := t.Oldest(1, 1<<16); err != nil || len(got) != 1<<16 || got[1<<16-1].Pos != 1<<16-1 {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}
