package queue

import "sync/atomic"

// SizeBounds are the upper bounds of Sizes' buckets, bytes: RocketMQ's of rocketmq_message_size.
var SizeBounds = [...]int64{1 << 10, 4 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20}

// Sizes counts messages by size. One goroutine adds, any may read.
type Sizes struct {
	counts [len(SizeBounds) + 1]atomic.Uint64
}

// Add counts a message. Most are small: the walk ends at the first or second bound.
func (s *Sizes) Add(size int64) {
	i := 0
	for i < len(SizeBounds) && size > SizeBounds[i] {
		i++
	}
	s.counts[i].Add(1)
}

// Counts are the messages of each bucket; the last one has no bound.
func (s *Sizes) Counts() (counts [len(SizeBounds) + 1]uint64) {
	for i := range s.counts {
		counts[i] = s.counts[i].Load()
	}
	return counts
}

// Forget sets all counts to zero.
func (s *Sizes) Forget() {
	for i := range s.counts {
		s.counts[i].Store(0)
	}
}
