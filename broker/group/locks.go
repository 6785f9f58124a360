package group

// LockForMillis is how long a queue lock holds without being renewed (RebalanceLockManager).
const LockForMillis = 60_000

// LocksMax is how many queues of all groups are locked at most; no client gets more.
const LocksMax = 200_000

// QueueRef names a queue.
type QueueRef struct {
	Topic   string `json:"topic"`
	Broker  string `json:"brokerName"`
	QueueID int32  `json:"queueId"`
}

type lockKey struct {
	group string
	queue QueueRef
}

type lockHeld struct {
	client string
	until  int64
}

type locks map[lockKey]lockHeld

// Lock gives a client the queues that are free, its own, or expired; the result is the queues that it holds now.
func (r *Registry) Lock(now int64, group, clientID string, queues []QueueRef) []QueueRef {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := []QueueRef{}
	for _, q := range queues {
		k := lockKey{group, q}
		l, ok := r.locks[k]
		if ok && l.client != clientID && l.until > now || !ok && len(r.locks) >= LocksMax {
			continue
		}
		r.locks[k] = lockHeld{clientID, now + LockForMillis}
		held = append(held, q)
	}
	return held
}

// expire forgets what was not renewed.
func (l locks) expire(now int64) {
	for k, held := range l {
		if held.until <= now {
			delete(l, k)
		}
	}
}

// Unlock gives back what the client holds.
func (r *Registry) Unlock(group, clientID string, queues []QueueRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range queues {
		k := lockKey{group, q}
		if r.locks[k].client == clientID {
			delete(r.locks, k)
		}
	}
}
