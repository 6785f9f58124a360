package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/beat"
	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/consensus"
	"github.com/contrailmq/contrail/broker/delivery"
	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/offset"
	"github.com/contrailmq/contrail/broker/queue"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/timer"
	"github.com/contrailmq/contrail/broker/txn"
	"github.com/contrailmq/contrail/broker/vfs"
)

// Options of a shard.
type Options struct {
	FS             vfs.FS
	Dir            string
	ID             uint64   // this member
	Voters         []uint64 // all members at the group's very first start; empty: this one alone
	SegmentBytes   int64
	Durable        bool // acknowledge after fdatasync; else after the page cache has it
	RetentionAge   time.Duration
	RetentionBytes int64 // 0: no limit
	Log            *slog.Logger
	// Send hands raft's messages to the other members, and Aside what members tell each other besides; neither may block, and
	// what they drop is told again. Nil in a group of one.
	Send  func([]*pb.Message)
	Aside func(to uint64, kind AsideKind, body []byte)
	// Led is told when leader or term changed, or this member began or ceased to serve as the leader; it must not block.
	Led func(Status)
	// Now and Salt are for simulators, which must repeat a run exactly. Defaults: the clock, and chance.
	Now  func() time.Time
	Salt func() uint32
	// Planted makes the member wrong on purpose; only the simulator's own tests set it.
	Planted Planted
	stepped bool // no goroutines: see Stepper
	// Stored is called when a queue got new messages.
	Stored func(*queue.Queue)
	// Times is told when an entry of this leader was formed, synced, committed and answered (µs), and which member had it last or had
	// it not yet when it was committed; 0: there is one member.
	Times func(index uint64, formed, synced, committed, answered int64, slowest uint64)
	// Event is told of what the console shows as happenings.
	Event func(kind, text string)
	// Unread is told of what retention took before a group consumed it; it must not block.
	Unread func(Unread)
	// Sealed is told of each try to write a segment's sidecar and the checkpoint; nil: nobody is told.
	Sealed func(began time.Time, segment uint64, err error)
}

const (
	TickEvery       = 100 * time.Millisecond // of raft's clock
	offsetsEvery    = 200 * time.Millisecond
	backgroundSync  = 500 * time.Millisecond
	retentionEvery  = 10 * time.Second
	DefaultAge      = 72 * time.Hour
	startUpPatience = 5 * time.Minute
)

// Shard is one member's state of one broker group.
type Shard struct {
	opts       Options
	log        *seglog.Log
	node       *consensus.Node
	index      *queue.Index
	catalog    *catalog.State
	offsets    *offset.Table
	locks      *group.Locks
	timers     *timer.Table
	txn        *txn.Table
	deliveries *delivery.Table
	lockNow    atomic.Int64 // ms, of the leader's clock of locks
	locking    atomic.Int64 // commands for locks that are not answered

	inbox      inbox
	offsetsDue atomic.Bool
	nextRef    atomic.Uint32

	// loop's
	pending       []*Batch
	deeds         deeds
	delivered     delivered
	commands      []command
	inflight      []*proposal
	orphans       []*proposal // that were on their way when this member was voted out
	nextPos       int64
	slack         int64  // what an entry may need besides its messages
	lastMicros    int64  // of the newest entry formed; no later one says an earlier time
	appliedMicros int64  // of the newest entry applied
	leaderTerm    uint64 // term in which the no-op was applied; 0: not leading
	builder       entry.Builder
	scratch       []byte
	tookOffsets   []byte // offset commits in the entry that is being formed
	formed        uint64 // counts the entries that were formed
	touched       []*queue.Queue
	items         []*Item
	writer        queue.Writer
	conf          *pb.ConfState
	syncing       *seglog.Syncing
	syncedAt      int64
	lastOffsets   time.Time
	lastSync      time.Time
	lastRetain    time.Time
	heldTold      uint64 // segment that was said to be kept last because of what is parked in it
	undecidedSeq  uint64 // segment that retention kept last because of a half message
	lookedFor     int64  // ms: what is due up to here was looked for by the leader, or fired
	messages      []*pb.Message
	asides        []aside
	told          Status
	untold        bool // a tick came since
	peers         []Peer
	unheard       map[uint64]int // ticks since a member was last active
	peersTicks    int
	promise       *promise // what a member whose log was damaged must have again; nil: nothing
	needTicks     int
	needLast      uint64            // newest entry when it was last looked whether something is needed
	needs         map[uint64]uint64 // members that need a snapshot of at least this entry
	wantSeal      bool
	scrubbed      uint64    // segment; the scrubber's
	changes       []command // of members
	changing      *change
	readers       []func(error) // that wait for a read barrier
	reading       reading
	damage        error
	appliedTerm   uint64
	fetch         *fetch
	checking      *check           // what a fetch brought, being checked aside of the loop
	incoming      *seglog.Incoming // checked, until raft says to install it
	marks         marks
	room          room
	founding      founding
	silence       int // ticks since the leader said something
	firing        *firing
	rolling       *rolling
	quiet         map[uint64]int // ticks since a member that needs a snapshot asked for some of it
	buffers       [][]byte
	proposals     []*proposal

	status    atomic.Pointer[Status]
	sealing   sync.Mutex // held while a sidecar and a checkpoint are written, or all is replaced
	life      int        // grows when all is replaced; the loop writes it while it holds sealing
	newest    atomic.Pointer[checkpoint]
	offered   atomic.Pointer[offer]
	asks      chan ask
	sealLater *sealJob // the Stepper's
	checks    chan *check
	checked   chan *check

	syncs   chan *seglog.Syncing
	synced  chan *seglog.Syncing
	seals   chan sealJob
	stop    chan struct{}
	stopped chan struct{}
	others  sync.WaitGroup
	ready   chan struct{}
	failure atomic.Pointer[error]

	applied   atomic.Uint64
	born      atomic.Int64
	appliedCh chan struct{} // closed and replaced when applied grows and somebody waits
	waitMu    sync.Mutex
	term      atomic.Uint64
	sealedSeq atomic.Uint64
	heldSeq   atomic.Uint64 // segment that retention kept last because of what is parked in it
	counters  Counters
}

