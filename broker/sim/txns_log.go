package sim

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/contrailmq/contrail/broker/entry"
	"github.com/contrailmq/contrail/broker/message"
	"github.com/contrailmq/contrail/broker/txn"
)

// txnLog is transactions told naively, from the log alone: each half message is open until exactly one end decides it, for ever. A commit brings
// the message with the same entry, and nothing else does.
type txnLog struct {
	t       *txns
	halves  []*loggedHalf // by offset
	copies  map[string]int
	counts  txn.Counts
	ended   []*loggedHalf // by the entry at hand, whose messages were not seen in it yet
	asks    []txn.Half    // as they were before they were asked about
	skipped int           // of halves, those at the front that are decided
}

type loggedHalf struct {
	txn.Half
	id       string
	content  uint64
	queue    string            // real
	decision entry.TxnDecision // 0: it is open
	how      entry.TxnHow
	at       int64
}

func (l *txnLog) init(t *txns) { *l = txnLog{t: t, copies: map[string]int{}} }

func (l *txnLog) find(offset int64) *loggedHalf {
	if offset < 0 || offset >= int64(len(l.halves)) {
		return nil
	}
	return l.halves[offset]
}

func (l *txnLog) idOf(offset int64) string {
	if h := l.find(offset); h != nil {
		return h.id
	}
	return ""
}

func (t *txns) command(k entry.Kind, body []byte, _ entry.Record) error {
	switch k {
	case entry.KindTxnEnd:
		return entry.DecodeTxnEnds(body, t.log.end)
	case entry.KindTxnCheck:
		return entry.DecodeTxnChecks(body, t.log.check)
	}
	return nil
}

// end takes a decision: it is the first one, and made by who may.
func (l *txnLog) end(e *entry.TxnEnd) error {
	h := l.find(e.Offset)
	switch {
	case h == nil || h.Position != e.Position:
		return fmt.Errorf("the end of half message %d at position %d, which is not there", e.Offset, e.Position)
	case h.decision != 0:
		return fmt.Errorf("half message %d is ended with %d, and was with %d", e.Offset, e.Decision, h.decision)
	case e.AtMillis < max(h.StoredMillis, h.LastCheckMillis):
		return fmt.Errorf("half message %d is ended at %d, stored at %d and checked at %d", e.Offset, e.AtMillis, h.StoredMillis, h.LastCheckMillis)
	case (e.Decision == entry.TxnParked) != (e.How == entry.TxnByLastCheck):
		return fmt.Errorf("half message %d is ended with %d by %d", e.Offset, e.Decision, e.How)
	case e.Decision == entry.TxnParked && h.Checks < txnSettings.ChecksMax && e.AtMillis-h.StoredMillis < txnSettings.MaxAgeMillis:
		return fmt.Errorf("half message %d is given up after %d checks, %d ms old", e.Offset, h.Checks, e.AtMillis-h.StoredMillis)
	case e.How == entry.TxnByProducer && h.ImmunityMillis > 0 && e.AtMillis-h.StoredMillis > max(h.ImmunityMillis, txnSettings.TimeoutMillis):
		return fmt.Errorf("half message %d is ended by its producer %d ms after it was stored, it waits for its check after %d", e.Offset, e.AtMillis-h.StoredMillis, h.ImmunityMillis)
	}
	h.decision, h.how, h.at = e.Decision, e.How, e.AtMillis
	*l.count(e.Decision)++
	if l.counts.Open--; e.Decision != entry.TxnRollback {
		l.ended = append(l.ended, h)
	}
	return nil
}

func (l *txnLog) count(d entry.TxnDecision) *int64 {
	switch d {
	case entry.TxnCommit:
		l.t.w.covered(Committed)
		return &l.counts.Committed
	case entry.TxnRollback:
		l.t.w.covered(RolledBack)
		return &l.counts.RolledBack
	}
	l.t.w.covered(GivenUp)
	return &l.counts.Parked
}

