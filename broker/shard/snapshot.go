package shard

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/vfs"
)

// A snapshot is the newest checkpoint and all segments before it, as files. Raft's message holds only their list (manifest);
// the member that needs them asks for their bytes, piece by piece, from whom the message came, and hands the message to raft
// when all are there.

// AsideKind says what members tell each other besides raft's messages.
type AsideKind uint8

// Asides. Bodies are little endian.
const (
	AsideAsk   AsideKind = 1 // entry of the snapshot 8, offset 8, length 4, file name: the body of a file is wanted
	AsidePiece AsideKind = 2 // entry 8, offset 8, 1 when the file is gone 1, length of the name 1, name, bytes
	AsideMark  AsideKind = 3 // entry 8, then for each part of the state as of it: number 2, hash 32
	AsideNeed  AsideKind = 4 // entry 8: the log was lost behind it, and a snapshot is needed
	AsidePeers AsideKind = 5 // term 8, then JSON: what the leader knows of all members
	AsideFound AsideKind = 7 // JSON founding
	AsideRoom  AsideKind = 6 // 1 when the member's disk has room to lead 1
)

const (
	pieceBytes    = 256 << 10
	asksMax       = 64       // that wait to be answered
	windowPieces  = 16       // asked for and not here yet
	bytesPerTick  = 8 << 20  // asked for between two ticks, so that catching up leaves the leader time for its clients
	looseMax      = 4 << 20  // written and not synced: a disk that is handed a whole segment at once lets everybody else's syncs wait
	fetchPatience = 10       // ticks without a piece until it is asked for again
	quietMax      = 50       // ticks without an ask until the leader offers the snapshot again
	manifestMax   = 64 << 20 // bytes
	checkpointRef = "checkpoint"
	sourceName    = "source"
)

type manifest struct {
	First uint64         `json:"first"` // segments
	Last  uint64         `json:"last"`
	Files []manifestFile `json:"files"`
}

type manifestFile struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// offer is a snapshot that was offered last: its checkpoint stays in memory, because the file is replaced at the next seal.
type offer struct {
	index      uint64
	first      uint64 // segment
	checkpoint []byte
	message    *pb.Snapshot
}

type ask struct {
	to     uint64
	index  uint64
	offset int64
	length int
	name   string
}

type aside struct {
	from uint64
	kind AsideKind
	body []byte
}

// Aside takes what another member told besides raft's messages. It never blocks, and drops what finds no room.
func (s *Shard) Aside(from uint64, kind AsideKind, body []byte) {
	in := &s.inbox
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed || in.heard+len(body) > heardMax {
		in.dropped++
		return
	}
	in.heard += len(body) + 64
	in.asides = append(in.asides, aside{from, kind, body})
	in.kick()
}

func (s *Shard) onAside(a aside) {
	switch a.kind {
	case AsideAsk:
		s.onAsk(a)
	case AsidePiece:
		s.onPiece(a)
	case AsideMark:
		s.onMark(a)
	case AsideNeed:
		s.onNeed(a)
	case AsidePeers:
		s.onPeers(a)
	case AsideFound:
		s.onFounding(a)
	case AsideRoom:
		s.onRoom(a)
	}
}

