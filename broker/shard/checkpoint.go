package shard

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/consensus"
	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/vfs"
)

// checkpoint is the state as of the end of segment Sealed. File: CRC-32C 4, little endian, of the JSON that follows.
type checkpoint struct {
	Version    int             `json:"version"`
	Sealed     uint64          `json:"sealed"`  // segment number; 0: nothing is sealed
	Applied    uint64          `json:"applied"` // index of its last entry
	Voters     []uint64        `json:"voters"`
	Joint      *joint          `json:"members,omitempty"` // members that are not simply voters
	Term       uint64          `json:"term,omitempty"`    // of entry Applied
	LastMicros int64           `json:"lastMicros"`
	Born       int64           `json:"born,omitempty"` // µs, when the first entry was formed: tells groups of one name apart
	Topics     []catalog.Entry `json:"topics"`
	Groups     []catalog.Group `json:"groups"`
	Offsets    []offset.Saved  `json:"offsets"`
	Queues     []queueEnd      `json:"queues"`
	LockClock  int64           `json:"lockClock,omitempty"`
	Locks      []group.Lock    `json:"locks,omitempty"`
	Timers     []byte          `json:"timers,omitempty"`     // of package timer; parked messages are in the sidecars
	Txn        []byte          `json:"txn,omitempty"`        // of package txn
	Deliveries []byte          `json:"deliveries,omitempty"` // of package delivery
}

// joint is what raft knows of members besides the voters: those that learn, and those of a change that is under way.
type joint struct {
	Outgoing     []uint64 `json:"outgoing,omitempty"`
	Learners     []uint64 `json:"learners,omitempty"`
	LearnersNext []uint64 `json:"learnersNext,omitempty"`
	AutoLeave    bool     `json:"autoLeave,omitempty"`
}

func (c *checkpoint) setMembers(m *pb.ConfState) {
	c.Voters = m.GetVoters()
	if j := (joint{m.GetVotersOutgoing(), m.GetLearners(), m.GetLearnersNext(), m.GetAutoLeave()}); len(j.Outgoing)+len(j.Learners)+len(j.LearnersNext) > 0 || j.AutoLeave {
		c.Joint = &j
	}
}

func (c *checkpoint) members() *pb.ConfState {
	m := &pb.ConfState{Voters: c.Voters}
	if j := c.Joint; j != nil {
		m.VotersOutgoing, m.Learners, m.LearnersNext, m.AutoLeave = j.Outgoing, j.Learners, j.LearnersNext, &j.AutoLeave
	}
	return m
}

// has says whether a member was one as of the checkpoint.
func (c *checkpoint) has(id uint64) bool {
	m := c.members()
	return slices.Contains(slices.Concat(m.GetVoters(), m.GetVotersOutgoing(), m.GetLearners(), m.GetLearnersNext()), id)
}

type queueEnd struct {
	Topic string `json:"topic"`
	ID    int32  `json:"id"`
	End   int64  `json:"end"`
	Last  int64  `json:"last"`
}

const (
	checkpointVersion = 1
	checkpointMax     = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *Shard) checkpointName() string { return filepath.Join(s.opts.Dir, "checkpoint") }

// checkpoint takes the state; the loop calls it between two entries.
func (s *Shard) checkpoint(sealed uint64) *checkpoint {
	c := &checkpoint{
		Version: checkpointVersion, Sealed: sealed, Applied: s.applied.Load(), Term: s.appliedTerm,
		LastMicros: s.appliedMicros, Born: s.born.Load(), Topics: s.catalog.Topics(), Groups: s.catalog.Groups(), Offsets: s.offsets.Save(),
	}
	c.LockClock, c.Locks = s.locks.Save()
	c.Timers = s.timers.Save()
	c.Txn = s.txn.Save()
	c.Deliveries = s.deliveries.Save()
	c.setMembers(s.conf)
	for _, t := range s.index.Topics() { // by name: the state's hash is compared between members
		for _, q := range t.Queues() {
			_, end, last := q.Bounds()
			if end == 0 { // somebody only looked at it or wanted to send to it, on this member alone
				continue
			}
			c.Queues = append(c.Queues, queueEnd{t.Name, q.ID, end, last})
		}
	}
	return c
}

