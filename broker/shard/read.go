package shard

import "context"

// readPatience is how many ticks an answer to a read barrier is waited for; the messages may be lost.
const readPatience = 3

// reading is the read barrier that is under way; more readers wait for the next one, because what they must see may have been
// committed after this one began.
type reading struct {
	number  uint64
	waiting []func(error)
	ticks   int
	known   bool // index is
	index   uint64
}

// Barrier returns when this member has applied everything that had been answered as stored before the call, by whichever member:
// a majority has confirmed meanwhile that it still leads (raft's ReadIndex; a lease would trust clocks). It gives ErrNotLeader
// when this member does not lead. Who reads must ask Leads after it has read: a member whose log is found to be damaged says that
// it does not lead before it empties its state.
func (s *Shard) Barrier(ctx context.Context) error {
	done := make(chan error, 1)
	in := &s.inbox
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return ErrStopped
	}
	if len(in.readers) >= 100*commandsMax {
		in.mu.Unlock()
		return ErrBusy
	}
	in.readers = append(in.readers, func(err error) { done <- err })
	in.mu.Unlock()
	in.kick()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read begins barriers and ends those that are confirmed. A group of one has nobody who could know better.
// asked says that raft has something to send.
func (s *Shard) read() (asked bool) {
	if s.leaderTerm == 0 || s.Failed() != nil {
		s.node.Reads()
		return false
	}
	r := &s.reading
	for _, got := range s.node.Reads() {
		if got.Number == r.number {
			r.known, r.index = true, got.Index
		}
	}
	if r.known && s.applied.Load() >= r.index {
		s.endReading(nil)
	}
	if len(r.waiting) == 0 && len(s.readers) > 0 {
		r.waiting, s.readers = s.readers, nil
		if s.alone() {
			s.endReading(nil)
			return false
		}
		s.askToRead()
		return true
	}
	if len(r.waiting) > 0 && !r.known && r.ticks > readPatience {
		s.askToRead()
		return true
	}
	return false
}

func (s *Shard) askToRead() {
	s.reading.number++
	s.reading.ticks, s.reading.known = 0, false
	s.node.ReadIndex(s.reading.number)
}

func (s *Shard) endReading(err error) {
	waiting := s.reading.waiting
	s.reading.waiting, s.reading.known = nil, false
	for _, done := range waiting {
		done(err)
	}
}

func (s *Shard) refuseReaders(err error) {
	s.endReading(err)
	readers := s.readers
	s.readers = nil
	for _, done := range readers {
		done(err)
	}
}
