package queue

import "testing"

func TestSizesFallIntoTheirBuckets(t *testing.T) {
	var s Sizes
	for _, n := range []int64{0, 1, 1 << 10, 1<<10 + 1, 4 << 10, 4<<10 + 1, 512 << 10, 512<<10 + 1, 1<<20 + 1, 2<<20 + 1, 4 << 20, 4<<20 + 1, 1 << 40} {
		s.Add(n)
	}
	if got, want := s.Counts(), [7]uint64{3, 2, 2, 1, 1, 2, 2}; got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if n := testing.AllocsPerRun(100, func() { s.Add(900) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSizes(b *testing.B) {
	var s Sizes
	for b.Loop() {
		s.Add(1200)
	}
}