func (s *Shard) saveCheckpoint(c *checkpoint) error {
	b, err := c.encode()
	if err != nil {
		return err
	}
	return vfs.WriteFileAtomic(s.opts.FS, s.checkpointName(), b)
}

func (c *checkpoint) encode() ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	b := binary.LittleEndian.AppendUint32(nil, crc32.Checksum(body, castagnoli))
	return append(b, body...), nil
}

// loadCheckpoint gives an empty one at the very first start.
func (s *Shard) loadCheckpoint() (*checkpoint, error) {
	b, err := vfs.ReadFile(s.opts.FS, s.checkpointName(), checkpointMax)
	if errors.Is(err, fs.ErrNotExist) && s.log.FirstIndex() <= 1 {
		c := &checkpoint{Version: checkpointVersion, Voters: s.opts.Voters}
		if len(c.Voters) == 0 {
			c.Voters = []uint64{s.opts.ID}
		}
		if p := s.promise; p != nil {
			c.Voters, c.Joint = p.Voters, p.Joint
		}
		return c, s.saveCheckpoint(c)
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	c, err := decodeCheckpoint(b)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", s.checkpointName(), err)
	}
	return c, nil
}

func decodeCheckpoint(b []byte) (*checkpoint, error) {
	if len(b) < 4 || binary.LittleEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return nil, errors.New("damaged: its checksum differs")
	}
	c := &checkpoint{}
	d := json.NewDecoder(bytes.NewReader(b[4:]))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnknownState, err)
	}
	if c.Version != checkpointVersion {
		return nil, fmt.Errorf("version %d, this program knows %d", c.Version, checkpointVersion)
	}
	return c, nil
}

// errUnknownState is a checkpoint of a newer version, with state of which this program knows nothing. Leaving it out would make this
// member's state another one as soon as it knows better.
var errUnknownState = errors.New("state that this version does not know")

// recover restores the state as of the last checkpoint; raft applies what is behind it.
func (s *Shard) recover() error {
	c, err := s.loadCheckpoint()
	if err != nil {
		return err
	}
	if c.Applied > s.log.LastIndex() || c.Applied+1 < s.log.FirstIndex() {
		return fmt.Errorf("the checkpoint holds entry %d, the log has %d to %d: files of different logs, or some are missing", c.Applied, s.log.FirstIndex(), s.log.LastIndex())
	}
	return s.startFrom(c)
}

// startFrom makes the state a checkpoint's, and begins raft there.
func (s *Shard) startFrom(c *checkpoint) error {
	if err := s.restoreAll(c); err != nil {
		return err
	}
	var err error
	s.node, err = consensus.New(consensus.Options{
		ID: s.opts.ID, ConfState: s.conf, Applied: c.Applied, Log: s.log, Logger: s.opts.Log, Durable: s.opts.Durable,
		Send: s.opts.Send, Snapshot: s.snapshot, Install: s.install, Planted: s.opts.Planted.Planted,
	})
	return err
}

// restoreAll makes the state what a checkpoint and the sidecars of the segments before it say.
func (s *Shard) restoreAll(c *checkpoint) error {
	if err := s.restore(c); err != nil {
		return err
	}
	for _, seg := range s.log.Segments() {
		if seg.Seq > c.Sealed {
			break
		}
		if err := s.loadSidecar(seg); err != nil {
			return err
		}
		if seg.EndPos <= s.timers.Rolled() { // all is void
			continue
		}
		if err := s.timers.Attach(seg.Seq, s.index.Timers(seg.Seq)); err != nil {
			return err
		}
	}
	s.restoreEnds(c)
	s.applied.Store(c.Applied)
	s.sealedSeq.Store(c.Sealed)
	s.appliedTerm = c.Term
	if c.Applied > 0 && c.Sealed > 0 {
		s.newest.Store(c)
	}
	s.conf = c.members()
	return nil
}

