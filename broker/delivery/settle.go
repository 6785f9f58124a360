package delivery

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/contrailmq/contrail/broker/entry"
)

// ErrSettled is what a client says of a message that is not in flight any more by its handle: success without any effect.
var ErrSettled = errors.New("acknowledged before")

// Settle is what a client says of one message that it popped: an ack or, with VisibleMillis, another time.
type Settle struct {
	Ack           entry.PopAck
	Client        string
	VisibleMillis int64 // > 0: a change, for so many ms
	AtMillis      int64 // of a change: when, part of the new handle
	Err           error // why it has no effect: ErrSettled or a *Refusal
}

// Settle makes the records of what clients say of messages of one queue: acks of each client, then changes. now is ms, low the group's
// consumer offset, 0 if it has none. What has no effect gets its Err, as does what is said twice of one message; what has one is left out.
// all is sorted.
func (t *Table) Settle(k Key, now, low int64, all []*Settle) (acks []entry.PopAcks, changes []entry.PopChange) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	slices.SortStableFunc(all, func(a, b *Settle) int {
		return cmp.Or(strings.Compare(a.Client, b.Client), CompareAcks(a.Ack, b.Ack))
	})
	seen := make(map[entry.PopAck]bool, len(all))
	for _, e := range all {
		if e.Err != nil {
			continue
		}
		again, err := t.canAck(k, e.Ack, low)
		if err == nil && (again || seen[e.Ack]) {
			err = ErrSettled
		}
		if e.Err = err; err != nil {
			continue
		}
		seen[e.Ack] = true
		if e.VisibleMillis > 0 {
			e.AtMillis = max(now, e.Ack.PopMillis+1)
			changes = append(changes, entry.PopChange{
				Group: k.Group, Topic: k.Topic, Client: e.Client, QueueID: k.QueueID, PopAck: e.Ack, AtMillis: e.AtMillis, InvisibleMillis: e.VisibleMillis,
			})
			continue
		}
		if n := len(acks); n == 0 || acks[n-1].Client != e.Client {
			acks = append(acks, entry.PopAcks{Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Client: e.Client, AtMillis: now})
		}
		last := &acks[len(acks)-1]
		last.Acks = append(last.Acks, e.Ack)
	}
	return acks, changes
}
