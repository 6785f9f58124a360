package consensus

import (
	"errors"
	"fmt"
	"runtime"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/seglog"
)

// storage is raft's view of the segment log.
type storage struct {
	log    *seglog.Log
	conf   *pb.ConfState
	commit uint64 // at least this much is committed: what the checkpoint applied
	recent recent

	failed   error // a read that failed; raft panics then, or does without
	damage   error // the newest of them that is damage
	snapshot func() (*pb.Snapshot, error)
}

// recent keeps the entries from append to apply, by index. Slots are reused: a window of consecutive indexes.
type recent struct {
	first   uint64 // index of entries[0]
	entries []placed
}

type placed struct {
	*pb.Entry
	pos int64
}

// put appends e, dropping what a new leader overwrote.
func (r *recent) put(e *pb.Entry, pos int64) {
	if len(r.entries) == 0 {
		r.first = e.GetIndex()
	}
	if at := e.GetIndex() - r.first; at < uint64(len(r.entries)) {
		r.entries = r.entries[:at]
	}
	r.entries = append(r.entries, placed{e, pos})
}

func (r *recent) get(index uint64) (placed, bool) {
	if index < r.first || index-r.first >= uint64(len(r.entries)) {
		return placed{}, false
	}
	return r.entries[index-r.first], true
}

// forget drops the entries up to and including index.
func (r *recent) forget(index uint64) {
	if index < r.first {
		return
	}
	n := int(min(index-r.first+1, uint64(len(r.entries))))
	left := copy(r.entries, r.entries[n:])
	clear(r.entries[left:])
	r.entries, r.first = r.entries[:left], r.first+uint64(n)
}

// InitialState implements raft.Storage.
func (s *storage) InitialState() (*pb.HardState, *pb.ConfState, error) {
	h := s.log.HardState()
	h.Commit = min(max(h.Commit, s.commit), s.log.LastIndex())
	return &pb.HardState{Term: &h.Term, Vote: &h.Vote, Commit: &h.Commit}, s.conf, nil
}

// Entries implements raft.Storage.
func (s *storage) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	var (
		out  []*pb.Entry
		size uint64
	)
	for i := lo; i < hi; i++ {
		p, ok := s.recent.get(i)
		if !ok {
			var err error
			if p.Entry, err = s.read(i); err != nil {
				return out, err
			}
		}
		size += uint64(len(p.Data)) + 32
		if len(out) > 0 && size > maxSize {
			break
		}
		out = append(out, p.Entry)
	}
	return out, nil
}

// read fetches one entry from the log. Only recovery and slow followers come here.
func (s *storage) read(index uint64) (*pb.Entry, error) {
	var e *pb.Entry
	next, err := s.log.Read(index, 1, func(r seglog.Record) error {
		e = newEntry(r.Index, r.Term, pb.EntryType(r.Type), append([]byte(nil), r.Data...))
		return nil
	})
	switch {
	case errors.Is(err, seglog.ErrCompacted):
		return nil, raft.ErrCompacted
	case err != nil:
		return nil, s.unread(err)
	case next == index:
		return nil, raft.ErrUnavailable
	}
	return e, nil
}

func newEntry(index, term uint64, typ pb.EntryType, data []byte) *pb.Entry {
	return &pb.Entry{Index: &index, Term: &term, Type: &typ, Data: data}
}

// Term implements raft.Storage.
func (s *storage) Term(i uint64) (uint64, error) {
	if i == 0 {
		return 0, nil
	}
	t, err := s.log.Term(i)
	switch {
	case errors.Is(err, seglog.ErrCompacted):
		return 0, raft.ErrCompacted
	case errors.Is(err, seglog.ErrUnavailable):
		return 0, raft.ErrUnavailable
	case err != nil:
		_ = s.unread(err)
	}
	return t, err
}

// unread notes that an entry cannot be read, and gives what raft is told. Of a damaged one that it is gone: then raft offers a snapshot to
// who lacks it, and panics when the entry is to be applied. Of any other error raft makes a panic.
func (s *storage) unread(err error) error {
	s.failed = err
	if damage := new(seglog.CorruptError); errors.As(err, &damage) {
		s.damage = err
		return raft.ErrCompacted
	}
	return err
}

// panicked gives the error for which raft panicked: what it could not read, if that is why. The program's own mistakes panic on.
func (s *storage) panicked(p any) error {
	if bug, ok := p.(runtime.Error); ok {
		panic(bug)
	}
	if s.failed != nil {
		return s.failed
	}
	return fmt.Errorf("raft: %v", p)
}

// LastIndex implements raft.Storage.
func (s *storage) LastIndex() (uint64, error) { return s.log.LastIndex(), nil }

// FirstIndex implements raft.Storage.
func (s *storage) FirstIndex() (uint64, error) { return s.log.FirstIndex(), nil }

// Snapshot implements raft.Storage. A group of one never needs one.
func (s *storage) Snapshot() (*pb.Snapshot, error) {
	if s.snapshot == nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return s.snapshot()
}
