package shard

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/vfs"
)

// A member of a larger group whose log is damaged puts it aside and gets everything anew from the leader, as a snapshot that
// holds at least what it ever acknowledged. Until its log reaches that point again it neither votes nor asks for votes: a member
// that forgot what it promised must not help to elect one that never had it. The promise is in the file repair.
const (
	repairName = "repair"
	damagedDir = "damaged"
	repairMax  = 1 << 20
	needEvery  = 10 // ticks
	// scrubbing reads each sealed segment once in scrubRound, but not faster than one in scrubMin.
	scrubRound = 24 * time.Hour
	scrubMin   = 2 * time.Second
	scrubMax   = 10 * time.Minute
)

// promise is what a member must have again before it may vote.
type promise struct {
	Index   uint64           `json:"index"`
	Unknown bool             `json:"unknown,omitempty"` // how much it had cannot be told: it never votes again under this id
	Hard    seglog.HardState `json:"hard"`
	Voters  []uint64         `json:"voters"`
	Joint   *joint           `json:"members,omitempty"`
	Moved   bool             `json:"moved"` // the damaged files were put aside
	Cause   string           `json:"cause"`
}

func (s *Shard) repairName() string { return filepath.Join(s.opts.Dir, repairName) }

func (s *Shard) readPromise() (*promise, error) {
	b, err := vfs.ReadFile(s.opts.FS, s.repairName(), repairMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	p := &promise{}
	if err == nil {
		err = json.Unmarshal(b, p)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.repairName(), err)
	}
	return p, nil
}

func (s *Shard) writePromise(p *promise) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return vfs.WriteFileAtomic(s.opts.FS, s.repairName(), b)
}

// openLog opens the log; a damaged one of a larger group is put aside.
func (s *Shard) openLog() error {
	o := &s.opts
	open := func() (err error) {
		s.log, err = seglog.Open(o.FS, o.Dir, seglog.Options{
			SegmentBytes: o.SegmentBytes, Log: o.Log, Now: o.Now, Salt: o.Salt, Foreground: o.stepped, Planted: o.Planted.Log,
		})
		return err
	}
	p, err := s.readPromise()
	if err != nil {
		return err
	}
	if p != nil && !p.Moved {
		if err := s.putAside(p); err != nil {
			return err
		}
	}
	err = open()
	var damage *seglog.CorruptError
	if errors.As(err, &damage) && s.othersHad() {
		if p, err = s.salvage(err, p); err == nil {
			err = open()
		}
	}
	if err != nil {
		return err
	}
	s.promise = p
	if err := s.rememberVotes(); err != nil {
		return errors.Join(err, s.log.Close())
	}
	return nil
}

// recoverOrMend recovers the state. A sealed segment that must be read for it and is damaged is found only now.
func (s *Shard) recoverOrMend() error {
	cause := s.recover()
	var damage *seglog.CorruptError
	if !errors.As(cause, &damage) || !s.othersHad() {
		return cause
	}
	if err := s.log.Close(); err != nil {
		return errors.Join(cause, err)
	}
	if _, err := s.salvage(cause, s.promise); err != nil {
		return err
	}
	s.forgetState()
	if err := s.openLog(); err != nil {
		return err
	}
	return s.recover()
}

// savedMembers are those of the newest checkpoint; of one that cannot be read, those with which the group began.
func (s *Shard) savedMembers() *checkpoint {
	if b, err := vfs.ReadFile(s.opts.FS, s.checkpointName(), checkpointMax); err == nil {
		if c, err := decodeCheckpoint(b); err == nil {
			return c
		}
	}
	return &checkpoint{Voters: s.opts.Voters}
}

// othersHad says whether there were other members that have what this one had: a group may have begun with one member and have grown,
// or have shrunk to one, which has the only copy.
func (s *Shard) othersHad() bool { return othersVote(s.savedMembers().members(), s.opts.ID) }

// othersVote says whether there is another voter. Those who learn do not count: they may have nothing yet.
func othersVote(c *pb.ConfState, id uint64) bool {
	return slices.ContainsFunc(slices.Concat(c.GetVoters(), c.GetVotersOutgoing()), func(v uint64) bool { return v != id })
}

// rememberVotes gives a log that was begun anew the votes of the damaged one.
func (s *Shard) rememberVotes() error {
	if s.promise == nil || s.log.HardState().Term >= s.promise.Hard.Term {
		return nil
	}
	if err := s.log.SetHardState(s.promise.Hard); err != nil {
		return err
	}
	return s.log.Sync()
}

