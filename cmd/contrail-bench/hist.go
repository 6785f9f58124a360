package main

import (
	"math/bits"
	"time"
)

// hist counts latencies in buckets of 1/16 of a power of two of ns: quantiles are right to about 6 %.
type hist struct {
	counts [64 * 16]uint64
	total  uint64
	max    time.Duration
}

func (h *hist) add(d time.Duration) {
	if d < 1 {
		d = 1
	}
	h.max = max(h.max, d)
	h.counts[bucket(uint64(d))]++
	h.total++
}

func bucket(v uint64) int {
	e := bits.Len64(v) - 1
	if e < 4 {
		return int(v)
	}
	return e*16 + int(v>>(e-4))&15
}

func lower(b int) uint64 {
	e, m := b/16, uint64(b%16)
	if e < 4 {
		return uint64(b)
	}
	return 1<<e + m<<(e-4)
}

func (h *hist) merge(o *hist) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.total += o.total
	h.max = max(h.max, o.max)
}

func (h *hist) quantile(q float64) time.Duration {
	want := uint64(q * float64(h.total))
	var sum uint64
	for i, c := range h.counts {
		if sum += c; c > 0 && sum > want {
			return time.Duration(lower(i))
		}
	}
	return h.max
}