func (l *txnLog) check(c *entry.TxnCheck) error {
	h := l.find(c.Offset)
	if h == nil || h.decision != 0 || c.Times != h.Checks+1 || c.Group != h.Group {
		return fmt.Errorf("check %d of half message %d, of group %s: %+v", c.Times, c.Offset, c.Group, h)
	}
	h.Checks, h.LastCheckMillis = c.Times, c.AtMillis
	l.counts.ChecksAsked++
	return nil
}

func (l *txnLog) asked(h *txn.Half) { l.asks = append(l.asks, *h) }

// judgeAsked: who is asked is asked for a check that is counted.
func (l *txnLog) judgeAsked(before *txn.Half) {
	if h := l.find(before.Offset); h == nil || h.Checks <= before.Checks {
		l.t.w.violate("a producer is asked about half message %d, %d checks of which were made before, and that is not counted: %+v", before.Offset, before.Checks, h)
	}
}

func (t *txns) message(id string, v message.View) (known bool, err error) {
	switch string(v.Topic()) {
	case txn.HalfTopic:
		return true, t.log.open(id, v)
	case txn.ParkTopic, txnTopic:
		return true, t.log.comes(id, v)
	}
	return false, nil
}

// open takes a half message.
func (l *txnLog) open(id string, v message.View) error {
	h := &loggedHalf{Half: txn.HalfOf(v), id: id, content: contentOf(v), queue: string(message.Property(v.Properties(), message.PropRealQueueID))}
	a := l.t.sent[id]
	if a == nil || h.Group != a.group || h.ImmunityMillis != a.immunity*1000 {
		return fmt.Errorf("half message %s is stored as %+v, nobody sent that", id, h)
	}
	if l.copies[id]++; l.copies[id] > a.tries {
		return fmt.Errorf("half message %s is stored %d times and was sent %d times", id, l.copies[id], a.tries)
	}
	if h.Offset != int64(len(l.halves)) {
		return fmt.Errorf("half message %s has offset %d, %d are there", id, h.Offset, len(l.halves))
	}
	l.halves = append(l.halves, h)
	l.counts.Put++
	l.counts.Open++
	return nil
}

// contentOf is a hash of what never changes of a message.
func contentOf(v message.View) uint64 {
	var h maphash.Hash
	h.SetSeed(hashSeed)
	_, _ = h.Write(v.Body())
	maphash.WriteComparable(&h, [2]int64{v.BornTime(), int64(v.Flag())})
	return h.Sum64()
}

// comes takes a message that was a half message: one that the entry at hand ends.
func (l *txnLog) comes(id string, v message.View) error {
	i := slices.IndexFunc(l.ended, func(h *loggedHalf) bool { return h.Offset == v.PreparedOffset() })
	if i < 0 {
		return fmt.Errorf("%s comes into topic %s, and half message %d is not ended with this entry", id, v.Topic(), v.PreparedOffset())
	}
	h := l.ended[i]
	l.ended = slices.Delete(l.ended, i, i+1)
	if h.id != id || contentOf(v) != h.content {
		return fmt.Errorf("%s comes as half message %d, which is %s", id, h.Offset, h.id)
	}
	if (h.decision == entry.TxnParked) != (string(v.Topic()) == txn.ParkTopic) {
		return fmt.Errorf("%s, ended with %d, comes into topic %s", id, h.decision, v.Topic())
	}
	run := v.Properties()
	hidden := message.Property(run, message.PropRealTopic) != nil
	if h.decision == entry.TxnCommit && (hidden || fmt.Sprint(v.QueueID()) != h.queue || v.SysFlag()&message.FlagTxMask != message.FlagTxCommit) {
		return fmt.Errorf("%s is committed into queue %d with properties %q and flags %d, it was sent to queue %s", id, v.QueueID(), run, v.SysFlag(), h.queue)
	}
	return nil
}

func (t *txns) finish(entry.Record) error {
	if l := &t.log; len(l.ended) > 0 {
		return fmt.Errorf("half message %d is ended with %d, and its message does not come", l.ended[0].Offset, l.ended[0].decision)
	}
	return nil
}