// salvage makes the promise of a log that does not open, and puts the log aside. An older promise still holds.
func (s *Shard) salvage(cause error, old *promise) (*promise, error) {
	got, err := seglog.Salvage(s.opts.FS, s.opts.Dir)
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	members := s.savedMembers()
	p := &promise{Index: got.Index, Unknown: !got.Known, Hard: got.Hard, Voters: members.Voters, Joint: members.Joint, Cause: cause.Error()}
	if old != nil {
		p.Index, p.Unknown = max(p.Index, old.Index), p.Unknown || old.Unknown
		if old.Hard.Term > p.Hard.Term {
			p.Hard = old.Hard
		}
	}
	s.opts.Log.Error("the log is damaged: it is put aside, and fetched anew from the other members", "dir", s.opts.Dir, "err", cause)
	if err := s.writePromise(p); err != nil {
		return nil, err
	}
	return p, s.putAside(p)
}

// putAside moves everything of the log into a folder of its own, where a person can look at it, and begins an empty state.
func (s *Shard) putAside(p *promise) error {
	fsys, dir := s.opts.FS, filepath.Join(s.opts.Dir, damagedDir)
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	names, err := fsys.List(s.opts.Dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		switch n {
		case "LOCK", repairName, damagedDir, "incoming", foundingName:
			continue
		}
		if err := fsys.Rename(filepath.Join(s.opts.Dir, n), filepath.Join(dir, n)); err != nil {
			return err
		}
	}
	if err := errors.Join(fsys.SyncDir(dir), fsys.SyncDir(s.opts.Dir)); err != nil {
		return err
	}
	p.Moved = true
	return s.writePromise(p)
}

// repair begins anew in place: the log was found to be damaged while it was served. Who waits is told that the outcome is not
// known, and readers find nothing until the leader's snapshot is here.
func (s *Shard) repair(cause error) error {
	s.opts.Log.Error("the log is damaged: it is put aside, and fetched anew from the other members", "dir", s.opts.Dir, "err", cause)
	s.event("log-damaged", cause.Error())
	s.leaderTerm, s.syncing = 0, nil
	s.abandon(ErrNotLeader)
	s.tell() // before the state goes: whoever reads it looks afterwards whether this member still leads
	s.offsets.Forget()
	s.dropFetch()
	s.dropCheck()
	s.sealing.Lock()
	defer s.sealing.Unlock()
	hard := s.log.HardState()
	p := &promise{Index: s.log.LastIndex(), Hard: hard, Cause: cause.Error()}
	if s.promise != nil {
		p.Index, p.Unknown = max(p.Index, s.promise.Index), s.promise.Unknown
	}
	c := &checkpoint{Version: checkpointVersion}
	c.setMembers(s.conf)
	p.Voters, p.Joint = c.Voters, c.Joint
	if err := s.writePromise(p); err != nil {
		return err
	}
	s.life++ // no checkpoint of what goes may be written any more, even when the next step fails
	if err := s.log.Restart(hard, func() error { return s.putAside(p) }); err != nil {
		return err
	}
	s.promise = p
	s.offered.Store(nil)
	s.newest.Store(nil)
	s.forgetState()
	if err := s.saveCheckpoint(c); err != nil {
		return err
	}
	return s.startFrom(c)
}

// forgetState empties what was applied; readers that hold a part of it keep what they have.
func (s *Shard) forgetState() {
	s.catalog.Reset()
	s.offsets.Reset()
	s.locks.Reset()
	s.txn.Reset()
	s.deliveries.Reset()
	s.timers.Reset() // before the sidecars are closed, which it reads
	s.index.Reset()
	s.writer = queue.Writer{}
	s.marks = marks{}
}

// repairs says whether an error is damage of the log that the other members can mend.
func (s *Shard) repairs(err error) bool {
	var damage *seglog.CorruptError
	return errors.As(err, &damage) && othersVote(s.conf, s.opts.ID) && s.log.Failed() == nil
}

// promised lets nothing pass to raft that would be wrong while the promise is not kept.
func (s *Shard) promised(m *pb.Message) (drop bool) {
	if s.promise == nil {
		return false
	}
	switch m.GetType() {
	case pb.MsgVote, pb.MsgPreVote, pb.MsgTimeoutNow:
		return !s.opts.Planted.VoteUnrepaired
	case pb.MsgApp: // refusing it would only make the leader say it again at once: it believes that the entry before is here
		return m.GetIndex() > 0 && s.log.LastIndex() == 0
	case pb.MsgHeartbeat: // the leader believes that this member has what it once had
		if last := s.log.LastIndex(); m.GetCommit() > last {
			m.Commit = &last
		}
	}
	return false
}

// keepPromise looks whether the log holds again what it once held, and asks the leader for it when it does not.
func (s *Shard) keepPromise() error {
	p := s.promise
	if p == nil {
		return nil
	}
	if !p.Unknown && s.applied.Load() >= p.Index {
		s.event("log-repaired", fmt.Sprintf("the log holds entry %d again; this member votes again", p.Index))
		s.promise = nil
		if err := s.opts.FS.Remove(s.repairName()); err != nil {
			return err
		}
		return s.opts.FS.SyncDir(s.opts.Dir)
	}
	if s.needTicks++; s.needTicks%needEvery != 0 {
		return nil
	}
	last := s.log.LastIndex()
	stands := last == s.needLast
	s.needLast = last
	if stands && !s.fetching() && s.node.Lead() != 0 && (s.applied.Load() < p.Index || last == 0) {
		s.opts.Aside(s.node.Lead(), AsideNeed, binary.LittleEndian.AppendUint64(nil, last))
	}
	return nil
}