// Counters are the shard's totals since its start.
type Counters struct {
	Entries, Messages, Bytes atomic.Int64
}

// Open recovers the state. A group of one can serve when it returns; a member of a larger one follows or leads as the group
// decides, and tells Options.Led.
func Open(ctx context.Context, o Options) (*Shard, error) {
	s, err := openState(o)
	if err != nil {
		return nil, err
	}
	alone := s.alone() // the loop's, once that runs
	s.others.Add(7)
	go s.checker()
	go s.firer()
	go s.roller()
	go s.scrubber()
	go s.syncer()
	go s.sealer()
	go s.server()
	go s.loop()
	s.inbox.kick()
	if !alone {
		return s, nil
	}
	return s, s.waitReady(ctx)
}

// openState recovers the state and starts no goroutine.
func openState(o Options) (*Shard, error) {
	if o.RetentionAge == 0 {
		o.RetentionAge = DefaultAge
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Shard{
		opts: o, catalog: catalog.NewState(), offsets: offset.New(), locks: group.NewLocks(), timers: timer.New(), txn: txn.New(), deliveries: delivery.New(0),
		syncs:  make(chan *seglog.Syncing, 1),
		synced: make(chan *seglog.Syncing, 1), seals: make(chan sealJob, 64), checks: make(chan *check, 1), checked: make(chan *check, 1), stop: make(chan struct{}),
		stopped: make(chan struct{}), ready: make(chan struct{}), asks: make(chan ask, asksMax), quiet: map[uint64]int{}, unheard: map[uint64]int{}, needs: map[uint64]uint64{},
		deeds: deeds{claimed: map[uint64]struct{}{}, passed: map[uint64]struct{}{}}, firing: newFiring(), rolling: &rolling{jobs: make(chan *rollJob, 1)},
	}
	s.index = queue.New(o.FS, o.Dir, o.Log)
	s.inbox.wake = make(chan struct{}, 1)
	s.slack = roomSlack
	if o.SegmentBytes > 0 {
		s.slack = min(roomSlack, o.SegmentBytes/8)
	}
	if err := s.openLog(); err != nil {
		return nil, err
	}
	if last := s.log.LastIndex(); o.Planted.DropTail && last > 1 {
		if err := s.log.TruncateFrom(last); err != nil {
			return nil, errors.Join(err, s.log.Close())
		}
	}
	if err := s.recoverOrMend(); err != nil {
		return nil, errors.Join(err, s.log.Close())
	}
	if err := s.openFounding(); err != nil {
		return nil, errors.Join(err, s.log.Close())
	}
	if s.alone() { // it needs no election time-out
		if err := s.node.Campaign(); err != nil {
			return nil, errors.Join(err, s.log.Close())
		}
	}
	return s, nil
}

// alone says whether this member is the whole group.
func (s *Shard) alone() bool {
	c := s.conf
	return len(c.GetVoters()) == 1 && c.Voters[0] == s.opts.ID && len(c.GetVotersOutgoing())+len(c.GetLearners())+len(c.GetLearnersNext()) == 0
}

func (s *Shard) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startUpPatience)
	defer cancel()
	select {
	case <-s.ready:
		return nil
	case <-s.stopped:
		return errors.Join(fmt.Errorf("the log in %s cannot be served", s.opts.Dir), s.Failed(), s.Close())
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("the log in %s was not recovered in time: %w", s.opts.Dir, ctx.Err()), s.Close())
	}
}