// anyDue says that a half message is to be asked about or given up by a clock.
func (l *txnLog) anyDue(now int64) bool {
	for l.skipped < len(l.halves) && l.halves[l.skipped].decision != 0 {
		l.skipped++
	}
	s := &txnSettings
	for _, h := range l.halves[l.skipped:] {
		at := h.StoredMillis + max(s.TimeoutMillis, h.ImmunityMillis)
		if h.Checks > 0 {
			at = h.LastCheckMillis + s.IntervalMillis
		}
		if h.decision == 0 && min(at, h.StoredMillis+s.MaxAgeMillis) <= now {
			return true
		}
	}
	return false
}

// held are the halves that are open.
func (t *txns) held() (out []int64) {
	for _, h := range t.log.halves[t.log.skipped:] {
		if h.decision == 0 {
			out = append(out, h.Position)
		}
	}
	return out
}

// judge: what somebody was told is true from then on, because what is decided is decided for ever.
func (l *txnLog) judge(says *endAnswer) {
	w, wish := l.t.w, &says.wish
	h := l.find(wish.Offset)
	right := h != nil && wish.Position == h.Position && (wish.Group == h.Group || wish.How == entry.TxnByAdmin)
	if says.err == nil || errors.Is(says.err, txn.ErrDecided) {
		if !right || h.decision != wish.Decision {
			w.violate("the end of half message %d with %d is answered as done: %+v", wish.Offset, wish.Decision, h)
		}
		return
	}
	var r *txn.Refusal
	errors.As(says.err, &r)
	switch {
	case !right: // it may be that nothing is known of it
	case r.Code == txn.CodeSystemError:
		w.violate("the end of half message %d, %s, is answered as if it were not there: %v", wish.Offset, h.id, says.err)
	case (wish.How != entry.TxnByProducer || h.ImmunityMillis == 0) && (h.decision == 0 || h.decision == wish.Decision):
		w.violate("the end of half message %d, %s, with %d is refused (%v): %+v", wish.Offset, h.id, wish.Decision, says.err, h)
	}
}

func (t *txns) compare(m *member, all bool) {
	w, l := t.w, &t.log
	if have := m.shard.Txn().Counts(); have != l.counts {
		w.violate("%s counts transactions %+v, the log %+v", m, have, l.counts)
	}
	if !all || w.result.Violation != "" {
		return
	}
	open := m.shard.Txn().Open("", txn.OpenMax)
	for _, h := range l.halves {
		if h.decision == 0 {
			want := h.Half
			if len(open) > 0 && open[0].Sum == 0 { // it was restored
				want.Sum = 0
			}
			if len(open) == 0 || open[0] != want {
				w.violate("%s has open %+v, the log %+v", m, open[:min(len(open), 1)], h.Half)
				return
			}
			open = open[1:]
			continue
		}
		d, ok := m.shard.Txn().Decided(h.Offset)
		if want := (txn.Decided{Offset: h.Offset, Position: h.Position, AtMillis: h.at, Group: h.Group, Decision: h.decision, How: h.how}); !ok || d != want {
			w.violate("%s knows that a transaction was decided as %+v, the log %+v", m, d, want)
			return
		}
	}
}

// final: what was answered holds in the end, and what was stored stands where its answer said.
func (t *txns) final() {
	for _, m := range t.w.members {
		if m.up && m.failed() == nil && !m.wiped && !m.leaving {
			t.compare(m, true)
		}
	}
	for _, a := range t.acked {
		if h := t.log.find(a.offset); h == nil || h.id != a.id || h.Position != a.position {
			t.w.violate("half message %s was answered as stored at offset %d, position %d; there is %+v", a.id, a.offset, a.position, h)
		}
	}
	for i := range t.log.asks {
		t.log.judgeAsked(&t.log.asks[i])
	}
	for i := range t.answers {
		t.log.judge(&t.answers[i])
	}
}
