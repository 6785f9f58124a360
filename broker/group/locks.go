package group

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

// Times of a queue lock, ms.
const (
	LockForMillis = 60_000 // it holds without being renewed (RebalanceLockManager)
	// LockFreshMillis is how much of its time a lock must have left to be confirmed without a record: clients trust what they are told for
	// 30 s (ProcessQueue.REBALANCE_LOCK_MAX_LIVE_TIME) and ask every 20 s, so every other time costs a record.
	LockFreshMillis = 38_000
	lockPurgeMillis = 10_000 // locks that ended are forgotten once in that time
)

// LocksMax is how many queues of all groups are locked at most; no client gets more.
const LocksMax = 200_000

// QueueRef names a queue.
type QueueRef struct {
	Topic   string `json:"topic"`
	Broker  string `json:"brokerName"`
	QueueID int32  `json:"queueId"`
}

// LockRecord is a client's wish as the log holds it (JSON). Now is the leader's clock of locks.
type LockRecord struct {
	Now    int64      `json:"now"`
	For    int64      `json:"for"` // ms; 0: the client gives the queues back
	Group  string     `json:"group"`
	Client string     `json:"client"`
	Queues []QueueRef `json:"queues"`
}

// Lock is one queue that a client holds.
type Lock struct {
	Group  string   `json:"group"`
	Queue  QueueRef `json:"queue"`
	Client string   `json:"client"`
	Until  int64    `json:"until"`
}

type lockKey struct {
	group string
	queue QueueRef
}

type lockHeld struct {
	client string
	until  int64
}

// Locks are the queue locks as applied from the log. Their clock is the newest Now of a record. A leader lets it go on while it leads, never
// faster than time does; the next one goes on from the newest record. So a lock never ends before its time, whatever clocks say.
// Apply, Restore and Reset belong to one goroutine; asking is safe for all.
type Locks struct {
	mu    sync.RWMutex
	clock int64
	held  map[lockKey]lockHeld
	of    map[string]int // how many of each group are held, ended ones included
}

// NewLocks is empty.
func NewLocks() *Locks { return &Locks{held: map[lockKey]lockHeld{}, of: map[string]int{}} }

// Apply takes a record's body.
func (l *Locks) Apply(body []byte) error {
	var r LockRecord
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("queue locks: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.goOnLocked(r.Now)
	for _, q := range r.Queues {
		l.applyLocked(lockKey{r.Group, q}, r.Client, r.For)
	}
	return nil
}

func (l *Locks) applyLocked(k lockKey, client string, millis int64) {
	h, ok := l.held[k]
	switch {
	case ok && h.client != client && h.until > l.clock: // another's
	case millis == 0:
		if h.client == client {
			l.dropLocked(k)
		}
	case ok || len(l.held) < LocksMax:
		l.putLocked(k, lockHeld{client, l.clock + millis})
	}
}

func (l *Locks) putLocked(k lockKey, h lockHeld) {
	if _, ok := l.held[k]; !ok {
		l.of[k.group]++
	}
	l.held[k] = h
}

func (l *Locks) dropLocked(k lockKey) {
	if _, ok := l.held[k]; !ok {
		return
	}
	delete(l.held, k)
	if l.of[k.group]--; l.of[k.group] == 0 {
		delete(l.of, k.group)
	}
}

// goOnLocked moves the clock. What is forgotten when follows from the clock alone, so that members stay equal.
func (l *Locks) goOnLocked(now int64) {
	before := l.clock
	l.clock = max(l.clock, now)
	if l.clock/lockPurgeMillis == before/lockPurgeMillis {
		return
	}
	for k, h := range l.held {
		if h.until <= l.clock {
			l.dropLocked(k)
		}
	}
}

// Clock is the newest record's.
func (l *Locks) Clock() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.clock
}

// Held is which of the queues a client holds.
func (l *Locks) Held(now int64, group, client string, queues []QueueRef) []QueueRef {
	l.mu.RLock()
	defer l.mu.RUnlock()
	held := []QueueRef{}
	for _, q := range queues {
		if h := l.held[lockKey{group, q}]; h.client == client && h.until > now {
			held = append(held, q)
		}
	}
	return held
}

// Holder is who holds a queue of a group; "": nobody does.
func (l *Locks) Holder(now int64, group string, q QueueRef) string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if h := l.held[lockKey{group, q}]; h.until > now {
		return h.client
	}
	return ""
}

// Any says that somebody holds a queue of a group: its messages are consumed in order.
func (l *Locks) Any(now int64, group string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.of[group] == 0 { // most groups are not ordered
		return false
	}
	for k, h := range l.held {
		if k.group == group && h.until > now {
			return true
		}
	}
	return false
}

// Settled says that a record would change nothing that matters: each queue is another's, or the client's for at least fresh ms.
func (l *Locks) Settled(now, fresh int64, group, client string, queues []QueueRef) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, q := range queues {
		h, ok := l.held[lockKey{group, q}]
		if !ok || h.until <= now || h.client == client && h.until < now+fresh {
			return false
		}
	}
	return true
}

// Save gives the clock and all locks in a fixed order.
func (l *Locks) Save() (clock int64, all []Lock) {
	l.mu.RLock()
	for k, h := range l.held {
		all = append(all, Lock{k.group, k.queue, h.client, h.until})
	}
	clock = l.clock
	l.mu.RUnlock()
	slices.SortFunc(all, func(a, b Lock) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Queue.Topic, b.Queue.Topic), cmp.Compare(a.Queue.Broker, b.Queue.Broker), cmp.Compare(a.Queue.QueueID, b.Queue.QueueID))
	})
	return clock, all
}

// Restore takes what Save gave.
func (l *Locks) Restore(clock int64, all []Lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock = clock
	for _, h := range all {
		l.putLocked(lockKey{h.Group, h.Queue}, lockHeld{h.Client, h.Until})
	}
}

// Reset forgets everything.
func (l *Locks) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock, l.held, l.of = 0, map[lockKey]lockHeld{}, map[string]int{}
}