func (s *Shard) restore(c *checkpoint) error {
	s.lastMicros, s.appliedMicros = c.LastMicros, c.LastMicros
	s.born.Store(c.Born)
	s.catalog.Restore(c.Topics, c.Groups)
	s.offsets.Restore(c.Offsets)
	s.locks.Restore(c.LockClock, c.Locks)
	for _, t := range c.Topics {
		s.index.Topic(t.Name, t.CreatedPos)
	}
	err := errors.Join(s.timers.Restore(c.Timers), s.txn.Restore(c.Txn), s.deliveries.Restore(c.Deliveries))
	s.forget(s.opts.Planted.Forget)
	return err
}

// restoreEnds gives queues whose messages are all gone their ends.
func (s *Shard) restoreEnds(c *checkpoint) {
	for _, e := range c.Queues {
		if t, ok := s.catalog.Topic(e.Topic); ok {
			s.index.Topic(e.Topic, t.CreatedPos).Queue(e.ID).Restore(e.End, e.Last)
		}
	}
}

func (s *Shard) created(topic string) (int64, bool) {
	e, ok := s.catalog.Topic(topic)
	return e.CreatedPos, ok
}

// loadSidecar takes a sealed segment's index from its file, or makes it again from the segment.
func (s *Shard) loadSidecar(seg seglog.SegmentInfo) error {
	err := s.index.Load(seg.Seq, s.timers.Cursor(), s.created)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, queue.ErrSidecar) {
		return err
	}
	s.opts.Log.Warn("sidecar is missing or damaged; it is made again from the log", "segment", seg.Name, "err", err)
	return s.rebuild(seg)
}

func (s *Shard) rebuild(seg seglog.SegmentInfo) error {
	r := rebuilder{index: s.index, catalog: s.catalog, writer: s.index.Writer(seg.Seq)}
	if err := s.readSegment(seg, r.entry); err != nil {
		return fmt.Errorf("rebuild the sidecar of %s: %w", seg.Name, err)
	}
	return r.seal(seg.Seq)
}

// readSegment calls f for each entry of a segment.
func (s *Shard) readSegment(seg seglog.SegmentInfo, f func(seglog.Record) error) (err error) {
	for next := seg.FirstIndex; next <= seg.LastIndex && err == nil; {
		next, err = s.log.ReadThrough(next, seg.LastIndex, EntryBytes, f)
	}
	return err
}

type sealJob struct {
	seq   uint64
	state *checkpoint
	life  int // the state's: another one is not this segment's any more
}

// sealer writes sidecars and checkpoints. One that fails is tried again: until then recovery replays more.
func (s *Shard) sealer() {
	defer s.others.Done()
	for job := range s.seals {
		for s.seal(job) != nil {
			select {
			case <-s.stop:
			case <-time.After(time.Second):
				continue
			}
			break
		}
	}
}

func (s *Shard) seal(job sealJob) error {
	s.sealing.Lock()
	defer s.sealing.Unlock()
	if job.life != s.life {
		return nil // another member's snapshot took the place of everything: this segment is gone
	}
	began := s.opts.Now()
	err := s.index.Seal(job.seq)
	if err == nil {
		err = s.timers.Seal(job.seq, s.index.Timers(job.seq))
	}
	if err == nil {
		err = s.saveCheckpoint(job.state)
	}
	if s.opts.Sealed != nil {
		s.opts.Sealed(began, job.seq, err)
	}
	if err != nil {
		s.opts.Log.Warn("checkpoint not written; it is tried again", "segment", job.seq, "err", err)
		return err
	}
	s.sealedSeq.Store(job.seq)
	s.newest.Store(job.state)
	s.tellMark(job.state)
	return nil
}
