package grpcapi

import (
	"container/heap"
	"context"
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
	at      int           // in the heap; -1: it is in none, because it is being renewed or held
	changes chan struct{} // closed when the renewal that is under way is over; nil: none is
	holds   int           // settlements under way
	over    bool
}

// renewals are all, by the first receipt, by client, and by when they are due.
type renewals struct {
	mu    sync.Mutex
	by    map[string]*renewal
	of    map[*client]map[*renewal]bool
	order renewalHeap
}

func (l *renewals) init() { l.by, l.of = map[string]*renewal{}, map[*client]map[*renewal]bool{} }

func (l *renewals) add(c *client, m *Member, group, topic, receipt string, h service.Handle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.by) >= renewalsMax || c.gone.Load() {
		return // it has its minute
	}
	r := &renewal{c: c, m: m, receipt: receipt, group: group, topic: topic, handle: h, until: time.Now().Add(renewMost), next: dueOf(&h)}
	l.by[receipt] = r
	if l.of[c] == nil {
		l.of[c] = map[*renewal]bool{}
	}
	l.of[c][r] = true
	heap.Push(&l.order, r)
}

func dueOf(h *service.Handle) time.Time {
	return time.UnixMilli(h.PopMillis + h.InvisibleMillis).Add(-renewAhead)
}

// hold gives the newest handle of a message that is about to be settled, when a renewal that is under way is over; it is not renewed until release, which says
// whether it was settled. false: it is not renewed here.
func (l *renewals) hold(ctx context.Context, receipt, group, topic string) (h service.Handle, release func(settled bool), ok bool) {
	for {
		l.mu.Lock()
		r := l.by[receipt]
		if r == nil || r.group != group || r.topic != topic {
			l.mu.Unlock()
			return h, nil, false
		}
		changes := r.changes
		if changes == nil {
			r.holds++
			l.unscheduleLocked(r)
			h = r.handle
			l.mu.Unlock()
			return h, func(settled bool) { l.release(r, settled) }, true
		}
		l.mu.Unlock()
		select {
		case <-changes:
		case <-ctx.Done():
			return h, nil, false
		}
	}
}

func (l *renewals) release(r *renewal, settled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.holds--
	switch {
	case r.over:
	case settled:
		l.removeLocked(r)
	case r.holds == 0:
		heap.Push(&l.order, r)
	}
}

func (l *renewals) unscheduleLocked(r *renewal) {
	if r.at >= 0 {
		heap.Remove(&l.order, r.at)
	}
}

func (l *renewals) removeLocked(r *renewal) {
	l.unscheduleLocked(r)
	r.over = true
	delete(l.by, r.receipt)
	if delete(l.of[r.c], r); len(l.of[r.c]) == 0 {
		delete(l.of, r.c)
	}
}

// forget ends the renewal of a message that did not reach its client.
func (l *renewals) forget(receipts []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, receipt := range receipts {
		if r := l.by[receipt]; r != nil {
			l.removeLocked(r)
		}
	}
}

// drop ends the renewals of a client that is gone.
func (l *renewals) drop(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for r := range l.of[c] {
		l.removeLocked(r)
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
		r.changes = make(chan struct{})
		list = append(list, r)
	}
	return list
}

// renewed takes the new handle. What failed and is still leased is tried again; what is not leased by the handle any more is over.
func (l *renewals) renewed(r *renewal, to service.Changed, err *service.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(r.changes)
	r.changes = nil
	switch {
	case r.over:
		return
	case err == nil:
		r.handle = changedHandle(r.handle, to)
		r.next = dueOf(&r.handle)
	case err.NotLed() || err.Code == service.CodeNoMessage || err.Code == service.CodeMessageIllegal || expired(&r.handle, time.Now()):
		l.removeLocked(r)
		return
	default:
		r.next = time.Now().Add(renewEvery)
	}
	heap.Push(&l.order, r)
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
		Client: h, Group: r.group, Topic: stands, QueueID: r.handle.QueueID, Offset: r.handle.Offset, Read: &r.handle,
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
