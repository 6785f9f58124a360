package txn

import (
	"fmt"

	"github.com/contrailmq/contrail/broker/entry"
)

// Answers of RocketMQ to an end that is refused (org.apache.rocketmq.remoting.protocol.ResponseCode).
const (
	CodeSystemError      = 1
	CodeIllegalOperation = 604
)

// Refusal is why a decision may not be applied.
type Refusal struct {
	Code int
	Text string
}

func (r *Refusal) Error() string { return r.Text }

// Texts are EndTransactionProcessor's where it has one.
func refuse(code int, format string, args ...any) *Refusal {
	return &Refusal{code, fmt.Sprintf(format, args...)}
}

// Wish is a decision as somebody asks for it.
type Wish struct {
	Offset, Position int64  // of the half message; a client knows the position from the id that its send was answered with
	Group            string // the producer's; an admin names none
	Decision         entry.TxnDecision
	How              entry.TxnHow
	// NotBefore is when it may become an end at the earliest, ms, however early it is wished: clocks step back. 0: at any time.
	NotBefore int64
}

// CanEnd says whether a wish may become an end. again: the same was decided before, which is success without any effect. The error is a
// *Refusal, or ErrClock. now and timeout (the time before the first check) are ms: a producer that set a time of its own before the first check is
// refused when it decides later than that without having been asked (EndTransactionProcessor.rejectCommitOrRollback). The time counts from
// when the message was stored; Apache's counts from the producer's clock.
func (t *Table) CanEnd(now, timeout int64, w *Wish) (h Half, again bool, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, ok := t.open[w.Offset]
	if !ok {
		again, err = t.wasEndedLocked(w)
		return Half{}, again, err
	}
	h = t.halfLocked(i)
	if w.How == entry.TxnByProducer && h.ImmunityMillis > 0 && now-h.StoredMillis > max(h.ImmunityMillis, timeout) {
		const text = "the transaction of half message %d was decided after the %d ms before its first check: wait for the check"
		return Half{}, false, refuse(CodeIllegalOperation, text, w.Offset, max(h.ImmunityMillis, timeout))
	}
	if now < w.NotBefore {
		return Half{}, false, fmt.Errorf("half message %d may not be ended before %d, and it is %d now: %w", w.Offset, w.NotBefore, now, ErrClock)
	}
	return h, false, w.names(h.Group, h.Position)
}

// names says that a wish means a half message that has its offset.
func (w *Wish) names(group string, position int64) error {
	switch {
	case w.How != entry.TxnByAdmin && w.How != entry.TxnByLastCheck && w.Group != group:
		return refuse(CodeSystemError, "The producer group wrong")
	case w.Position != position:
		return refuse(CodeSystemError, "The commit log offset wrong")
	}
	return nil
}

func (t *Table) wasEndedLocked(w *Wish) (again bool, err error) {
	d := t.decided.find(w.Offset)
	if d == nil {
		return false, refuse(CodeSystemError, "Find prepared transaction message failed")
	}
	if err := w.names(d.Group, d.Position); err != nil {
		return false, err
	}
	if d.Decision != w.Decision {
		return false, refuse(CodeIllegalOperation, "the transaction of half message %d was %s already", w.Offset, word(d.Decision))
	}
	return true, nil
}

func word(d entry.TxnDecision) string {
	switch d {
	case entry.TxnCommit:
		return "committed"
	case entry.TxnRollback:
		return "rolled back"
	case entry.TxnParked:
		return "given up"
	}
	return fmt.Sprintf("ended with %d", d)
}

// CanCheck says whether a check may be applied: the half message is open, its group is the one that was asked, and no other check came
// between.
func (t *Table) CanCheck(c *entry.TxnCheck) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.canCheckLocked(c)
}

func (t *Table) canCheckLocked(c *entry.TxnCheck) error {
	i, ok := t.open[c.Offset]
	if !ok {
		return fmt.Errorf("check of transaction %d: it is not open", c.Offset)
	}
	s := &t.slots[i]
	if name := t.groups[s.group].name; c.Group != name {
		return fmt.Errorf("check of transaction %d: it asks group %q, the producer is of %q", c.Offset, c.Group, name)
	}
	if c.Times != s.checks+1 {
		return fmt.Errorf("check of transaction %d: it is number %d, %d were made", c.Offset, c.Times, s.checks)
	}
	return nil
}

// Room says whether n more half messages may be stored. What is on its way is not counted: the limit is passed by that at most.
func (t *Table) Room(n int) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.all.n+n > OpenMax {
		return refuse(CodeSystemError, "%d transactions are open, and %d more would be more than %d", t.all.n, n, OpenMax)
	}
	return nil
}

// Decided gives what a transaction ended with, if it is one of the last DecidedMax.
func (t *Table) Decided(offset int64) (Decided, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if d := t.decided.find(offset); d != nil {
		return *d, true
	}
	return Decided{}, false
}
