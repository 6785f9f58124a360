package shard

import (
	"fmt"
	"time"
)

// retain drops whole segments: those whose newest message is older than RetentionAge, and the oldest while the log is larger
// than RetentionBytes. Only segments that a checkpoint covers may go.
func (s *Shard) retain(now time.Time) error {
	segs := s.log.Segments()
	limit := now.Add(-s.opts.RetentionAge).UnixMilli()
	bytes := s.log.Bytes()
	each := bytes / int64(len(segs))
	n := 0
	for n < len(segs)-1 && (segs[n].Seq < s.sealedSeq.Load() || s.opts.Planted.DropUnsaved) {
		old := segs[n+1].CreatedMillis < limit
		large := s.opts.RetentionBytes > 0 && bytes > s.opts.RetentionBytes
		if !old && !large {
			break
		}
		bytes -= each
		n++
	}
	if n == 0 {
		return nil
	}
	return s.drop(segs[n].Seq, segs[n].FirstIndex, n)
}

// drop removes the index first, so that no row points to what is gone.
func (s *Shard) drop(seq, firstIndex uint64, segments int) error {
	if err := s.index.DropBefore(seq); err != nil {
		s.opts.Log.Warn("old sidecars not removed", "before", seq, "err", err)
	}
	if _, err := s.log.DropBefore(firstIndex); err != nil {
		return err
	}
	s.event("retention", fmt.Sprintf("%d segments dropped; the log begins with entry %d", segments, firstIndex))
	return nil
}