// onNeed: a member lost its log. Raft believes that it has everything up to its last answer, so the snapshot must reach at least
// as far: when none does, a segment is ended now, and its checkpoint is what the member gets. It asks until it has it: who cannot
// take it, its disk being full, must not make this member end a segment each time.
func (s *Shard) onNeed(a aside) {
	if s.leaderTerm == 0 || len(a.body) != 8 {
		return
	}
	if _, ok := s.needs[a.from]; ok {
		return
	}
	has, had := binary.LittleEndian.Uint64(a.body), s.match(a.from)
	if has > 0 && has >= had {
		return // raft knows what it has, and sends it what follows
	}
	if c := s.newest.Load(); c != nil && c.Applied >= had && c.has(a.from) {
		s.needs[a.from] = had
		return
	}
	s.needs[a.from] = s.log.LastIndex()
	s.wantSeal = true
}

// match is the newest entry that the leader knows a member to have had; 0: nothing is known.
func (s *Shard) match(id uint64) (index uint64) {
	s.node.Progress(func(member uint64, p tracker.Progress) {
		if member == id {
			index = p.Match
		}
	})
	return index
}

// giveNeeded sends snapshots to who needs one, once a checkpoint reaches far enough.
func (s *Shard) giveNeeded() {
	c := s.newest.Load()
	if s.leaderTerm == 0 {
		clear(s.needs)
		return
	}
	if c == nil {
		return
	}
	for _, id := range slices.Concat(s.conf.GetVoters(), s.conf.GetLearners()) {
		want, ok := s.needs[id]
		if !ok || c.Applied < want {
			continue
		}
		snap, err := s.snapshot()
		if err != nil {
			continue
		}
		delete(s.needs, id)
		_, term := s.node.Leader()
		s.opts.Send([]*pb.Message{{Type: pb.MsgSnap.Enum(), To: &id, From: &s.opts.ID, Term: &term, Snapshot: snap}})
	}
}

// endSegment ends the active segment early, and proposes an empty entry, whose applying writes the checkpoint.
func (s *Shard) endSegment() error {
	if !s.wantSeal || s.leaderTerm == 0 || len(s.inflight) >= inflightMax || s.deleting() || s.changing != nil || len(s.changes) > 0 || !s.log.HasRoom(s.opts.SegmentBytes) {
		return nil
	}
	s.wantSeal = false
	if err := s.log.Roll(); err != nil {
		return err
	}
	p := s.newProposal()
	p.batches, p.commands, p.formed = p.batches[:0], p.commands[:0], max(s.opts.Now().UnixMicro(), s.lastMicros)
	s.builder.Reset()
	p.payload = s.builder.Start(s.buffer(s.builder.Size(0)), p.formed, 0)
	return s.send(p)
}

// stillDamaged reads the segment again: who reported it may have read a log that was put aside since.
func (s *Shard) stillDamaged(err error) bool {
	var damage *seglog.CorruptError
	if !errors.As(err, &damage) {
		return false
	}
	for _, seg := range s.log.Segments() {
		if seg.Name == damage.Segment {
			return s.log.Verify(seg.Seq) != nil
		}
	}
	return false
}

// damaged is told by readers and by the scrubber; the loop repairs.
func (s *Shard) damaged(err error) {
	var damage *seglog.CorruptError
	if !errors.As(err, &damage) {
		return
	}
	s.inbox.mu.Lock()
	if s.inbox.damage == nil {
		s.inbox.damage = err
	}
	s.inbox.mu.Unlock()
	s.inbox.kick()
}

// scrub checks the next sealed segment; when there is none, or after the last, it begins at the oldest.
func (s *Shard) scrub() {
	segs := s.log.Segments()
	sealed := segs[:len(segs)-1]
	if len(sealed) == 0 {
		return
	}
	next := sealed[0]
	for _, seg := range sealed {
		if seg.Seq > s.scrubbed {
			next = seg
			break
		}
	}
	s.scrubbed = next.Seq
	if err := s.log.Verify(next.Seq); err != nil && next.Seq >= s.log.Segments()[0].Seq {
		s.opts.Log.Error("a sealed segment is damaged", "segment", next.Name, "err", err)
		s.damaged(err)
	}
}

// scrubber reads sealed segments in the background, all of them in about a day.
func (s *Shard) scrubber() {
	defer s.others.Done()
	for {
		pause := min(max(scrubRound/time.Duration(len(s.log.Segments())), scrubMin), scrubMax)
		select {
		case <-s.stop:
			return
		case <-time.After(pause):
			s.scrub()
		}
	}
}