// Failed is what stopped the shard, or nil.
func (s *Shard) Failed() error {
	if p := s.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// storePatience bounds how long Close waits for the offsets that clients committed last.
const storePatience = 2 * time.Second

// storeOffsets proposes what was committed and waits to be proposed with others.
func (s *Shard) storeOffsets() {
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	for s.Failed() == nil && s.offsets.Dirty() {
		if err := s.Do(ctx, entry.KindOffsets, s.offsets.Take(nil, offsetsMax)); err != nil {
			s.opts.Log.Warn("the last committed offsets were not stored; their groups get some messages again", "err", err)
			return
		}
	}
}

// Close stores the last offsets, stops the loop, seals nothing, and closes the log. What waits is refused.
func (s *Shard) Close() error {
	select {
	case <-s.ready:
		s.storeOffsets()
	default: // it never led
	}
	s.inbox.mu.Lock()
	already := s.inbox.closed
	s.inbox.closed = true
	s.inbox.mu.Unlock()
	if already {
		<-s.stopped
		return nil
	}
	close(s.stop)
	<-s.stopped
	close(s.syncs)
	close(s.seals)
	close(s.asks)
	close(s.checks)
	close(s.firing.jobs)
	close(s.rolling.jobs)
	s.firing.timer.Stop()
	s.others.Wait()
	return s.log.Close()
}

func (s *Shard) loop() {
	defer close(s.stopped)
	tick := beat.NewTicker(TickEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.inbox.wake:
			runtime.Gosched() // who is ready to submit does so first: the entry becomes larger, and cheaper for each message
		case done := <-s.synced:
			if done == s.syncing { // else the log was replaced meanwhile
				s.fail(s.endSync(done))
			}
		case k := <-s.checked:
			s.fail(s.endCheck(k))
		case <-s.firing.timer.C:
			s.firing.rings = 0
		case now := <-tick.C:
			s.heldUp(time.Since(now))
			s.fail(s.tick(now))
			tick.RestLate(TickEvery, s.tickLate())
		case <-s.stop:
			s.abandon(ErrStopped)
			s.leadsNoMore()
			return
		}
		s.turn()
	}
}

// tickLate keeps members from asking for votes at the same moment, which may give none of them a majority: all members tick at common
// moments, and those that hear no leader some time after them, one after the other.
func (s *Shard) tickLate() time.Duration {
	if s.silence++; s.node.Lead() == s.opts.ID {
		s.silence = 0
	}
	if s.silence <= silenceTicks {
		return 0
	}
	return time.Duration(s.opts.ID%latePlaces) * lateApart
}

const (
	silenceTicks = 2
	latePlaces   = 20
	lateApart    = 5 * time.Millisecond
)

// leadsNoMore is for those who ask after Close; Options.Led is not told, because who listens is being closed, too.
func (s *Shard) leadsNoMore() {
	st := s.Status()
	st.Leads, st.Peers = false, nil
	s.status.Store(&st)
}

// heldUpMax is how late a tick may be: a loop that is late by an election time-out loses its office.
const heldUpMax = 500 * time.Millisecond

// heldUp says that the loop could not run for a while: a disk that is slow when a segment ends, or a machine without CPU to give.
// It is the first thing to know when leaders change for no reason.
func (s *Shard) heldUp(late time.Duration) {
	if late < heldUpMax {
		return
	}
	s.opts.Log.Warn("the broker group's loop was held up: a slow disk, or too little CPU", "dir", s.opts.Dir, "for", late.Round(time.Millisecond))
	s.event("held-up", fmt.Sprintf("the loop was held up for %s: a slow disk, or too little CPU", late.Round(time.Millisecond)))
}

