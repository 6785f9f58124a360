package service

import (
	"container/heap"
	"sync"
	"time"

	"github.com/contrailmq/contrail/broker/beat"
	"github.com/contrailmq/contrail/broker/queue"
)

// Limits of long polling.
const (
	PollsMax       = 200_000 // of all connections; more are answered at once
	pollsPerClient = 10_000  // of one connection
	sweepEvery     = 100 * time.Millisecond
	sweepIdle      = time.Second // while none is held
	pollWorkers    = 2
)

// polls holds requests that wait for messages.
type polls struct {
	s  *Service
	mu sync.Mutex
	// byQueue and byClient find the same requests.
	byQueue  map[*queue.Queue]map[*pull]struct{}
	byClient map[*Client]map[*pull]struct{}
	heap     waitHeap[*pull]
	ready    []*pull
	cond     sync.Cond
	closed   bool
	swept    bool          // closed, and what was held is ready
	kick     chan struct{} // the first one is held, or all end
	workers  sync.WaitGroup
}

func (p *polls) init(s *Service) {
	p.s, p.byQueue, p.byClient = s, map[*queue.Queue]map[*pull]struct{}{}, map[*Client]map[*pull]struct{}{}
	p.cond.L, p.kick = &p.mu, make(chan struct{}, 1)
	s.pops.init(s)
}

func (p *polls) start() {
	p.s.pops.start()
	p.workers.Add(pollWorkers + 1)
	for range pollWorkers {
		go p.work()
	}
	go p.sweep()
}

func (p *polls) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.wake()
	p.cond.Broadcast()
	p.workers.Wait()
	p.s.pops.close()
}

// wake has the sweeper look now.
func (p *polls) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// Held is how many requests wait.
func (s *Service) Held() int {
	s.polls.mu.Lock()
	defer s.polls.mu.Unlock()
	return len(s.polls.heap)
}

// hold keeps r until its queue gets a message or its time is up.
func (p *polls) hold(r *pull) {
	if r.heldSince == 0 {
		r.heldSince = nowMicros()
		r.deadline = r.heldSince/1000 + r.req.SuspendMillis
	}
	c := r.req.Client
	p.mu.Lock()
	if p.closed { // the workers may be gone
		p.mu.Unlock()
		r.due = true
		r.done(p.s.try(r))
		return
	}
	if len(p.heap) >= PollsMax || len(p.byClient[c]) >= pollsPerClient || (c != nil && c.closed.Load()) {
		r.due = true
		p.readyLocked(r)
		p.mu.Unlock()
		return
	}
	add(p.byQueue, r.queue, r)
	add(p.byClient, c, r)
	if heap.Push(&p.heap, r); len(p.heap) == 1 {
		p.wake()
	}
	r.queue.Waiters.Add(1)
	// A message, a leader or a reset may have come before the waiter was counted.
	_, end, _ := r.queue.Bounds()
	if end > r.next || p.s.leaderCame(r) || p.s.isReset(r) {
		p.removeLocked(r)
		p.readyLocked(r)
	}
	p.mu.Unlock()
}

func add[K comparable](m map[K]map[*pull]struct{}, k K, r *pull) {
	set := m[k]
	if set == nil {
		set = map[*pull]struct{}{}
		m[k] = set
	}
	set[r] = struct{}{}
}

func remove[K comparable](m map[K]map[*pull]struct{}, k K, r *pull) {
	delete(m[k], r)
	if len(m[k]) == 0 {
		delete(m, k)
	}
}

func (p *polls) removeLocked(r *pull) {
	remove(p.byQueue, r.queue, r)
	remove(p.byClient, r.req.Client, r)
	heap.Remove(&p.heap, r.at)
	r.queue.Waiters.Add(-1)
}

func (p *polls) readyLocked(r *pull) {
	p.ready = append(p.ready, r)
	p.cond.Signal()
}

// stored is called by the shard's goroutine when a queue got messages that somebody waits for.
func (p *polls) stored(q *queue.Queue) {
	p.mu.Lock()
	for r := range p.byQueue[q] {
		p.removeLocked(r)
		p.readyLocked(r)
	}
	p.mu.Unlock()
	p.s.pops.stored(q)
}

// release answers all that is held: this member no longer is, or no longer must be, the one to hold it.
func (p *polls) release() {
	p.s.pops.release()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.heap) > 0 {
		r := p.heap[0]
		p.removeLocked(r)
		r.due = true
		p.readyLocked(r)
	}
}

func (p *polls) work() {
	defer p.workers.Done()
	for {
		p.mu.Lock()
		for len(p.ready) == 0 && !p.swept {
			p.cond.Wait()
		}
		if len(p.ready) == 0 {
			p.mu.Unlock()
			return
		}
		batch := p.ready
		if len(batch) > 1 { // leave half for the other worker
			batch = batch[:(len(batch)+1)/2]
		}
		batch = append([]*pull(nil), batch...)
		p.ready = append(p.ready[:0], p.ready[len(batch):]...)
		p.mu.Unlock()
		for _, r := range batch {
			p.again(r)
		}
	}
}

func (p *polls) again(r *pull) {
	if answer := p.s.try(r); answer != nil {
		r.done(answer)
		return
	}
	p.hold(r)
}

// sweep answers those whose time is up.
func (p *polls) sweep() {
	defer p.workers.Done()
	tick := beat.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		var now time.Time
		select {
		case now = <-tick.C:
		case <-p.kick:
			now = time.Now()
		}
		p.s.rates.sample(now, p.s.shard.Counters().Messages.Load(), p.s.messageOut.Load())
		p.mu.Lock()
		for len(p.heap) > 0 && (p.heap[0].deadline <= now.UnixMilli() || p.closed) {
			r := p.heap[0]
			p.removeLocked(r)
			r.due = true
			p.readyLocked(r)
		}
		p.swept = p.closed
		wait := sweepIdle
		if len(p.heap) > 0 {
			wait = sweepEvery
		}
		p.mu.Unlock()
		if p.swept { // only this goroutine sets it
			p.cond.Broadcast()
			return
		}
		tick.Rest(wait)
	}
}

// CancelPulls forgets the long polls of a closed connection; they are never answered.
func (s *Service) CancelPulls(c *Client) {
	c.closed.Store(true)
	s.pops.cancel(c)
	p := &s.polls
	p.mu.Lock()
	defer p.mu.Unlock()
	for r := range p.byClient[c] {
		p.removeLocked(r)
	}
}
