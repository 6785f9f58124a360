package txn

import "github.com/contrailmq/contrail/broker/entry"

// DecidedMax is how many of the last decisions are remembered, so that who says the same again is told that it is so, and who says
// otherwise what was decided.
const DecidedMax = 1 << 16

// Decided is a transaction that has ended.
type Decided struct {
	Offset, Position int64
	AtMillis         int64
	Group            string // the producer's
	Decision         entry.TxnDecision
	How              entry.TxnHow
}

// ring is the last decisions in the order of the log.
type ring struct {
	all   []Decided
	first int             // the oldest, once the ring is full
	at    map[int64]int32 // by offset
}

func newRing() ring { return ring{at: map[int64]int32{}} }

func (r *ring) add(d Decided) {
	if len(r.all) < DecidedMax {
		r.at[d.Offset] = int32(len(r.all))
		r.all = append(r.all, d)
		return
	}
	delete(r.at, r.all[r.first].Offset)
	r.at[d.Offset] = int32(r.first)
	r.all[r.first] = d
	r.first = (r.first + 1) % DecidedMax
}

func (r *ring) find(offset int64) *Decided {
	i, ok := r.at[offset]
	if !ok {
		return nil
	}
	return &r.all[i]
}

// each calls f for all, the oldest first.
func (r *ring) each(f func(*Decided)) {
	for i := range r.all {
		f(&r.all[(r.first+i)%len(r.all)])
	}
}

// ForgetDecided is a mistake that the simulator plants; nothing else calls it.
func (t *Table) ForgetDecided() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.decided = newRing()
}
