package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/contrailmq/contrail/broker/seglog"
)

// Options of a member.
type Options struct {
	ID        uint64
	ConfState *pb.ConfState // members as of Applied; at the first start all voters
	Applied   uint64        // index that the caller's checkpoint holds
	Log       *seglog.Log
	Logger    *slog.Logger
	// Durable true: a write is stable when it was synced. False: when the page cache has it (a crash of the machine, not of
	// the process, may lose it).
	Durable bool
	// Send hands messages to other members, all of one step together and in order; nil in a group of one. Entries' data must
	// not be changed, and may be kept.
	Send func([]*pb.Message)
	// Snapshot is what a member that lags behind the first kept entry gets; nil: there is none.
	Snapshot func() (*pb.Snapshot, error)
	// Install replaces log and state by what a snapshot says; Applied passes to its index.
	Install func(*pb.Snapshot) error
	// Planted makes the member wrong on purpose; only the simulator's own tests set it.
	Planted Planted
}

// Planted are mistakes that the simulator must find.
type Planted struct {
	AckBeforeSync  bool // responses are told before what they answer for is synced
	VoteBeforeSync bool // a vote is told before its hard state is synced
	ForgetVote     bool // the hard state is not written at all
	ApplyTwice     bool // an entry is applied again now and then
	ForgetMembers  bool // that a change of members was committed is not written down
}

// Limits.
const (
	ElectionTicks  = 10
	HeartbeatTicks = 1
	maxUncommitted = 64 << 20
	maxInflight    = 256
	maxMessage     = 1 << 20
	maxApplied     = 4 << 20  // bytes of entries that one Process applies
	maxFlying      = 16 << 20 // bytes on their way to one member: what a member that catches up is read at once, which holds up the loop
)

// Committed is one entry to apply. Data is valid until Applied is told of its index.
type Committed struct {
	Index, Term uint64
	Type        pb.EntryType
	Pos         int64 // logical position of the record; its data begins seglog.RecordHeaderSize later
	Data        []byte
}

// Node is one member. Its owner calls, after every Step, Propose, Tick or Synced: Process, until it says there is no more.
type Node struct {
	opts    Options
	raw     *raft.RawNode
	storage *storage
	// waiting are the responses that may be told once what was written before them is synced.
	waiting []*pb.Message
	told    int // how many of waiting the running sync covers
	outbox  []*pb.Message
	reads   []Read
	lead    uint64
	state   raft.StateType
	term    uint64
	commit  uint64
	err     error
	members changes
	beaten  map[uint64]bool // who answered a heartbeat since the last effects
	unfit   []uint64        // for whom there is no snapshot that knows them
}

// New makes a member over an open log.
func New(o Options) (*Node, error) {
	s := &storage{log: o.Log, conf: o.ConfState, commit: o.Applied, snapshot: o.Snapshot}
	raw, err := newRaft(&o, s)
	if err != nil {
		return nil, fmt.Errorf("raft member %d: %w", o.ID, err)
	}
	return &Node{opts: o, raw: raw, storage: s, term: o.Log.HardState().Term, commit: o.Applied, members: changes{unread: o.Log.LastIndex()}, beaten: map[uint64]bool{}}, nil
}

func newRaft(o *Options, s *storage) (raw *raft.RawNode, err error) {
	defer func() { // raft reads the log's end
		if p := recover(); p != nil {
			err = s.panicked(p)
		}
	}()
	return raft.NewRawNode(&raft.Config{
		ID: o.ID, ElectionTick: ElectionTicks, HeartbeatTick: HeartbeatTicks, Storage: s, Applied: o.Applied,
		AsyncStorageWrites: true, MaxSizePerMsg: maxMessage, MaxCommittedSizePerReady: maxApplied,
		MaxUncommittedEntriesSize: maxUncommitted, MaxInflightMsgs: maxInflight, MaxInflightBytes: maxFlying, CheckQuorum: true, PreVote: true,
		DisableProposalForwarding: true, StepDownOnRemoval: true, Logger: raftLogger{o.Logger},
	})
}

// Campaign asks for leadership at once; a group of one needs no election time-out.
func (n *Node) Campaign() error { return n.guarded(n.raw.Campaign) }

// Tick is raft's clock.
func (n *Node) Tick() error {
	return n.guarded(func() error { n.raw.Tick(); return nil })
}

// Step takes a message of another member. What raft refuses is a Refusal; any other error is the member's end.
func (n *Node) Step(m *pb.Message) error {
	if m.GetType() == pb.MsgHeartbeatResp {
		n.beaten[m.GetFrom()] = true
	}
	return n.guarded(func() error { return refusal(n.raw.Step(m)) })
}

