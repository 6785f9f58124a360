package delivery

import (
	"math"
	"slices"

	"github.com/contrailmq/contrail/broker/canon"
	"github.com/contrailmq/contrail/broker/entry"
)

// Least bytes of what is saved of one thing.
const (
	queueBytesMin = 4
	leaseBytesMin = 6
	itemBytesMin  = 3
)

// Restore makes the table what Save gave. After an error it is empty.
func (t *Table) Restore(b []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resetLocked()
	if len(b) == 0 {
		return nil
	}
	r := &reader{Reader: canon.NewReader(b), t: t}
	r.all()
	if err := r.End(); err != nil {
		t.resetLocked()
		return err
	}
	return nil
}

type reader struct {
	*canon.Reader
	t     *Table
	names []string
	used  []bool
}

func (r *reader) all() {
	if v := r.Uint(); v != saveVersion {
		r.Failf("deliveries of version %d, this program knows %d", v, saveVersion)
	}
	c := &r.t.counts
	for _, n := range []*int64{&c.Popped, &c.Acked, &c.Changed, &c.Retried, &c.DeadLettered, &c.Gone, &c.SentBacks} {
		*n = r.number("a count")
	}
	r.names = r.Names("names")
	r.used = make([]bool, len(r.names))
	last := Key{}
	for i := range r.Count(queueBytesMin, "queues") {
		k := Key{r.name(), r.name(), int32(uint32(r.Upto(math.MaxUint32, "a queue id")))}
		if i > 0 && compareKeys(last, k) >= 0 {
			r.Failf("%s does not come after %s", k, last)
		}
		r.queue(k)
		if last = k; r.Err() != nil {
			return
		}
	}
	if i := slices.Index(r.used, false); i >= 0 {
		r.Failf("nothing is named %q", r.names[i])
	}
	if *c == (Counts{}) && len(r.t.at) == 0 {
		r.Failf("deliveries that never were")
	}
}

func (r *reader) number(what string) int64 { return int64(r.Upto(math.MaxInt64, what)) }

func (r *reader) name() string {
	i := r.Uint()
	if i >= uint64(len(r.names)) {
		r.Failf("name %d of %d", i, len(r.names))
		return ""
	}
	r.used[i] = true
	return r.names[i]
}

// after reads a gap and gives the offset behind it.
func (r *reader) after(last int64) int64 {
	gap := r.Uint()
	if gap >= uint64(math.MaxInt64-last) {
		r.Failf("an offset %d after %d", gap, last)
		return last
	}
	return last + int64(gap) + 1
}

func (r *reader) queue(k Key) {
	what := r.Upto(hasLeases|hasOrdered|hasSent, "what is known of a queue")
	if what == 0 || what&hasLeases > 0 && what&hasOrdered > 0 {
		r.Failf("%s: what is known of it is %d", k, what)
		return
	}
	q, n := r.t.need(k.Group, k.Topic, k.QueueID)
	if what&(hasLeases|hasOrdered) > 0 {
		q.next = r.number("the next offset")
	}
	if what&hasLeases > 0 {
		r.leases(q, n)
	}
	if what&hasOrdered > 0 {
		r.ordered(q, n)
	}
	if what&hasSent > 0 {
		r.sent(q)
	}
}

func (r *reader) sent(q *queue) {
	count, last := r.Count(1, "what was sent back"), int64(-1)
	if count == 0 || count > SentBackQueueMax {
		r.Failf("%s: %d were sent back, the limit is %d", q.key, count, SentBackQueueMax)
		return
	}
	for range count {
		last = r.after(last)
		q.sent = append(q.sent, last)
	}
	r.t.sent.Add(int64(len(q.sent)))
}

// times reads a pop time and an invisible time.
func (r *reader) times(pop int64) (invisible int64) {
	invisible = int64(r.Upto(InvisibleMaxMillis, "an invisible time"))
	if err := checkTimes(pop, invisible); err != nil {
		r.Failf("%v", err)
	}
	return invisible
}

func (r *reader) leases(q *queue, n int32) {
	count := r.Count(leaseBytesMin, "leases")
	if count == 0 {
		r.Failf("%s: no lease", q.key)
	}
	var last slot
	for i := range count {
		var s slot
		s.start, s.pop = last.start+r.Int(), last.pop+r.Int()
		if s.start < 0 || i > 0 && (s.start < last.start || s.start == last.start && s.pop <= last.pop) {
			r.Failf("%s: the lease %d of %d does not come after %d of %d", q.key, s.start, s.pop, last.start, last.pop)
			return
		}
		s.invisible = r.times(s.pop)
		client := r.name()
		deltas := r.deltas(&s)
		s.acked = r.Uint()
		if s.count == 0 || s.acked >= math.MaxUint64>>(64-s.count) {
			r.Failf("%s: %b of %d messages are acked", q.key, s.acked, s.count)
		}
		if r.Err() != nil {
			return
		}
		s.queue, s.client = n, r.t.clients.take(client)
		r.lease(q, s, deltas)
		last = s
	}
}

// lease puts a lease where it was.
func (r *reader) lease(q *queue, s slot, deltas []uint32) {
	t := r.t
	i := t.newSlot(s)
	if s.sparse {
		t.sparse[i] = deltas
	}
	if end := t.offset(i, int(s.count)-1); end >= q.next || end < 0 {
		r.Failf("%s: offset %d is in flight, %d is next", q.key, end, q.next)
	}
	q.leases = append(q.leases, i)
	t.inFlight -= int(s.count)
	for m := range int(s.count) {
		if s.acked>>m&1 == 0 {
			q.inFlight++
			t.inFlight++
		}
	}
}

// deltas reads how many messages a lease has and, if they are not simply one after the other, where.
func (r *reader) deltas(s *slot) []uint32 {
	n := r.Upto(entry.LeaseMessagesMax*2+1, "messages of a lease")
	s.count, s.sparse = uint8(n/2), n%2 == 1
	if !s.sparse {
		return nil
	}
	out, last := make([]uint32, 0, s.count), int64(-1)
	for range s.count {
		if last = r.after(last); last > entry.LeaseSpanMax {
			r.Failf("a lease over %d offsets", last)
			return nil
		}
		out = append(out, uint32(last))
	}
	if len(out) > 0 && last == int64(len(out))-1 {
		r.Failf("a lease that is not sparse")
	}
	return out
}

func (r *reader) ordered(q *queue, n int32) {
	s := slot{start: r.number("a start"), pop: r.number("a pop time"), queue: n}
	s.invisible = r.times(s.pop)
	client := r.name()
	b := &batch{attempt: r.name()}
	count := r.Count(itemBytesMin, "ordered messages")
	if count == 0 || count > entry.LeaseMessagesMax {
		r.Failf("%s: %d ordered messages, the limit is %d", q.key, count, entry.LeaseMessagesMax)
		return
	}
	last, until := int64(-1), s.pop
	for i := range count {
		last = r.after(last)
		until += r.Int()
		times := r.Upto(math.MaxUint16*2+1, "a consume count")
		it := ordered{last, until, uint16(times / 2), times%2 == 1}
		if it.leased && i > 0 && !b.items[i-1].leased {
			r.Failf("%s: offset %d was popped and the one before it was not", q.key, last)
		}
		b.items = append(b.items, it)
	}
	if last >= q.next {
		r.Failf("%s: offset %d is in flight, %d is next", q.key, last, q.next)
	}
	if r.Err() != nil {
		return
	}
	s.client = r.t.clients.take(client)
	b.slot = r.t.newSlot(s)
	q.ordered = b
	r.t.ordered++
	r.t.inFlight += len(b.items)
}
