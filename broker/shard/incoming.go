package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/vfs"
)

// What a fetch brought is checked, and its sidecars are made, before raft is told of it: from then on there is no way back. For a long
// log that takes minutes, in which the member must answer its leader and its voters: so another goroutine does it. The space that the
// install needs is taken then, too: when the disk is full the member goes on as it was, and the leader offers again.

// check is what a fetch brought. The loop owns message; stop may be set by anybody; the rest is the checker's until it is done.
type check struct {
	*fetch
	entry uint64 // the snapshot's
	stop  atomic.Bool
	ticks int
	in    *seglog.Incoming
	err   error
}

// beginCheck hands it to the checker, which has nothing else to do: a new fetch does not begin before the check has ended.
func (s *Shard) beginCheck(f *fetch) {
	s.checking = &check{fetch: f, entry: f.index()}
	s.checks <- s.checking
}

// dropCheck lets the check that runs end soon; its result counts for nothing.
func (s *Shard) dropCheck() {
	if s.checking != nil {
		s.checking.stop.Store(true)
	}
}

// fetching says that a snapshot is on its way, or here and being checked.
func (s *Shard) fetching() bool { return s.fetch != nil || s.checking != nil }

// checkTick tells the leader, once a second, that this member is still busy with what it sent: else it offers it again.
func (s *Shard) checkTick() {
	k := s.checking
	if k == nil {
		return
	}
	if k.ticks++; k.ticks%fetchPatience == 0 {
		nothing := binary.LittleEndian.AppendUint64(nil, k.entry)
		s.opts.Aside(k.message.GetFrom(), AsideAsk, append(nothing, make([]byte, 12)...))
	}
}

func (s *Shard) checker() {
	defer s.others.Done()
	for k := range s.checks {
		k.run(s)
		s.checked <- k // there is room: one is under way at a time
	}
}

func (k *check) run(s *Shard) { k.in, k.err = s.checkIncoming(k) }

func (s *Shard) checkIncoming(k *check) (*seglog.Incoming, error) {
	c, err := s.incomingState(k.entry)
	if err != nil {
		return nil, err
	}
	x := newIncomingIndex(queue.New(s.opts.FS, s.log.IncomingDir(), s.opts.Log), c, k.First)
	defer x.index.Reset()
	in, err := s.log.CheckIncoming(k.First, k.Last, seglog.Check{Entry: x.take, Stop: func() bool { return k.stop.Load() || s.stopping() }})
	if err == nil {
		err = x.sealUpTo(k.Last + 1)
	}
	if err == nil {
		err = s.opts.FS.SyncDir(s.log.IncomingDir())
	}
	return in, err
}

func (s *Shard) stopping() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// endCheck tells raft of what was found to be good.
func (s *Shard) endCheck(k *check) error {
	s.checking = nil
	if k.stop.Load() || s.Failed() != nil {
		return nil
	}
	var damage *seglog.CorruptError
	switch {
	case k.err == nil:
		s.incoming = k.in
		return s.stepRaft(k.message)
	case errors.As(k.err, &damage) || errors.Is(k.err, errIncoming):
		s.opts.Log.Warn("what was fetched is damaged; it is fetched again", "from", k.message.GetFrom(), "err", k.err)
		s.event("snapshot", fmt.Sprintf("what member %d sent is damaged and fetched again: %v", k.message.GetFrom(), k.err))
		return s.clearIncoming()
	}
	// The disk did not do it, or has no room: what is there stays for the next try.
	s.opts.Log.Warn("a snapshot cannot be taken now; it is tried again", "from", k.message.GetFrom(), "err", k.err)
	s.event("snapshot", fmt.Sprintf("the snapshot of member %d cannot be taken now, it is tried again: %v", k.message.GetFrom(), k.err))
	return nil
}

// incomingState is the checkpoint that was fetched.
func (s *Shard) incomingState(index uint64) (*checkpoint, error) {
	b, err := vfs.ReadFile(s.opts.FS, filepath.Join(s.log.IncomingDir(), checkpointRef), checkpointMax)
	if err != nil {
		return nil, err
	}
	c, err := decodeCheckpoint(b)
	if errors.Is(err, errUnknownState) { // fetching it again makes it no older
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errIncoming, err)
	}
	if c.Applied != index {
		return nil, fmt.Errorf("%w: it holds entry %d, the snapshot %d", errIncoming, c.Applied, index)
	}
	return c, nil
}

var errIncoming = errors.New("the checkpoint that was fetched is not the snapshot's")

// incomingFiles are what belongs to the segments besides them: the checkpoint, and the sidecars that were made.
func (s *Shard) incomingFiles() []string {
	files := []string{checkpointRef}
	names, err := s.opts.FS.List(s.log.IncomingDir())
	if err != nil { // the sidecars are made again from the log
		return files
	}
	first, last := s.incoming.Segments()
	for _, n := range names {
		seq, err := strconv.ParseUint(strings.TrimSuffix(n, ".idx"), 10, 64)
		if strings.HasSuffix(n, ".idx") && err == nil && seq >= first && seq <= last {
			files = append(files, n)
		}
	}
	return files
}

// incomingIndex makes the sidecars of the segments that came.
type incomingIndex struct {
	rebuilder
	seq uint64 // the segment that is open
}

func newIncomingIndex(x *queue.Index, c *checkpoint, first uint64) *incomingIndex {
	known := catalog.NewState()
	known.Restore(c.Topics, c.Groups)
	return &incomingIndex{rebuilder{index: x, catalog: known, writer: x.Writer(first)}, first}
}

func (x *incomingIndex) take(seq uint64, r seglog.Record) error {
	if err := x.sealUpTo(seq); err != nil {
		return err
	}
	return x.entry(r)
}

// sealUpTo writes the sidecars of the segments before seq.
func (x *incomingIndex) sealUpTo(seq uint64) error {
	for x.seq < seq {
		if err := x.seal(x.seq); err != nil {
			return err
		}
		x.seq++
		x.writer = x.index.Writer(x.seq)
	}
	return nil
}
