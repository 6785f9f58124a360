package grpcapi

import (
	"container/heap"
	"sync"
	"time"

	"github.com/contrailmq/contrail/broker/service"
)

// Push consumers have their messages' time renewed while they work on them (auto_renew): a lease of a minute is renewed ten seconds before its end, for three
// hours at most, as long as the client's telemetry stream is there. The client keeps the first receipt; what it settles is settled by the newest handle. When the
// stream ends, or the node that leads changes, the lease runs out and the message comes again.
const (
	renewFor    = time.Minute
	renewAhead  = 10 * time.Second
	renewMost   = 3 * time.Hour
	renewEvery  = time.Second
	renewalsMax = 1_000_000
)

// renewal is one message that is renewed.
type renewal struct {
	c       *client
	m       *Member
	receipt string
	group   string
	topic   string
	handle  service.Handle // the newest
	next    time.Time
	until   time.Time
	at      int // in the heap; -1: it is being renewed
	over    bool
}

// renewals are all, by the first receipt, and by when they are due.
type renewals struct {
	mu    sync.Mutex
	by    map[string]*renewal
	order renewalHeap
}

func (l *renewals) init() { l.by = map[string]*renewal{} }

func (l *renewals) add(c *client, m *Member, group, topic, receipt string, h service.Handle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.by) >= renewalsMax {
		return // it has its minute
	}
	now := time.Now()
	r := &renewal{c: c, m: m, receipt: receipt, group: group, topic: topic, handle: h, until: now.Add(renewMost)}
	r.next = dueOf(&r.handle)
	l.by[receipt] = r
	heap.Push(&l.order, r)
}

func dueOf(h *service.Handle) time.Time {
	return time.UnixMilli(h.PopMillis + h.InvisibleMillis).Add(-renewAhead)
}

// take ends the renewal of a message, and gives its newest handle.
func (l *renewals) take(receipt string) (service.Handle, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.by[receipt]
	if r == nil {
		return service.Handle{}, false
	}
	l.removeLocked(r)
	return r.handle, true
}

func (l *renewals) removeLocked(r *renewal) {
	delete(l.by, r.receipt)
	if r.over = true; r.at >= 0 {
		heap.Remove(&l.order, r.at)
	}
}

// drop ends the renewals of a client that is gone.
func (l *renewals) drop(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.by {
		if r.c == c {
			l.removeLocked(r)
		}
	}
}

// due takes those that are to be renewed now.
func (l *renewals) due(now time.Time) (list []*renewal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.order) > 0 && !l.order[0].next.After(now) {
		r := heap.Pop(&l.order).(*renewal)
		if now.After(r.until) || !r.m.Service.Leads() {
			l.removeLocked(r)
			continue
		}
		list = append(list, r)
	}
	return list
}

// renewed takes the new handle, or ends it.
func (l *renewals) renewed(r *renewal, to service.Changed, err *service.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case r.over: // it was settled meanwhile by the old handle
	case err != nil:
		delete(l.by, r.receipt)
		r.over = true
	default:
		r.handle = changedHandle(r.handle, to)
		r.next = dueOf(&r.handle)
		heap.Push(&l.order, r)
	}
}

// renew renews what is due, until the server ends.
func (s *Server) renew() {
	t := time.NewTicker(renewEvery)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-t.C:
			for _, r := range s.renewals.due(now) {
				s.renewOne(r)
			}
		}
	}
}

func (s *Server) renewOne(r *renewal) {
	stands, err := service.RealTopic(r.topic, r.group, r.handle.Type)
	if err != nil {
		s.renewals.renewed(r, service.Changed{}, err)
		return
	}
	h := r.c.take(r.m)
	req := &service.ChangeRequest{InvisibleMillis: renewFor.Milliseconds(), AckRequest: service.AckRequest{
		Client: h, Group: r.group, Topic: stands, QueueID: r.handle.QueueID, Offset: r.handle.Offset, Handle: r.handle.String(),
	}}
	r.m.Service.ChangeInvisible(req, func(to service.Changed, err *service.Error) {
		s.renewals.renewed(r, to, err)
		r.c.give(r.m, h)
	})
}

type renewalHeap []*renewal

func (h renewalHeap) Len() int           { return len(h) }
func (h renewalHeap) Less(i, j int) bool { return h[i].next.Before(h[j].next) }
func (h renewalHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}
func (h *renewalHeap) Push(x any) {
	r := x.(*renewal)
	r.at = len(*h)
	*h = append(*h, r)
}
func (h *renewalHeap) Pop() any {
	old := *h
	r := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	r.at = -1
	return r
}
