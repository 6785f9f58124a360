package sim

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/seglog"
	"github.com/contrailmq/contrail/broker/shard"
	"github.com/contrailmq/contrail/broker/vfs"
)

// member is one process: a shard while it runs, and a disk always.
type member struct {
	w      *world
	id     int // from 0; raft's is one more
	disk   *vfs.Mem
	shard  shard.Stepper
	up     bool
	paused bool
	life   int       // counts starts: events of an earlier life do nothing
	read   uint64    // newest entry that was compared with the truth
	skew   int64     // µs that its clock is off
	latest time.Time // that its clock ever said

	incarnation int  // of its disk
	wiped       bool // its disk was taken away: nobody knows it any more
	founded     bool // it took part in the group
	leaving     bool // it was removed from the group, and may not know yet
	gone        bool // for good
	damaged     bool // bits of its disk were flipped

	disks    diskFaults
	slow     bool // its syncs take long
	slowSeal bool // sidecars and checkpoints take long
	syncing  bool // an end of its sync is scheduled
	sealing  bool
	checking bool   // what a snapshot brought
	compared uint64 // newest entry as of which its state was compared with the log; 0: none in this life
	firing   bool
	rolling  bool
	outbox   []*pb.Message
	asides   []sideMessage
	waiting  []func() // what came while it was paused
}

// raft is the member's id in the group.
func (m *member) raft() uint64 { return uint64(m.id) + 1 }

// forget makes the disk empty.
func (m *member) forget() {
	m.disk, m.wiped, m.read = vfs.NewMem(), true, 0
	m.incarnation++
}

type sideMessage struct {
	from, to int
	kind     shard.AsideKind
	body     []byte
}

func newMember(w *world, id int) *member {
	return &member{w: w, id: id, disk: vfs.NewMem(), skew: w.between(-5*second, 5*second)}
}

// epoch is the world's begin on calendars.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func (m *member) now() time.Time {
	now := epoch.Add(time.Duration(m.w.now+m.skew) * time.Microsecond)
	if now.After(m.latest) {
		m.latest = now
	}
	return now
}

func (m *member) options() shard.Options {
	return shard.Options{
		FS: m.fs(), Dir: "log", ID: m.raft(), Voters: []uint64{1, 2, 3}, SegmentBytes: seglog.SegmentBytesMin, Durable: true,
		RetentionBytes: m.w.retention(), Log: slog.New(m.w.conf.Log),
		Send: func(ms []*pb.Message) { m.outbox = append(m.outbox, ms...) },
		Aside: func(to uint64, k shard.AsideKind, b []byte) {
			m.asides = append(m.asides, sideMessage{m.id, int(to) - 1, k, b})
		},
		Now:     m.now,
		Salt:    m.w.rng.Uint32,
		Planted: m.w.conf.Planted,
		Event:   m.happened,
	}
}

// retention is how much of the log is kept; in some runs so little that scheduled messages may take more than half of it.
func (w *world) retention() int64 {
	if w.conf.Seed%4 == 1 {
		return 2 * seglog.SegmentBytesMin
	}
	return 4 * seglog.SegmentBytesMin
}

// happened hears what the shard tells the console.
func (m *member) happened(kind, text string) {
	m.w.say("member %d: %s: %s", m.id+1, kind, text)
	switch kind {
	case "snapshot":
		if strings.HasPrefix(text, "entries up to") {
			m.w.covered(Snapshots)
		} else if strings.HasPrefix(text, "what member") {
			m.w.covered(SnapshotsRefused)
		}
	case "log-damaged":
		m.lostLog(text)
	case "log-repaired":
		m.w.covered(Repaired)
	case "retention":
		m.w.covered(Retention)
	case "timer-full":
		m.w.covered(Unrolled)
	}
}

// lostLog: only a disk that decayed is found to be damaged; a crash never looks like that.
func (m *member) lostLog(why string) {
	m.w.covered(Repairs)
	if !m.damaged {
		m.w.violate("%s finds its log damaged, though its disk never decayed: %s", m, why)
	}
}

// start opens what is on the disk.
func (m *member) start() {
	if m.gone {
		return
	}
	m.life++
	m.syncing, m.sealing, m.checking, m.firing, m.rolling, m.paused, m.compared = false, false, false, false, false, false, 0
	m.outbox, m.asides, m.waiting = nil, nil, nil
	promised := m.promises()
	s, err := shard.OpenStepped(m.options())
	if err != nil {
		m.refused(err)
		return
	}
	m.shard, m.up = s, true
	if !promised && s.Repairing() {
		m.lostLog("at its start")
	}
	m.read = min(m.read, s.Committed())
	m.w.say("member %d starts: entries %d to %d, applied %d", m.id+1, s.Log().FirstIndex(), s.Log().LastIndex(), s.Committed())
	m.every(int64(shard.TickEvery/time.Microsecond), m.tick)
	m.every(second, func() {
		if !m.paused {
			m.shard.Scrub()
		}
	})
	if len(m.w.machines) > 0 {
		m.every(tendEvery, m.tend)
	}
	m.turn()
}

// promises says that the disk holds the promise of an earlier repair.
func (m *member) promises() bool { return slices.Contains(m.disk.Names("log"), "log/repair") }

