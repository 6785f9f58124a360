package service

import (
	"container/heap"
	"container/list"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/contrailmq/contrail/broker/beat"
	"github.com/contrailmq/contrail/broker/queue"
)

// Limits of held pops (BrokerConfig.popPollingSize, maxPopPollingSize).
const (
	popPollsMax    = 100_000 // of all
	popPollsPerKey = 1024    // of a topic, group and queue
	popWorkers     = 2
	anyQueue       = -1
)

// popScope is what pops wait for together.
type popScope struct{ group, topic string }

// scope is there while a pop of its group and topic is on its way. While it is, its topic's queues tell of new messages.
type scope struct {
	popScope
	refs    int
	locks   map[popLock]*lockState
	waiting map[int32]*list.List // of *popWait, by queue
	watched *watched
	// What came since: a pop that found nothing and was told of something meanwhile looks again.
	news, newsOfAll uint64
	newsOf          map[int32]uint64
}

// popLock is a queue that a pop has planned to take from.
type popLock struct {
	topic string
	queue int32
}

type lockState struct{ wanted bool } // somebody else passed the queue over

// watched is a topic of which scopes are told.
type watched struct {
	topic  *queue.Topic
	queues []*queue.Queue
	scopes map[*scope]struct{}
}

// pops is the pops on their way, and those that are held.
type pops struct {
	s        *Service
	revives  atomic.Int64  // numbers of revive queues given out
	reviving chan struct{} // a token for each revival on its way

	mu       sync.Mutex
	scopes   map[popScope]*scope
	topics   map[string]*watched
	byClient map[*Client]map[*popWait]struct{}
	heap     waitHeap[*popWait]
	ready    []func()
	cond     sync.Cond
	closed   bool
	kick     chan struct{}
	stop     chan struct{}
	workers  sync.WaitGroup
}

// popWait is one request's part in it.
type popWait struct {
	s      *Service
	scope  *scope // nil: over
	client *Client
	queue  int32
	held
	since int64          // µs, when it was held first; 0: it was not
	seen  uint64         // news that the last look knew of
	place *list.Element  // in its scope's list
	again func()         // looks again
	over  func(code int) // answers without messages
}

func (p *pops) init(s *Service) {
	p.s, p.scopes, p.topics, p.byClient = s, map[popScope]*scope{}, map[string]*watched{}, map[*Client]map[*popWait]struct{}{}
	p.cond.L, p.kick, p.stop, p.reviving = &p.mu, make(chan struct{}, 1), make(chan struct{}), make(chan struct{}, reviveDeeds)
}

func (p *pops) start() {
	p.workers.Add(popWorkers + 1)
	for range popWorkers {
		go p.work()
	}
	go p.sweep()
}

// close answers what is held. What is on its way is answered by who refuses its deed.
func (p *pops) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.release()
	close(p.stop)
	p.cond.Broadcast()
	p.workers.Wait()
}

// run has a worker do something; after the workers ended the caller does.
func (p *pops) run(f func()) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		f()
		return
	}
	p.readyLocked(f)
	p.mu.Unlock()
}

func (p *pops) readyLocked(f func()) {
	p.ready = append(p.ready, f)
	p.cond.Signal()
}

func (p *pops) work() {
	defer p.workers.Done()
	for {
		p.mu.Lock()
		for len(p.ready) == 0 && !p.closed {
			p.cond.Wait()
		}
		if len(p.ready) == 0 {
			p.mu.Unlock()
			return
		}
		f := p.ready[0]
		p.ready[0] = nil
		if p.ready = p.ready[1:]; len(p.ready) == 0 {
			p.ready = nil
		}
		p.mu.Unlock()
		f()
	}
}

// revive is the number of a revive queue that an answer names.
func (p *pops) revive(ordered bool) int32 {
	if ordered {
		return reviveOrdered
	}
	return int32(uint64(p.revives.Add(1)) % reviveQueues)
}

// HeldPops is how many pops wait.
func (s *Service) HeldPops() int {
	s.pops.mu.Lock()
	defer s.pops.mu.Unlock()
	return len(s.pops.heap)
}