// Refusal is what raft does not take now; the member goes on.
type Refusal struct{ error }

// Unwrap gives raft's error.
func (r Refusal) Unwrap() error { return r.error }

func refusal(err error) error {
	if err == nil {
		return nil
	}
	return Refusal{err}
}

// Propose hands data to raft, which copies it.
func (n *Node) Propose(data []byte) error {
	return n.guarded(func() error { return refusal(n.raw.Propose(data)) })
}

// guarded turns raft's panics into errors that end this member: raft panics when its storage cannot be read, and when the log
// contradicts what this member once promised. Other groups in the process go on.
func (n *Node) guarded(f func() error) (err error) {
	if n.err != nil {
		return n.err
	}
	defer func() {
		if p := recover(); p != nil {
			err = n.storage.panicked(p)
			n.err = err
		}
	}()
	n.storage.failed = nil // it was not why raft panics now
	return f()
}

// Leader says whether this member believes to lead, and in which term.
func (n *Node) Leader() (bool, uint64) { return n.state == raft.StateLeader, n.term }

// Commit is the commit index.
func (n *Node) Commit() uint64 { return n.commit }

// Process takes raft's next effects: writes go to the log's page cache at once; apply is called for each committed entry.
// more says that there may be further effects. After an error the member must not be used.
func (n *Node) Process(apply func(Committed) error) (more bool, err error) {
	err = n.guarded(func() error {
		more, err = n.process(apply)
		return err
	})
	return more, err
}

func (n *Node) process(apply func(Committed) error) (more bool, err error) {
	if !n.raw.HasReady() {
		return false, nil
	}
	rd := n.raw.Ready()
	n.note(rd)
	n.outbox = n.outbox[:0]
	for _, r := range rd.ReadStates {
		n.reads = append(n.reads, Read{binary.LittleEndian.Uint64(r.RequestCtx), r.Index})
	}
	for _, m := range rd.Messages {
		switch m.GetTo() {
		case raft.LocalAppendThread:
			n.err = n.write(m)
		case raft.LocalApplyThread:
			n.err = n.apply(m, apply)
		default:
			switch {
			case foreign(m):
				n.unfit = append(n.unfit, m.GetTo())
			case !n.onlyCommit(m):
				n.outbox = append(n.outbox, m)
			}
		}
		if n.err != nil {
			return false, n.err
		}
	}
	for _, id := range n.unfit {
		n.SnapshotFailed(id) // it is tried again with the next heartbeat
	}
	n.unfit = n.unfit[:0]
	clear(n.beaten)
	n.post()
	return true, nil
}

// onlyCommit says that a message has no news but a commit index. It is not sent: the next entries carry it, and if there are none the
// next heartbeat does. That halves what the members say to each other for an entry; followers, whom no client reads, apply a little later.
// What raft says when a heartbeat was answered is sent: it finds out whether entries were lost on their way. So is what says that a change
// of members is committed: who was removed hears nothing more.
func (n *Node) onlyCommit(m *pb.Message) (only bool) {
	if m.GetType() != pb.MsgApp || len(m.Entries) > 0 || n.beaten[m.GetTo()] || n.members.passed(n.opts.Log.HardState().Commit, m.GetCommit()) {
		return false
	}
	n.Progress(func(id uint64, p tracker.Progress) {
		only = only || id == m.GetTo() && p.State == tracker.StateReplicate
	})
	return only
}

// foreign says that a snapshot does not know the member that it is for: that one was added later, and would refuse it after it had fetched all
// of it. Others, which it knows, get it: a leader may need them before it can have a newer one made.
func foreign(m *pb.Message) bool {
	if m.GetType() != pb.MsgSnap {
		return false
	}
	c := m.GetSnapshot().GetMetadata().GetConfState()
	return !slices.Contains(slices.Concat(c.GetVoters(), c.GetVotersOutgoing(), c.GetLearners(), c.GetLearnersNext()), m.GetTo())
}

// post hands over what gathered for other members.
func (n *Node) post() {
	if len(n.outbox) > 0 {
		n.opts.Send(n.outbox)
		n.outbox = nil
	}
}

// HasReady says whether Process has something to do.
func (n *Node) HasReady() bool { return n.err == nil && n.raw.HasReady() }