// refused is a start that failed: it may while the disk has faults. The process ends, and is started again.
func (m *member) refused(err error) {
	m.w.say("member %d does not start: %v", m.id+1, err)
	if !errors.Is(err, errDisk) && !errors.Is(err, vfs.ErrNoSpace) {
		m.w.violate("member %d does not start: %v", m.id+1, err)
	}
	m.up = true
	m.crash(m.disks.power)
	m.w.restart(m, m.w.between(second, 3*second))
}

// every repeats something in this life.
func (m *member) every(micros int64, do func()) {
	life := m.life
	var again func()
	again = func() {
		if m.life != life || !m.up {
			return
		}
		do()
		m.w.after(micros+m.w.between(-micros/50, micros/50), again)
	}
	m.w.after(m.w.between(0, micros), again)
}

// do runs something on the member in this life, when it is not paused.
func (m *member) do(f func()) {
	if !m.up {
		return
	}
	if m.paused {
		if len(m.waiting) < 10_000 {
			m.waiting = append(m.waiting, f)
		}
		return
	}
	f()
}

func (m *member) tick() {
	if m.paused {
		return
	}
	m.shard.Tick(m.now())
	m.turn()
	if m.up {
		m.w.checkMemory(m)
	}
}

// turn lets the shard work, and takes what comes out of it.
func (m *member) turn() {
	if !m.up {
		return
	}
	m.shard.Turn()
	if m.disks.dead {
		m.crash(m.disks.power)
		m.w.restart(m, m.w.between(10*milli, 2*second))
		return
	}
	m.w.net.post(m)
	if m.shard.Syncing() && !m.syncing {
		m.syncing = true
		m.later(m.syncTime(), m.endSync)
	}
	if m.shard.Seals() && !m.sealing {
		m.sealing = true
		m.later(m.sealTime(), m.seal)
	}
	m.founded = m.founded || m.shard.Founded()
	if m.shard.Checks() && !m.checking {
		m.checking = true
		m.later(m.w.between(milli, 100*milli), m.check)
	}
	if m.shard.Fires() && !m.firing {
		m.firing = true
		m.later(m.readTime(), m.fire)
	}
	if m.shard.Rolls() && !m.rolling {
		m.rolling = true
		m.later(m.readTime(), m.roll)
	}
	m.w.observe(m)
}

// later schedules something in this life.
func (m *member) later(micros int64, do func()) {
	life := m.life
	m.w.after(micros, func() {
		if m.life == life {
			m.do(do)
		}
	})
}

func (m *member) syncTime() int64 {
	if m.slow {
		return m.w.between(100*milli, 2*second)
	}
	return m.w.between(50, 3*milli)
}

func (m *member) sealTime() int64 {
	if m.slowSeal {
		return m.w.between(second, 20*second)
	}
	return m.w.between(milli, 50*milli)
}

// readTime is until parked messages are read; until faults end now and then so long that leaders change meanwhile.
func (m *member) readTime() int64 {
	seldom := 2.0
	if m.w.conf.Focus == FocusTimers {
		seldom = 20
	}
	if m.slow || !m.w.calm && m.w.chance(seldom) {
		return m.w.between(100*milli, 4*second)
	}
	return m.w.between(50, 3*milli)
}

func (m *member) fire() {
	if m.firing = false; m.shard.Fires() {
		m.shard.Fire()
		m.turn()
	}
}

func (m *member) roll() {
	if m.rolling = false; m.shard.Rolls() {
		m.shard.Roll()
		m.turn()
	}
}

func (m *member) endSync() {
	m.syncing = false
	if !m.shard.Syncing() {
		return
	}
	m.shard.EndSync()
	m.turn()
}

func (m *member) seal() {
	m.sealing = false
	if !m.shard.Seals() {
		return
	}
	m.shard.Seal()
	m.turn()
}

func (m *member) check() {
	m.checking = false
	if !m.shard.Checks() {
		return
	}
	m.shard.Check()
	m.turn()
}

// crash ends the process. A power loss takes what was not synced.
func (m *member) crash(power bool) {
	if !m.up {
		return
	}
	m.up = false
	m.life++
	m.w.covered(Crashes)
	m.disks.restart()
	if power {
		m.w.covered(PowerLosses)
		m.w.say("member %d: power loss", m.id+1)
		m.disk = m.disk.Crash(m.w.rng)
	} else {
		m.w.say("member %d: killed", m.id+1)
		m.disk = m.disk.Kill()
	}
	m.w.lost(m)
}

func (m *member) resume() {
	if !m.paused {
		return
	}
	m.paused = false
	m.w.say("member %d goes on", m.id+1)
	waiting := m.waiting
	m.waiting = nil
	for _, f := range waiting {
		m.do(f)
	}
}

// leads says that the member answers as the leader.
func (m *member) leads() bool { return m.up && !m.paused && m.shard.Leads() }

func (m *member) failed() error {
	if !m.up {
		return nil
	}
	return m.shard.Failed()
}

func (m *member) String() string { return fmt.Sprintf("member %d", m.id+1) }

// entries reads what the member shows from an entry on, as consumers and the trail do.
func (m *member) entries(from uint64, f func(entry.Record) error) (uint64, error) {
	return m.shard.Read(from, 4<<20, f)
}

// message reads a message that is to be stored again.
func (m *member) message(pos int64, size int32) (message.View, error) {
	return m.shard.StoredReader().Message(pos, size)
}