// turn takes what came in and does what can be done.
func (s *Shard) turn() {
	s.take()
	damage := s.damage
	s.damage = nil
	if damage != nil && othersVote(s.conf, s.opts.ID) && s.stillDamaged(damage) { // else there is no other copy: what can be read is served
		s.fail(damage)
	}
	s.fail(s.hear())
	s.fail(s.pump())
	if s.read() {
		s.fail(s.pump())
	}
	s.fail(s.fire())
	s.roll()
	s.damaged(s.node.Damage()) // for the next turn
	if err := s.Failed(); err != nil {
		s.abandon(err)
	} else if leads, _ := s.node.Leader(); !leads {
		s.refuseAll(ErrNotLeader)
	}
	s.tell()
}

// tick is raft's clock and whatever else is due now and then.
func (s *Shard) tick(now time.Time) error {
	if s.Failed() != nil {
		return nil
	}
	s.passLockTime()
	s.firing.paused.Store(false)
	s.rolling.paused.Store(false)
	s.firing.rings = 0 // a clock that was set is noticed
	s.found()
	if s.founded() && s.promise == nil || s.opts.Planted.VoteUnrepaired { // else it must not ask for votes
		if err := s.node.Tick(); err != nil {
			return err
		}
	}
	if err := s.keepPromise(); err != nil {
		return err
	}
	s.giveUpOrphans()
	s.giveNeeded()
	s.lookAfter()
	s.lookAround()
	s.tellRoom()
	s.seekRoom()
	s.reading.ticks++
	if err := s.everySoOften(now); err != nil {
		return err
	}
	if s.lastRetain.IsZero() {
		s.lastRetain = now
	}
	if now.Sub(s.lastRetain) < retentionEvery {
		return nil
	}
	s.lastRetain = now
	return s.retain(now)
}

// fail stops all writing for good: a log whose write failed must not be trusted again.
func (s *Shard) fail(err error) {
	if s.Failed() == nil && s.repairs(err) {
		err = s.repair(err)
	}
	if err == nil || !s.failure.CompareAndSwap(nil, &err) {
		return
	}
	s.opts.Log.Error("the broker group stops: its log cannot be written or applied", "dir", s.opts.Dir, "err", err)
	s.event("log-failed", err.Error())
}

func (s *Shard) event(kind, text string) {
	if s.opts.Event != nil {
		s.opts.Event(kind, text)
	}
}

// pump proposes, writes and applies until nothing moves without a sync, a message or time.
func (s *Shard) pump() error {
	for s.Failed() == nil {
		if err := s.propose(); err != nil {
			return err
		}
		more, err := s.node.Process(s.apply)
		if err != nil {
			return err
		}
		if more {
			s.lead()
			continue
		}
		if err := s.beginSync(); err != nil {
			return err
		}
		if !s.mayPropose() && !s.node.HasReady() {
			return nil
		}
	}
	return nil
}

// lead notices that leadership came or went.
func (s *Shard) lead() {
	leads, term := s.node.Leader()
	s.term.Store(term)
	if s.opts.Planted.LeadWithoutNoOp && leads && s.leaderTerm != term {
		s.startLeading(term)
	}
	if s.leaderTerm != 0 && (!leads || s.leaderTerm != term) {
		if s.opts.Planted.ServeAfterDefeat {
			return
		}
		s.leaderTerm = 0
		s.txn.Forget()
		s.deliveries.Forget()
		if !s.opts.Planted.KeepNoted {
			s.offsets.Forget()
		}
		if s.votedOut(); s.opts.Planted.AnswerUncertain {
			s.answerOrphans(func(*proposal) (bool, error) { return true, nil })
		}
		s.refuseAll(ErrNotLeader)
	}
}

// startLeading is called when the first entry of the own term was applied: from here on positions are known.
func (s *Shard) startLeading(term uint64) {
	s.leaderTerm = term
	s.beginLockTime()
	s.deeds.begin()
	s.lookedFor = max(s.lookedFor, s.timers.Cursor().Due)
	s.votedOut() // of an earlier term, when that ended within one step
	s.supplant()
	if !s.opts.Planted.KeepNoted {
		s.offsets.Forget() // what was noted as leadership went, in an earlier term
	}
	s.nextPos = s.log.EndPos()
	for _, t := range s.index.Topics() {
		for _, q := range t.Queues() {
			if _, end, _ := q.Bounds(); !s.opts.Planted.KeepNextOffsets || q.Next < end {
				q.Next = end
			}
		}
	}
	select {
	case <-s.ready:
	default:
		s.sinceStart()
		close(s.ready)
	}
}