// begin makes w part of its scope.
func (w *popWait) begin(s *Service, c *Client, in popScope, queue int32, deadline int64) {
	w.s, w.client, w.queue, w.at = s, c, max(queue, anyQueue), -1
	w.deadline = deadline
	p := &s.pops
	p.mu.Lock()
	defer p.mu.Unlock()
	w.scope = p.scopes[in]
	if w.scope == nil {
		w.scope = &scope{popScope: in, locks: map[popLock]*lockState{}, waiting: map[int32]*list.List{}, newsOf: map[int32]uint64{}}
		p.scopes[in] = w.scope
	}
	w.scope.refs++
	p.watchLocked(w.scope)
}

// end takes w out. It may be called again.
func (w *popWait) end() {
	p := &w.s.pops
	p.mu.Lock()
	defer p.mu.Unlock()
	p.takeOutLocked(w)
	in := w.scope
	if w.scope = nil; in == nil {
		return
	}
	if in.refs--; in.refs == 0 {
		p.unwatchLocked(in)
		delete(p.scopes, in.popScope)
	}
}

// watchLocked has the queues of a scope's topic tell of new messages: also those that the topic got since.
func (p *pops) watchLocked(in *scope) {
	e, ok := p.s.shard.Catalog().Topic(in.topic)
	if !ok {
		return
	}
	t := p.s.topicQueues(e)
	if in.watched != nil && in.watched.topic != t { // it was made anew
		p.unwatchLocked(in)
	}
	w := p.topics[in.topic]
	if w == nil || w.topic != t {
		w = &watched{topic: t, scopes: map[*scope]struct{}{}}
		p.topics[in.topic] = w
	}
	for id := int32(len(w.queues)); id < e.ReadQueues; id++ {
		q := t.Queue(id)
		q.Waiters.Add(1)
		w.queues = append(w.queues, q)
	}
	w.scopes[in], in.watched = struct{}{}, w
}

func (p *pops) unwatchLocked(in *scope) {
	w := in.watched
	if in.watched = nil; w == nil {
		return
	}
	if delete(w.scopes, in); len(w.scopes) > 0 {
		return
	}
	for _, q := range w.queues {
		q.Waiters.Add(-1)
	}
	if p.topics[in.topic] == w {
		delete(p.topics, in.topic)
	}
}

// gone says that nobody waits for the answer any more.
func (w *popWait) gone() bool { return w.client != nil && w.client.closed.Load() }

// look begins to look for messages: what comes from now on is news.
func (w *popWait) look() {
	p := &w.s.pops
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchLocked(w.scope)
	w.seen = w.scope.newsFor(w.queue)
}

// changed makes sure that w looks again before it is held.
func (w *popWait) changed() { w.seen-- }

func (in *scope) newsFor(queue int32) uint64 {
	if queue == anyQueue {
		return in.newsOfAll
	}
	return in.news + in.newsOf[queue]
}

// lock takes a queue for a plan; false: another request has it, and wakes somebody when it is done.
func (w *popWait) lock(topic string, queue int32) bool {
	p, k := &w.s.pops, popLock{topic, queue}
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := w.scope.locks[k]; l != nil {
		l.wanted = true
		return false
	}
	w.scope.locks[k] = &lockState{}
	return true
}

func (w *popWait) unlock(topic string, queue int32) {
	p, k := &w.s.pops, popLock{topic, queue}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := w.scope.locks[k]
	delete(w.scope.locks, k)
	if l != nil && l.wanted {
		p.tellLocked(w.scope, anyQueue)
	}
}

// pass wakes the next one: there is more.
func (w *popWait) pass() {
	p := &w.s.pops
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.scope != nil {
		p.tellLocked(w.scope, anyQueue)
	}
}

// tellLocked has somebody look who waits in a scope, for one queue or, with anyQueue, for each.
func (p *pops) tellLocked(in *scope, id int32) {
	in.newsOfAll++
	if id == anyQueue {
		in.news++
		for _, waiting := range in.waiting {
			p.wakeLocked(waiting)
		}
		return
	}
	in.newsOf[id]++
	p.wakeLocked(in.waiting[anyQueue])
	p.wakeLocked(in.waiting[id])
}

