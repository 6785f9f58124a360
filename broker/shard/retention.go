package shard

import (
	"errors"
	"fmt"
	"time"

	"github.com/contrailmq/contrail/broker/seglog"
)

// retain drops whole segments: those whose newest message is older than RetentionAge, and the oldest while the log is larger
// than RetentionBytes. Only segments that a checkpoint covers may go.
func (s *Shard) retain(now time.Time) error {
	segs := s.log.Segments()
	limit := now.Add(-s.opts.RetentionAge).UnixMilli()
	bytes := s.log.Bytes()
	each := bytes / int64(len(segs))
	n, held := 0, false
	for n < len(segs)-1 && (segs[n].Seq < s.sealedSeq.Load() || s.opts.Planted.DropUnsaved) {
		old := segs[n+1].CreatedMillis < limit
		large := s.opts.RetentionBytes > 0 && bytes > s.opts.RetentionBytes
		if !old && !large {
			break
		}
		if held = s.held(segs[n]); held || s.undecided(segs[n]) {
			break
		}
		bytes -= each
		n++
	}
	if s.rolling.vain.Store(false); !held {
		s.heldSeq.Store(0)
	}
	if n == 0 {
		return nil
	}
	return s.drop(segs[n].Seq, segs[n].FirstIndex, n)
}

// HeldBack is the segment that retention would take next and keeps because messages are parked in it, until the leader has rolled them. 0: there
// is none, as of the last time that retention looked.
func (s *Shard) HeldBack() (seq uint64) { return s.heldSeq.Load() }

// held says that a segment may not go because messages are parked in it. The leader rolls them; when they are still there when retention looks
// again, that is told once.
func (s *Shard) held(seg seglog.SegmentInfo) bool {
	held, err := s.timers.Held(seg.Seq)
	if err != nil {
		s.opts.Log.Warn("it cannot be told whether messages are parked in a segment; it is kept", "segment", seg.Name, "err", errors.Join(err, s.mendTimers(err)))
		return true
	}
	if held && s.heldSeq.Swap(seg.Seq) == seg.Seq && s.heldTold != seg.Seq {
		s.heldTold = seg.Seq
		n, err := s.timers.Segment(seg.Seq, seg.FirstPos, seg.EndPos)
		s.opts.Log.Warn("retention keeps a segment in which messages are parked that are not due yet", "segment", seg.Name, "messages", n, "err", err)
		s.event("retention-held", fmt.Sprintf("segment %d and those after it are kept: %d messages are parked in it that are not due yet", seg.Seq, n))
	}
	return held
}

// drop removes the index first, so that no row points to what is gone.
func (s *Shard) drop(seq, firstIndex uint64, segments int) error {
	before := s.bounds()
	defer func() { s.tellUnread(before) }()
	s.timers.DropBefore(seq)
	if err := s.index.DropBefore(seq); err != nil {
		s.opts.Log.Warn("old sidecars not removed", "before", seq, "err", err)
	}
	if _, err := s.log.DropBefore(firstIndex); err != nil {
		return err
	}
	s.event("retention", fmt.Sprintf("%d segments dropped; the log begins with entry %d", segments, firstIndex))
	return nil
}