// sinceStart forgets what was counted while entries were applied again: counters tell of this process's life.
func (s *Shard) sinceStart() {
	for _, c := range []*atomic.Int64{&s.counters.Entries, &s.counters.Messages, &s.counters.Bytes} {
		c.Store(0)
	}
	for _, t := range s.index.Topics() {
		t.ForgetCounts()
	}
}

func (s *Shard) beginSync() error {
	if s.syncing != nil || !s.node.NeedsSync() {
		return nil
	}
	return s.startSync()
}

func (s *Shard) startSync() error {
	y, err := s.log.BeginSync()
	if err != nil {
		return err
	}
	s.node.SyncBegun()
	if s.opts.stepped || !s.syncsItself() {
		s.syncing = y
		if !s.opts.stepped {
			s.syncs <- y
		}
		return nil
	}
	y.Run()
	runtime.Gosched()
	s.take()
	return s.endSync(y)
}

// syncsItself says that the loop waits for the disk itself, which saves two wake-ups for each entry. A member of a larger group must hear
// the others and answer heartbeats while its disk is slow. A group of one has nobody to hear.
func (s *Shard) syncsItself() bool { return s.opts.Durable && s.alone() }

func (s *Shard) endSync(y *seglog.Syncing) error {
	s.syncing = nil
	s.syncedAt = s.opts.Now().UnixMicro()
	if err := s.log.EndSync(y); err != nil {
		return err
	}
	return s.node.Synced()
}

func (s *Shard) syncer() {
	defer s.others.Done()
	for y := range s.syncs {
		y.Run()
		select {
		case s.synced <- y:
		case <-s.stopped: // that of a log that was replaced may lie there, and nobody takes it
		}
	}
}

// everySoOften proposes offset commits that wait, and syncs in the background when nobody waits for a sync.
func (s *Shard) everySoOften(now time.Time) error {
	if s.offsets.Dirty() && now.Sub(s.lastOffsets) >= offsetsEvery {
		s.offsetsDue.Store(true)
	}
	if s.opts.Durable && s.syncing == nil {
		return s.log.Mark()
	}
	if s.opts.Durable || s.syncing != nil || now.Sub(s.lastSync) < backgroundSync || !s.log.Dirty() {
		return nil
	}
	s.lastSync = now
	return s.startSync()
}

// refuseAll answers everything that was not begun, and a change of members that was: nobody looks for its entry any more.
func (s *Shard) refuseAll(err error) {
	s.take()
	if s.changing != nil {
		s.changing.done <- fmt.Errorf("%w: %v", ErrUncertain, err) // not to be taken for the refusal that it names
		s.changing = nil
	}
	for _, b := range s.pending {
		s.answer(b, err)
	}
	clear(s.pending)
	s.pending = s.pending[:0]
	for _, b := range s.deeds.waiting {
		s.answer(b, err)
	}
	clear(s.deeds.waiting)
	s.deeds.waiting = s.deeds.waiting[:0]
	for _, c := range s.commands {
		s.answerCommand(c, err)
	}
	s.commands = nil
	for _, c := range s.changes {
		c.done <- err
	}
	s.changes = nil
	s.refuseReaders(err)
}

func (s *Shard) answer(b *Batch, err error) {
	b.Err = err
	s.answered(b)
	b.Done(b)
}

// Index, Catalog, Offsets and Log are safe for readers.
func (s *Shard) Index() *queue.Index     { return s.index }
func (s *Shard) Catalog() *catalog.State { return s.catalog }
func (s *Shard) Offsets() *offset.Table  { return s.offsets }
func (s *Shard) Log() *seglog.Log        { return s.log }
func (s *Shard) Counters() *Counters     { return &s.counters }

// Applied is the index of the newest applied entry; every entry up to it is committed.
func (s *Shard) Applied() uint64 { return s.applied.Load() }

// Born is when the log's first entry was formed, µs, by its leader's clock: the same on every member, and another one for a group
// that was formed anew under the same name. 0: there is none yet.
func (s *Shard) Born() int64 { return s.born.Load() }

// Term is the current raft term.
func (s *Shard) Term() uint64 { return s.term.Load() }

// NewRef gives a producer its number.
func (s *Shard) NewRef() uint32 { return s.nextRef.Add(1) }