func (n *Node) note(rd raft.Ready) {
	if rd.SoftState != nil {
		n.state, n.lead = rd.RaftState, rd.Lead
	}
	if !raft.IsEmptyHardState(rd.HardState) {
		n.term, n.commit = rd.GetTerm(), rd.GetCommit()
	}
}

// write puts entries and a changed hard state into the log and keeps the responses until they may be told.
func (n *Node) write(m *pb.Message) error {
	if m.Snapshot != nil && !raft.IsEmptySnap(m.Snapshot) {
		if err := n.install(m.Snapshot); err != nil {
			return err
		}
	}
	if err := n.overwrite(m.Entries); err != nil {
		return err
	}
	changed, err := n.setHardState(m)
	if err != nil {
		return err
	}
	for _, e := range m.Entries {
		if err := n.append(e); err != nil {
			return err
		}
	}
	if err := n.opts.Log.Flush(); err != nil {
		return err
	}
	responses := m.GetResponses()
	if len(responses) == 0 && !changed {
		return nil
	}
	if n.mayTell(len(m.Entries) > 0, changed) {
		return n.tell(responses)
	}
	n.waiting = append(n.waiting, responses...)
	return nil
}

// setHardState writes term and vote when they changed. The commit index alone costs a record only when it passes a change of members:
// see members.go.
func (n *Node) setHardState(m *pb.Message) (changed bool, err error) {
	if m.Term == nil {
		return false, nil
	}
	h, old := seglog.HardState{Term: m.GetTerm(), Vote: m.GetVote(), Commit: m.GetCommit()}, n.opts.Log.HardState()
	changed = h.Term != old.Term || h.Vote != old.Vote
	if changed && !n.opts.Planted.ForgetVote || n.members.passed(old.Commit, h.Commit) && !n.opts.Planted.ForgetMembers {
		err = n.opts.Log.SetHardState(h)
		n.members.forget(h.Commit)
	}
	return changed, err
}

// mayTell says whether responses may be told before a sync: only when nothing before them waits for one. A vote is synced
// whatever the mode, because a forgotten one may elect two leaders.
func (n *Node) mayTell(entries, changed bool) bool {
	if n.opts.Planted.AckBeforeSync || n.opts.Planted.VoteBeforeSync && !entries {
		return true
	}
	if len(n.waiting) > 0 || changed {
		return false
	}
	return !n.opts.Durable || !entries && !n.opts.Log.Dirty()
}

// install takes a snapshot in place of log and state. What waits for a sync of the log that was replaced is forgotten with it:
// the snapshot's own response says how far this member is.
func (n *Node) install(snap *pb.Snapshot) error {
	if err := n.opts.Install(snap); err != nil {
		return fmt.Errorf("install the snapshot of entry %d: %w", snap.GetMetadata().GetIndex(), err)
	}
	n.storage.recent = recent{}
	n.storage.conf = snap.GetMetadata().GetConfState()
	n.storage.commit = snap.GetMetadata().GetIndex()
	return nil
}

// overwrite makes room for entries: what the log holds in their place goes first. Then comes the hard state, whose commit index may
// reach into them, then they: whatever a crash leaves of that, a change of members is never there without what is known of it.
func (n *Node) overwrite(entries []*pb.Entry) error {
	for _, e := range entries {
		n.members.put(e)
	}
	if len(entries) == 0 || entries[0].GetIndex() > n.opts.Log.LastIndex() {
		return nil
	}
	return n.opts.Log.TruncateFrom(entries[0].GetIndex())
}

func (n *Node) append(e *pb.Entry) error {
	pos, err := n.opts.Log.Append(seglog.Entry{Index: e.GetIndex(), Term: e.GetTerm(), Type: uint8(e.GetType()), Data: e.Data})
	if err == nil {
		n.storage.recent.put(e, pos)
	}
	return err
}

func (n *Node) tell(responses []*pb.Message) error {
	for _, r := range responses {
		if r.GetTo() != n.opts.ID {
			n.outbox = append(n.outbox, r)
			continue
		}
		if err := n.raw.Step(r); err != nil && !errors.Is(err, raft.ErrStepPeerNotFound) {
			return fmt.Errorf("raft: %w", err)
		}
	}
	return nil
}

// NeedsSync says that responses wait for a sync and none was begun for them.
func (n *Node) NeedsSync() bool { return len(n.waiting) > n.told }

// SyncBegun says that a sync of everything written so far has begun.
func (n *Node) SyncBegun() { n.told = len(n.waiting) }

