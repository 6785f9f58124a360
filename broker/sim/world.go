package sim

import (
	"container/heap"
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/contrailmq/contrail/broker/shard"
)

// Config of a run. The zero value of a field takes the default.
type Config struct {
	Seed    uint64
	Faults  time.Duration // how long faults go on, of the world's time; default: 5 to 15 s by the seed
	Planted shard.Planted
	// ForgetSync: syncs of files whose names contain this are forgotten; a planted mistake.
	ForgetSync string
	History    bool // keep what happened, readable
	Disk       bool // with each operation on a disk
	Log        slog.Handler
}

// Result of a run.
type Result struct {
	Violation string // empty: everything held
	Entries   int    // in the truth
	Acked     int    // messages
	Uncertain int    // tries whose outcome was not known
	Crashes   int
	Leaders   int // terms that had one
	Snapshots int
	Reads     int
	LongestMs int64 // between two acknowledgements, all of the run
	History   []string
}

const (
	membersMax = 3
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
	leaders map[uint64]int // term → member
	calm    bool           // faults are over
	stopped bool           // clients send nothing more
	result  Result
	lastAck int64
}

type event struct {
	at  int64
	seq uint64
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	old[len(old)-1] = event{}
	*e = old[:len(old)-1]
	return last
}

// after schedules something.
func (w *world) after(micros int64, do func()) {
	w.seq++
	heap.Push(&w.events, event{w.now + micros, w.seq, do})
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
		e := heap.Pop(&w.events).(event)
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
	w.begin()
	w.run(int64(c.Faults)/micro, never)
	w.finish()
	w.result.Entries = len(w.truth.entries)
	w.result.Leaders = len(w.leaders)
	return w.result
}

func (w *world) begin() {
	w.truth.init()
	w.net.init(w)
	for i := range membersMax {
		m := newMember(w, i)
		w.members = append(w.members, m)
		m.start()
	}
	for i := range producers {
		w.addProducer(i)
	}
	for i := range readers {
		w.addCommitter(i)
	}
	w.plague()
}
