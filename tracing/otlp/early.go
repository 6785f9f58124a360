package otlp

import (
	"slices"
	"strings"

	"github.com/contrailmq/contrail/tracing/trail"
)

// Limits of early.
const (
	earlyMax    = 4096       // deliveries that wait: what one turn of a shipper holds back is a few answers of each group
	earlyMicros = 10_000_000 // a delivery that waits so much longer than the newest waits for a message of the past
	queuesMax   = 100_000
)

// early keeps deliveries that come before the messages that they handed out. Those of a message that is handed out at once
// nearly always do: who ships reads the note of it before the entry, which may also wait for its times.
type early struct {
	queues map[queueKey]*seen
	last   *seen // messages of a queue come together
	count  int   // waiting ones of all queues
}

// seen is how far the messages of a queue came, sampled or not.
type seen struct {
	queueKey
	next    int64 // behind the newest; 0: none yet
	waiting []*trail.StoredDelivery
}

func newEarly() *early { return &early{queues: map[queueKey]*seen{}} }

func (e *early) queue(key queueKey) *seen {
	if q := e.last; q != nil && q.queueKey == key {
		return q
	}
	q := e.queues[key]
	if q == nil {
		key.topic = strings.Clone(key.topic)
		q = &seen{queueKey: key}
		e.queues[key] = q
	}
	e.last = q
	return q
}

// saw notes a message and gives the deliveries that need not wait any longer.
func (e *early) saw(key queueKey, offset int64) (ready []*trail.StoredDelivery) {
	q := e.queue(key)
	q.next = offset + 1 // less than before: the topic was made anew, or a block is made again
	if len(q.waiting) == 0 {
		return nil
	}
	q.waiting = slices.DeleteFunc(q.waiting, func(d *trail.StoredDelivery) bool {
		if d.To > q.next {
			return false
		}
		ready = append(ready, d)
		return true
	})
	e.count -= len(ready)
	return ready
}

// hold keeps a delivery that is early. lost is how many had to be given up for want of place.
func (e *early) hold(d *trail.StoredDelivery) (held bool, lost int) {
	if e.queue(queueKey{d.Broker, d.Topic, d.QueueID}).next >= d.To {
		return false, 0
	}
	if e.count >= earlyMax || len(e.queues) > queuesMax {
		lost = e.sweep(d.SentMicros - earlyMicros)
	}
	if e.count >= earlyMax {
		return true, lost + 1
	}
	q := e.queue(queueKey{d.Broker, d.Topic, d.QueueID})
	q.waiting = append(q.waiting, cloneDelivery(d))
	e.count++
	return true, lost
}

// sweep gives up what is older than a time, and forgets queues for which nothing waits: what comes of them then waits for
// their next message.
func (e *early) sweep(micros int64) (lost int) {
	e.last = nil
	for k, q := range e.queues {
		n := len(q.waiting)
		q.waiting = slices.DeleteFunc(q.waiting, func(d *trail.StoredDelivery) bool { return d.SentMicros < micros })
		lost += n - len(q.waiting)
		if len(e.queues) > queuesMax/2 && len(q.waiting) == 0 {
			delete(e.queues, k)
		}
	}
	e.count -= lost
	return lost
}

// cloneDelivery copies what is valid only within the call.
func cloneDelivery(d *trail.StoredDelivery) *trail.StoredDelivery {
	c := *d
	for _, text := range []*string{&c.Topic, &c.Group, &c.Client, &c.Addr, &c.Language, &c.Version, &c.Protocol, &c.Node, &c.Subscription} {
		*text = strings.Clone(*text)
	}
	c.Skipped = slices.Clone(d.Skipped)
	return &c
}