// Synced says that the sync that began last has ended well.
func (n *Node) Synced() error {
	done := n.waiting[:n.told:n.told]
	n.waiting, n.told = n.waiting[n.told:], 0
	if len(n.waiting) == 0 {
		n.waiting = nil
	}
	return n.guarded(func() error {
		err := n.tell(done)
		n.post()
		return err
	})
}

func (n *Node) apply(m *pb.Message, apply func(Committed) error) error {
	for _, e := range m.Entries {
		pos, err := n.position(e.GetIndex())
		if err != nil {
			return err
		}
		if err := apply(Committed{e.GetIndex(), e.GetTerm(), e.GetType(), pos, e.Data}); err != nil {
			return fmt.Errorf("apply entry %d: %w", e.GetIndex(), err)
		}
		if n.opts.Planted.ApplyTwice && e.GetIndex()%50 == 0 {
			if err := apply(Committed{e.GetIndex(), e.GetTerm(), e.GetType(), pos, e.Data}); err != nil {
				return err
			}
		}
		n.storage.recent.forget(e.GetIndex())
	}
	return n.tell(m.GetResponses())
}

func (n *Node) position(index uint64) (int64, error) {
	if p, ok := n.storage.recent.get(index); ok {
		return p.pos, nil
	}
	return n.opts.Log.PositionOf(index)
}

// Read answers a ReadIndex: whoever applied Index knows all that was committed when it was asked.
type Read struct{ Number, Index uint64 }

// ReadIndex asks a majority whether this member still leads; Reads gives the answer, or never does.
func (n *Node) ReadIndex(number uint64) {
	_ = n.guarded(func() error { n.raw.ReadIndex(binary.LittleEndian.AppendUint64(nil, number)); return nil })
}

// Damage is what raft came upon in the log since the last call, while it read what another member lacks. It goes on: who has the only
// copy must.
func (n *Node) Damage() error {
	err := n.storage.damage
	n.storage.damage = nil
	return err
}

// Reads gives the answers since the last call.
func (n *Node) Reads() []Read {
	r := n.reads
	n.reads = nil
	return r
}

// Lead is the member that this one believes to lead; 0: nobody.
func (n *Node) Lead() uint64 { return n.lead }

// Transfer asks the leader (this member) to hand its office to another one.
func (n *Node) Transfer(to uint64) {
	_ = n.guarded(func() error { n.raw.TransferLeader(to); return nil })
}

// Transferring says that this member is handing its office over; raft takes no proposals meanwhile.
func (n *Node) Transferring() bool { return n.raw.BasicStatus().LeadTransferee != 0 }

// ProposeConf proposes a change of members.
func (n *Node) ProposeConf(cc pb.ConfChangeI) error {
	return n.guarded(func() error { return n.raw.ProposeConfChange(cc) })
}

// Progress calls f for each other member with what this one, the leader, knows of it.
func (n *Node) Progress(f func(id uint64, p tracker.Progress)) {
	n.raw.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		if id != n.opts.ID {
			f(id, p)
		}
	})
}

// SnapshotFailed says that a member did not take its snapshot: it is tried again.
func (n *Node) SnapshotFailed(id uint64) { n.raw.ReportSnapshot(id, raft.SnapshotFailure) }

// Unreachable says that what was sent to a member may be lost.
func (n *Node) Unreachable(id uint64) { n.raw.ReportUnreachable(id) }

// ApplyConfChange tells raft of a committed change of members and returns the members then.
func (n *Node) ApplyConfChange(cc pb.ConfChangeI) *pb.ConfState {
	n.storage.conf = n.raw.ApplyConfChange(cc)
	return n.storage.conf
}

// raftLogger writes raft's words into the process's log.
type raftLogger struct{ log *slog.Logger }

func (l raftLogger) Debug(v ...any)                 { l.log.Debug(fmt.Sprint(v...)) }
func (l raftLogger) Debugf(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l raftLogger) Info(v ...any)                  { l.log.Debug(fmt.Sprint(v...)) }
func (l raftLogger) Infof(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l raftLogger) Warning(v ...any)               { l.log.Warn(fmt.Sprint(v...)) }
func (l raftLogger) Warningf(format string, v ...any) {
	l.log.Warn(fmt.Sprintf(format, v...))
}
func (l raftLogger) Error(v ...any)                 { l.log.Error(fmt.Sprint(v...)) }
func (l raftLogger) Errorf(format string, v ...any) { l.log.Error(fmt.Sprintf(format, v...)) }
func (l raftLogger) Fatal(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l raftLogger) Fatalf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
func (l raftLogger) Panic(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l raftLogger) Panicf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
