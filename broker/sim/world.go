package sim

import (
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/shard"
)

// Config of a run. The zero value of a field takes the default.
type Config struct {
	Seed    uint64
	Faults  time.Duration // how long faults go on, of the world's time; default: 5 to 15 s by the seed
	Focus   Focus         // one kind of trouble, for mistakes that need much of it
	Planted shard.Planted
	// Mistakes that lie outside of a shard: syncs of files whose names contain ForgetSync are forgotten, or those of folders; clients
	// read without a barrier; members that lost their disk are let in.
	ForgetSync  string
	ForgetDir   bool
	SkipBarrier bool
	NoVet       bool
	// Entries is told of each entry that a member shows, in the order in which it shows them; the data is valid within the call.
	Entries func(member int, r entry.Record)
	History bool // keep what happened, readable
	Disk    bool // with each operation on a disk
	Log     slog.Handler
}

// Result of a run.
type Result struct {
	Violation string // empty: everything held
	Coverage  Coverage
	LongestMs int64 // between two acknowledgements, all of the run
	History   []string
	Truth     Truth
}

const (
	voters     = 3
	membersMax = 8 // in a run, those that went included
	micro      = int64(time.Microsecond)
	milli      = 1000 // µs
	second     = 1000 * milli
	eventsMax  = 1_000_000 // of a run; a usual one has 40 000
)

// world is one run. Times are µs since its begin.
type world struct {
	conf    Config
	rng     *rand.Rand
	now     int64
	seq     uint64
	count   int
	events  events
	members []*member
	net     network
	truth   truth
	clients []*client
	lockers []*locker
	leaders map[uint64]int // term → member
	values  int64          // of registers, that were written so far
	judge   judge
	timed   *timed

	machines []machine

	reorganizes bool // members are replaced in this run
	replacing   *replacement
	quietUntil  int64 // producers send nothing until then
	calm        bool  // faults are over
	stopped     bool  // clients send nothing more
	result      Result
	lastAck     int64
}

type event struct {
	at  int64
	seq uint64
	do  func()
}

type events []event

func (e events) before(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}

// push and pop keep a binary heap; container/heap would allocate for each event.
func (e *events) push(v event) {
	*e = append(*e, v)
	h := *e
	for i := len(h) - 1; i > 0 && h.before(i, (i-1)/2); i = (i - 1) / 2 {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
	}
}

func (e *events) pop() event {
	h := *e
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], event{}
	h = h[:last]
	*e = h
	for i := 0; ; {
		least := i
		for _, c := range [2]int{2*i + 1, 2*i + 2} {
			if c < last && h.before(c, least) {
				least = c
			}
		}
		if least == i {
			return first
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// after schedules something.
func (w *world) after(micros int64, do func()) {
	w.seq++
	w.events.push(event{w.now + micros, w.seq, do})
}

// between is a random duration.
func (w *world) between(from, to int64) int64 { return from + w.rng.Int64N(to-from+1) }

func (w *world) chance(percent float64) bool { return w.rng.Float64()*100 < percent }

// violate ends the run; the first finding counts.
func (w *world) violate(format string, args ...any) {
	if w.result.Violation == "" {
		w.result.Violation = fmt.Sprintf(format, args...)
		w.say("VIOLATION: %s", w.result.Violation)
	}
}

func (w *world) say(format string, args ...any) {
	if w.conf.History {
		w.result.History = append(w.result.History, fmt.Sprintf("%9.3f ms  ", float64(w.now)/milli)+fmt.Sprintf(format, args...))
	}
}

// run handles events until the moment, a violation, or until is true.
func (w *world) run(until int64, done func() bool) {
	for w.result.Violation == "" && len(w.events) > 0 && w.events[0].at <= until && !done() {
		e := w.events.pop()
		w.now = e.at
		e.do()
		if w.count++; w.count > eventsMax {
			w.violate("more than %d events: members keep each other busy: %s", eventsMax, w.states())
		}
	}
	if w.result.Violation == "" && !done() {
		w.now = max(w.now, until)
	}
}

func never() bool { return false }

// seeded is a reader of random bytes for raft.
type seeded struct{ *rand.ChaCha8 }

func seededReader(seed uint64) seeded {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return seeded{rand.NewChaCha8(key)}
}

// Run runs one seed.
func Run(c Config) (result Result) {
	if c.Log == nil {
		c.Log = slog.DiscardHandler
	}
	before := crand.Reader
	crand.Reader = seededReader(c.Seed)
	w := &world{conf: c, rng: rand.New(rand.NewPCG(c.Seed, 0x51a)), leaders: map[uint64]int{}}
	if c.Faults == 0 {
		c.Faults = time.Duration(w.between(5*second, 15*second)) * time.Microsecond
	}
	defer func() {
		crand.Reader = before
		if p := recover(); p != nil {
			w.violate("panic: %v\n%s", p, debug.Stack())
			result = w.result
		}
	}()
	if c.Focus == FocusSnapshots || c.Focus == FocusSaves {
		c.Faults = 25 * time.Second
	}
	if c.Focus == FocusSnapshots {
		w.net.usual, w.net.corrupt = 10, 10
	}
	w.begin()
	w.run(int64(c.Faults)/micro, never)
	w.finish()
	w.result.Truth = w.truth.told()
	return w.result
}

func (w *world) begin() {
	w.truth.init()
	w.net.init(w)
	w.addMachines()
	for i := range voters {
		m := newMember(w, i)
		w.members = append(w.members, m)
		m.start()
	}
	if w.reorganizes = w.chance(40) || w.conf.Focus == FocusMembers; w.reorganizes {
		w.reorganize()
	}
	if w.chance(30) {
		w.administer()
	}
	for i := range producers {
		w.addProducer(i, "p", topic, 0)
	}
	for i := range readers {
		w.addCommitter(i)
	}
	if w.has(FocusBacks, 2, 4) {
		w.addProducer(0, backName, backTopic, 400*milli)
	}
	if w.has(FocusLeases, 0, 5) {
		w.addProducer(0, leaseName, leaseTopic, 400*milli)
	}
	if w.has(FocusOrdered, 3) {
		w.addProducer(0, orderedName, orderedTopic, 400*milli)
	}
	w.addLockers()
	w.addTimed()
	w.plague()
}
