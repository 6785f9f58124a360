package remoting

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/complain"
	"github.com/contrailmq/contrail/broker/group"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// Limits of what waits for a leader.
const (
	waitingMax   = 4096
	waitingBytes = 32 << 20
	tryEvery     = 20 * time.Millisecond
	sweepEvery   = 500 * time.Millisecond
	tellEvery    = 5 * time.Second // while a leader cannot be reached
)

// RelayStats count what a member did for its clients while it did not lead.
type RelayStats struct {
	Relayed   atomic.Int64 // answered by the leader
	Failed    atomic.Int64 // not answered by the leader
	PullsHere atomic.Int64 // answered from this member's own state
}

// relay is all links to leaders, and what waits for a leader.
type relay struct {
	group  string
	leader func() (addr string, ok bool)
	leads  func() bool                        // this member does
	client func(id string) (group.Conn, bool) // that is connected to this member
	stats  RelayStats

	complaints *complain.Log

	mu      sync.Mutex
	links   map[place]*link
	waiting []*errand
	bytes   int  // of waiting
	trying  bool // waiting is being handed over
	closed  bool
	kick    chan struct{}
	stop    chan struct{}
	running sync.WaitGroup
}

type place struct {
	addr string
	lane int
}

func newRelay(o Options, leads func() bool, client func(id string) (group.Conn, bool)) *relay {
	r := &relay{
		group: o.Broker, leader: o.Leader, leads: leads, client: client, complaints: complain.New(o.Log, ""), links: map[place]*link{}, kick: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	r.running.Add(1)
	go r.run()
	return r
}

func (r *relay) noLeader() string {
	return fmt.Sprintf("service not available now: a leader of the broker group %s is being elected, try again", r.group)
}

// submit sends e to the leader, or keeps it until there is one.
func (r *relay) submit(e *errand) {
	addr, ok := r.leader()
	if !ok {
		r.undone(e)
		return
	}
	r.mu.Lock()
	if (r.trying || len(r.waiting) > 0) && e.pull == nil { // what was asked before goes before
		r.mu.Unlock()
		r.undone(e)
		return
	}
	l := r.linkLocked(place{addr, e.lane})
	r.mu.Unlock()
	if l == nil || !l.take(e) {
		r.undone(e)
	}
}

func (r *relay) linkLocked(at place) *link {
	l := r.links[at]
	if l == nil && !r.closed {
		l = newLink(r, at.addr)
		r.links[at] = l
		r.running.Add(1)
		go l.run()
	}
	return l
}

// undone takes back what the leader has not done: a pull is answered here, all else waits for a while.
func (r *relay) undone(e *errand) {
	if e.pull != nil {
		e.here()
		return
	}
	r.mu.Lock()
	keep := !r.closed && time.Now().Before(e.until) && len(r.waiting) < waitingMax && (r.bytes == 0 || r.bytes+len(e.frame) <= waitingBytes)
	if keep {
		r.waiting, r.bytes = append(r.waiting, e), r.bytes+len(e.frame)
	}
	r.mu.Unlock()
	if !keep {
		e.failed(service.Refuse(service.CodeServiceNotAvailable, "%s", r.noLeader()))
		return
	}
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// unknown answers what the leader may have done or not.
func (r *relay) unknown(e *errand, why string) {
	if e.pull != nil {
		e.here()
		return
	}
	e.failed(service.Refuse(service.CodeSystemError, "%s %s of the broker group %s: it may be done or not, and who sends a message again may store it twice", service.OutcomeUnknown, why, r.group))
}

func (r *relay) answered(e *errand, f *wire.Frame) {
	if f.Get(notLedField) != nil {
		r.undone(e)
		return
	}
	r.stats.Relayed.Add(1)
	e.answered(f)
}

// lost is called by a link when it ended.
func (r *relay) lost(l *link, err error) {
	r.mu.Lock()
	for at, other := range r.links {
		if other == l {
			delete(r.links, at)
		}
	}
	closed := r.closed
	r.mu.Unlock()
	unsent, unknown := l.left()
	if err != nil && !closed && len(unsent)+len(unknown) > 0 {
		r.tell(l, len(unsent), len(unknown), err)
	}
	for _, e := range unknown {
		r.unknown(e, "the connection broke to the leader")
	}
	for _, e := range unsent {
		r.undone(e)
	}
}

// tell logs a lost connection. Until the members know that their leader is dead it is dialled every few milliseconds: one line says so; what a client
// is not told the outcome of is told each time.
func (r *relay) tell(l *link, unsent, unknown int, err error) {
	every := tellEvery
	if unknown > 0 {
		every = 0
	}
	r.complaints.Warn("lost", every, "connection to the leader lost", "broker", r.group, "leader", l.addr, "unsent", unsent, "unanswered", unknown, "err", err)
}

// run tries again what waits for a leader, and looks after the links.
func (r *relay) run() {
	defer r.running.Done()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	var again <-chan time.Time
	for {
		select {
		case <-r.kick:
			if again == nil {
				again = time.After(tryEvery)
			}
		case <-again:
			again = nil
			r.tryAgain()
		case now := <-sweep.C:
			r.sweep(now)
		case <-r.stop:
			return
		}
	}
}

func (r *relay) tryAgain() {
	r.mu.Lock()
	waiting := r.waiting
	r.waiting, r.bytes, r.trying = nil, 0, true
	r.mu.Unlock()
	for _, e := range waiting {
		addr, ok := r.leader()
		var l *link
		if ok {
			r.mu.Lock()
			l = r.linkLocked(place{addr, e.lane})
			r.mu.Unlock()
		}
		if l == nil || !l.take(e) {
			r.undone(e)
		}
	}
	r.mu.Lock()
	r.trying = false
	r.mu.Unlock()
}

// sweep answers what waited too long, and ends links to who does not lead any more.
func (r *relay) sweep(now time.Time) {
	addr, ok := r.leader()
	r.mu.Lock()
	links := make([]*link, 0, len(r.links))
	for _, l := range r.links {
		links = append(links, l)
	}
	r.mu.Unlock()
	for _, l := range links {
		stale := !ok || l.addr != addr
		late, silent := l.overdue(now, stale)
		if silent || stale && l.idle() {
			l.end()
		}
		for _, e := range late {
			if e.pull != nil && ok && stale {
				e.frame = bytes.Clone(e.frame) // the old link may still be writing it
				r.submit(e)
			} else {
				r.unknown(e, "no answer came in time from the leader")
			}
		}
	}
}

// close ends all links; what was under way is answered.
func (r *relay) close() {
	r.mu.Lock()
	r.closed = true
	waiting := r.waiting
	r.waiting = nil
	for _, l := range r.links {
		l.end()
	}
	r.mu.Unlock()
	close(r.stop)
	for _, e := range waiting {
		r.undone(e)
	}
	r.running.Wait()
}