// snapshot implements consensus.Options.Snapshot.
func (s *Shard) snapshot() (*pb.Snapshot, error) {
	c := s.newest.Load()
	if c == nil || c.Applied+1 < s.log.FirstIndex() {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	if o := s.offered.Load(); o != nil && o.index == c.Applied && o.first == s.log.Segments()[0].Seq { // else retention took some of it
		return o.message, nil
	}
	o, err := s.makeOffer(c)
	if err != nil {
		s.opts.Log.Warn("no snapshot can be offered", "entry", c.Applied, "err", err)
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	s.offered.Store(o)
	s.event("snapshot", fmt.Sprintf("a member lags behind the log's first entry: it is offered all segments up to entry %d", c.Applied))
	return o.message, nil
}

// lacksMember says that somebody became a member after a checkpoint was taken.
func (s *Shard) lacksMember(c *checkpoint) bool {
	for _, ids := range [][]uint64{s.conf.GetVoters(), s.conf.GetLearners(), s.conf.GetLearnersNext()} {
		if slices.ContainsFunc(ids, func(id uint64) bool { return !c.has(id) }) {
			return true
		}
	}
	return false
}

func (s *Shard) makeOffer(c *checkpoint) (*offer, error) {
	b, err := c.encode()
	if err != nil {
		return nil, err
	}
	m := manifest{Files: []manifestFile{{checkpointRef, int64(len(b))}}}
	for _, seg := range s.log.Segments() {
		if seg.Seq > c.Sealed {
			break
		}
		if m.First == 0 {
			m.First = seg.Seq
		}
		m.Last = seg.Seq
		size, err := s.log.SegmentEnd(seg.Seq)
		if err != nil {
			return nil, err
		}
		m.Files = append(m.Files, manifestFile{seglog.SegmentFile(seg.Seq), size})
	}
	if m.Last != c.Sealed {
		return nil, fmt.Errorf("segments %d to %d are there, the checkpoint needs %d", m.First, m.Last, c.Sealed)
	}
	data, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return &offer{c.Applied, m.First, b, &pb.Snapshot{Data: data, Metadata: &pb.SnapshotMetadata{ConfState: c.members(), Index: &c.Applied, Term: &c.Term}}}, nil
}

// lookAfter is called with each tick: the leader offers a snapshot again to who does not ask for it, and a member asks again for
// what does not come.
func (s *Shard) lookAfter() {
	s.fetchTick()
	if leads, _ := s.node.Leader(); !leads || s.alone() {
		return
	}
	var failed []uint64
	s.node.Progress(func(id uint64, p tracker.Progress) {
		if p.State != tracker.StateSnapshot {
			delete(s.quiet, id)
		} else if s.quiet[id]++; s.quiet[id] > quietMax {
			failed = append(failed, id)
		}
	})
	for _, id := range failed {
		s.quiet[id] = 0
		s.node.SnapshotFailed(id)
	}
}

func (s *Shard) onAsk(a aside) {
	if len(a.body) < 20 {
		return
	}
	le := binary.LittleEndian
	k := ask{a.from, le.Uint64(a.body), int64(le.Uint64(a.body[8:])), int(le.Uint32(a.body[16:])), string(a.body[20:])}
	s.quiet[a.from] = 0
	if s.opts.stepped {
		s.serve(k)
		return
	}
	select {
	case s.asks <- k:
	default: // asked again
	}
}

// server reads what other members ask for, aside of the loop, because old segments lie on the disk only.
func (s *Shard) server() {
	defer s.others.Done()
	for k := range s.asks {
		s.serve(k)
	}
}

func (s *Shard) serve(k ask) {
	if k.length <= 0 || k.length > pieceBytes || k.offset < 0 || len(k.name) > 255 {
		return
	}
	head := make([]byte, 18+len(k.name), 18+len(k.name)+k.length)
	le := binary.LittleEndian
	le.PutUint64(head, k.index)
	le.PutUint64(head[8:], uint64(k.offset))
	head[17] = byte(len(k.name))
	copy(head[18:], k.name)
	b, err := s.piece(k, head)
	if err != nil {
		head[16] = 1
		b = head
	}
	s.opts.Aside(k.to, AsidePiece, b)
}

func (s *Shard) piece(k ask, dst []byte) ([]byte, error) {
	o := s.offered.Load()
	if o == nil || o.index != k.index {
		return nil, errors.New("another snapshot was offered meanwhile")
	}
	if k.name == checkpointRef {
		if k.offset+int64(k.length) > int64(len(o.checkpoint)) {
			return nil, fs.ErrInvalid
		}
		return append(dst, o.checkpoint[k.offset:k.offset+int64(k.length)]...), nil
	}
	var seq uint64
	if _, err := fmt.Sscanf(k.name, "%d.seg", &seq); err != nil || seglog.SegmentFile(seq) != k.name {
		return nil, fs.ErrInvalid
	}
	at := len(dst)
	dst = dst[:at+k.length]
	if k.offset == 0 { // what is damaged must not spread
		if err := s.log.Verify(seq); err != nil {
			s.damaged(err)
			return nil, err
		}
	}
	return dst, s.log.ReadSegment(seq, dst[at:], k.offset)
}

// fetch is a snapshot on its way to this member.
type fetch struct {
	message *pb.Message
	manifest
	file   int // of manifest.Files
	size   int64
	asked  int64 // offset behind what was asked for
	budget int64 // bytes that may be asked for until the next tick
	waited int   // ticks
	loose  int   // bytes written and not synced
	out    vfs.File
}

func (f *fetch) index() uint64       { return f.message.GetSnapshot().GetMetadata().GetIndex() }
func (f *fetch) done() bool          { return f.file == len(f.Files) }
func (f *fetch) want() *manifestFile { return &f.Files[f.file] }

// snapshotOffered begins to fetch what a snapshot's list names; raft is told when it is here.
func (s *Shard) snapshotOffered(m *pb.Message) error {
	meta := m.GetSnapshot().GetMetadata()
	f := s.fetch
	if k := s.checking; k != nil {
		f = k.fetch
	}
	if f != nil && f.message.GetFrom() == m.GetFrom() && f.index() == meta.GetIndex() && m.GetTerm() >= f.message.GetTerm() {
		f.message = m
		return nil
	}
	if meta.GetIndex() <= s.applied.Load() || len(m.GetSnapshot().GetData()) > manifestMax {
		return s.stepRaft(m) // raft tells the leader that this member has more
	}
	if k := s.checking; k != nil { // its files are being read; the leader offers this one again
		if k.message.GetFrom() != m.GetFrom() {
			k.stop.Store(true)
		}
		return nil
	}
	f = &fetch{message: m, budget: bytesPerTick}
	if err := json.Unmarshal(m.GetSnapshot().GetData(), &f.manifest); err != nil || f.First == 0 || f.Last < f.First {
		s.opts.Log.Warn("snapshot refused: its list cannot be read", "from", m.GetFrom(), "err", err)
		return nil
	}
	s.dropFetch()
	s.fetch = f
	s.event("snapshot", fmt.Sprintf("this member lags behind the leader's first entry: it fetches %d files up to entry %d from member %d", len(f.Files), f.index(), m.GetFrom()))
	s.fetched(s.prepareIncoming(m.GetFrom()))
	return nil
}

func (s *Shard) dropFetch() {
	if s.fetch != nil && s.fetch.out != nil {
		s.fetch.out.Close()
	}
	s.fetch = nil
}

// prepareIncoming keeps what an earlier fetch from the same member left: its sealed segments never change.
func (s *Shard) prepareIncoming(from uint64) error {
	dir := s.log.IncomingDir()
	if err := s.opts.FS.MkdirAll(dir); err != nil {
		return err
	}
	source := filepath.Join(dir, sourceName)
	want := strconv.FormatUint(from, 10)
	b, err := vfs.ReadFile(s.opts.FS, source, 64)
	if err == nil && string(b) == want {
		err := s.opts.FS.Remove(filepath.Join(dir, checkpointRef)) // it is another one each time
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	if err := s.clearIncoming(); err != nil {
		return err
	}
	return vfs.WriteFileAtomic(s.opts.FS, source, []byte(want))
}

func (s *Shard) clearIncoming() error {
	dir := s.log.IncomingDir()
	names, err := s.opts.FS.List(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := s.opts.FS.Remove(filepath.Join(dir, n)); err != nil {
			return err
		}
	}
	return nil
}

// fetched goes on after a step of fetching; an error ends it, and the leader offers again.
func (s *Shard) fetched(err error) {
	for err == nil && s.fetch != nil && !s.fetch.done() {
		f := s.fetch
		if f.out == nil {
			if err = s.openWanted(); err != nil {
				break
			}
		}
		if f.size < f.want().Size {
			s.askMore()
			return
		}
		err = errors.Join(f.out.Sync(), f.out.Close())
		f.out = nil
		f.file++
	}
	if err != nil {
		s.opts.Log.Warn("snapshot not fetched; it is tried again", "err", err)
		s.dropFetch()
		return
	}
	if f := s.fetch; f != nil {
		s.dropFetch()
		s.beginCheck(f)
	}
}

// openWanted opens the next file where it ends: what is there came earlier.
func (s *Shard) openWanted() error {
	f := s.fetch
	name := filepath.Join(s.log.IncomingDir(), f.want().Name)
	if filepath.Base(name) != f.want().Name {
		return fmt.Errorf("file name %q", f.want().Name)
	}
	out, err := s.opts.FS.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		out, err = s.opts.FS.Create(name)
	}
	if err != nil {
		return err
	}
	if f.size, err = out.Size(); err != nil {
		return err
	}
	if f.size > f.want().Size {
		f.size = 0
		err = out.Truncate(0)
	}
	f.out, f.asked, f.waited = out, f.size, 0
	return err
}

// askMore asks for pieces within the window.
func (s *Shard) askMore() {
	f := s.fetch
	for f.asked < f.want().Size && f.asked-f.size < windowPieces*pieceBytes && f.budget > 0 {
		n := min(pieceBytes, f.want().Size-f.asked)
		b := make([]byte, 20, 20+len(f.want().Name))
		le := binary.LittleEndian
		le.PutUint64(b, f.index())
		le.PutUint64(b[8:], uint64(f.asked))
		le.PutUint32(b[16:], uint32(n))
		s.opts.Aside(f.message.GetFrom(), AsideAsk, append(b, f.want().Name...))
		f.asked += n
		f.budget -= n
	}
}

func (s *Shard) fetchTick() {
	s.checkTick()
	f := s.fetch
	if f == nil {
		return
	}
	f.budget = bytesPerTick
	if f.waited++; f.waited%fetchPatience == 0 {
		f.asked = f.size // what was asked for is lost
	}
	if f.waited > 4*quietMax {
		s.opts.Log.Warn("snapshot given up: its source does not answer", "from", f.message.GetFrom())
		s.dropFetch()
		return
	}
	s.fetched(nil)
}

func (s *Shard) onPiece(a aside) {
	f := s.fetch
	le := binary.LittleEndian
	if f == nil || f.out == nil || len(a.body) < 18 || a.from != f.message.GetFrom() || le.Uint64(a.body) != f.index() {
		return
	}
	n := int(a.body[17])
	if len(a.body) < 18+n || string(a.body[18:18+n]) != f.want().Name {
		return
	}
	if a.body[16] != 0 {
		s.fetched(fmt.Errorf("file %s is gone at member %d", f.want().Name, a.from))
		return
	}
	if int64(le.Uint64(a.body[8:])) != f.size {
		return // lost or doubled: asked again
	}
	data := a.body[18+n:]
	if f.size+int64(len(data)) > f.want().Size {
		return
	}
	_, err := f.out.WriteAt(data, f.size)
	f.size += int64(len(data))
	f.waited = 0
	if f.loose += len(data); err == nil && f.loose >= looseMax {
		f.loose, err = 0, f.out.Sync()
	}
	s.fetched(err)
}

// install implements consensus.Options.Install: what was fetched takes the place of log and state.
func (s *Shard) install(snap *pb.Snapshot) error {
	s.sealing.Lock()
	defer s.sealing.Unlock()
	if err := s.log.Install(s.incoming, s.incomingFiles()); err != nil {
		return err
	}
	s.incoming = nil
	c, err := s.loadCheckpoint()
	if err != nil {
		return err
	}
	if c.Applied != snap.GetMetadata().GetIndex() {
		return fmt.Errorf("the checkpoint holds entry %d, the snapshot %d", c.Applied, snap.GetMetadata().GetIndex())
	}
	s.life++
	s.forgetState()
	if err := s.restoreAll(c); err != nil {
		return err
	}
	s.newest.Store(c)
	s.wakeReaders()
	if !s.fetching() { // segments that the source dropped while the rest was fetched
		if err := s.clearIncoming(); err != nil {
			s.opts.Log.Warn("what was fetched and not needed was not removed", "err", err)
		}
	}
	s.event("snapshot", fmt.Sprintf("entries up to %d were taken from another member", c.Applied))
	return nil
}