// wakeLocked has the first of a list look again.
func (p *pops) wakeLocked(waiting *list.List) {
	if waiting == nil || waiting.Len() == 0 {
		return
	}
	w := waiting.Front().Value.(*popWait)
	p.takeOutLocked(w)
	p.readyLocked(w.again)
}

// takeOutLocked ends that w is held.
func (p *pops) takeOutLocked(w *popWait) {
	if w.at < 0 {
		return
	}
	heap.Remove(&p.heap, w.at)
	waiting := w.scope.waiting[w.queue]
	if waiting.Remove(w.place); waiting.Len() == 0 {
		delete(w.scope.waiting, w.queue)
	}
	w.place = nil
	delete(p.byClient[w.client], w)
	if len(p.byClient[w.client]) == 0 {
		delete(p.byClient, w.client)
	}
}

// hold keeps w until there is news or its time is up; the code says why it cannot, 0: it is held.
func (w *popWait) hold() (code int) {
	now := nowMicros()
	p := &w.s.pops
	p.mu.Lock()
	defer p.mu.Unlock()
	in := w.scope
	waiting := in.waiting[w.queue]
	switch {
	case w.deadline <= now/1000 || p.closed:
		return CodePollingTimeout
	case in.newsFor(w.queue) != w.seen:
		p.readyLocked(w.again)
		return 0
	case len(p.heap) >= popPollsMax, waiting != nil && waiting.Len() >= popPollsPerKey, len(p.byClient[w.client]) >= pollsPerClient:
		return CodePollingFull
	}
	if w.since == 0 {
		w.since = now
	}
	if waiting == nil {
		waiting = list.New()
		in.waiting[w.queue] = waiting
	}
	w.place = waiting.PushBack(w)
	if p.byClient[w.client] == nil {
		p.byClient[w.client] = map[*popWait]struct{}{}
	}
	p.byClient[w.client][w] = struct{}{}
	if heap.Push(&p.heap, w); len(p.heap) == 1 {
		select {
		case p.kick <- struct{}{}:
		default:
		}
	}
	return 0
}

// stored is called by the shard's goroutine when a queue got messages.
func (p *pops) stored(q *queue.Queue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.topics[q.Topic]
	if w == nil {
		return
	}
	for in := range w.scopes {
		p.tellLocked(in, q.ID)
	}
}

// tell has somebody of a group look: messages came back, or an ordered queue is free.
func (p *pops) tell(group, topic string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if in := p.scopes[popScope{group, topic}]; in != nil {
		p.tellLocked(in, anyQueue)
	}
}

// release answers all that is held.
func (p *pops) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expireLocked(func(*popWait) bool { return true })
}

func (p *pops) expireLocked(which func(first *popWait) bool) {
	for len(p.heap) > 0 && which(p.heap[0]) {
		w := p.heap[0]
		p.takeOutLocked(w)
		p.readyLocked(func() { w.over(CodePollingTimeout) })
	}
}

// cancel forgets what a closed connection waits for.
func (p *pops) cancel(c *Client) {
	p.mu.Lock()
	var held []*popWait
	for w := range p.byClient[c] {
		held = append(held, w)
	}
	for _, w := range held {
		p.takeOutLocked(w)
	}
	p.mu.Unlock()
	for _, w := range held {
		w.end()
	}
}

// sweep answers those whose time is up.
func (p *pops) sweep() {
	defer p.workers.Done()
	tick := beat.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		var now time.Time
		select {
		case now = <-tick.C:
		case <-p.kick:
			now = time.Now()
		case <-p.stop:
			return
		}
		p.tellResets()
		p.mu.Lock()
		p.expireLocked(func(w *popWait) bool { return w.deadline <= now.UnixMilli() })
		wait := sweepIdle
		if len(p.heap) > 0 {
			wait = sweepEvery
		}
		p.mu.Unlock()
		tick.Rest(wait)
	}
}

// tellResets has those look who wait where their group was reset: their pop takes the mark away.
func (p *pops) tellResets() {
	r := &p.s.resets
	if r.count.Load() == 0 {
		return
	}
	r.mu.Lock()
	keys := slices.Collect(maps.Keys(r.marks))
	r.mu.Unlock()
	for _, k := range keys {
		p.tell(k.Group, originOf(k.Topic, k.Group))
	}
}
