package shard

import (
	"context"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/seglog"
)

// First is the oldest entry kept.
func (s *Shard) First() uint64 { return s.log.FirstIndex() }

// Committed is the newest entry that may be read.
func (s *Shard) Committed() uint64 { return s.applied.Load() }

// Read calls f for committed entries from an index on, until about maxBytes were read; next is where to go on. Entries that
// hold no payload (raft's own) are given with empty data. An entry that retention took gives seglog.ErrCompacted.
func (s *Shard) Read(from uint64, maxBytes int, f func(entry.Record) error) (next uint64, err error) {
	committed := s.applied.Load()
	if s.opts.Planted.ReadPastCommit {
		committed = s.log.LastIndex()
	}
	if from > committed {
		return from, nil
	}
	next, err = s.log.ReadThrough(from, committed, maxBytes, func(r seglog.Record) error {
		rec := entry.Record{Index: r.Index, Term: r.Term, Pos: r.Pos, DataPos: r.Pos + seglog.RecordHeaderSize}
		if pb.EntryType(r.Type) == pb.EntryNormal {
			rec.Data = r.Data
		}
		return f(rec)
	})
	s.damaged(err)
	return next, err
}

// Wait returns when entry index is committed, or with ctx's error.
func (s *Shard) Wait(ctx context.Context, index uint64) error {
	for {
		s.waitMu.Lock()
		ch := s.appliedCh
		if ch == nil {
			ch = make(chan struct{})
			s.appliedCh = ch
		}
		s.waitMu.Unlock()
		if s.applied.Load() >= index {
			return nil
		}
		select {
		case <-ch:
		case <-s.stopped:
			return ErrStopped
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wakeReaders tells who waits that applied grew.
func (s *Shard) wakeReaders() {
	s.waitMu.Lock()
	if s.appliedCh != nil {
		close(s.appliedCh)
		s.appliedCh = nil
	}
	s.waitMu.Unlock()
}

// ReadAt reads the log as seglog.Log does. What is damaged is mended from the other members.
func (s *Shard) ReadAt(p []byte, pos int64) error {
	err := s.log.ReadAt(p, pos)
	s.damaged(err)
	return err
}

// Contains finds the entry that holds a position as seglog.Log does; damage as ReadAt.
func (s *Shard) Contains(pos int64) (index uint64, dataPos int64, err error) {
	index, dataPos, err = s.log.Contains(pos)
	s.damaged(err)
	return index, dataPos, err
}

// Message reads the stored message at a position into dst (grown when needed).
func (s *Shard) Message(dst []byte, pos int64, size int) ([]byte, error) {
	if cap(dst) < size {
		dst = make([]byte, size)
	}
	dst = dst[:size]
	if err := s.ReadAt(dst, pos); err != nil {
		return dst, fmt.Errorf("message of %d bytes at position %d: %w", size, pos, err)
	}
	return dst, nil
}
