package txn

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/contrailmq/contrail/broker/entry"
)

var decisions = map[string]entry.TxnDecision{"commit": entry.TxnCommit, "rollback": entry.TxnRollback, "park": entry.TxnParked}

var hows = map[string]entry.TxnHow{"producer": entry.TxnByProducer, "check": entry.TxnByCheck, "last": entry.TxnByLastCheck, "admin": entry.TxnByAdmin}

// words are a command's arguments; a half message n is at position 1000n and of group g unless they say otherwise.
type words struct {
	t *testing.T
	d *datadriven.TestData
}

func (w words) number(key string, otherwise int64) int64 {
	w.d.MaybeScanArgs(w.t, key, &otherwise)
	return otherwise
}

func (w words) text(key, otherwise string) string {
	w.d.MaybeScanArgs(w.t, key, &otherwise)
	return otherwise
}

// TestScenarios: testdata/scenarios tells what each command means and answers.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		table := New()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return run(table, words{t, d}) + "\n"
		})
	})
}

func run(table *Table, w words) string {
	offset := w.number("n", 0)
	position, group := w.number("pos", 1000*offset), w.text("group", "g")
	decision, how := decisions[w.text("as", "commit")], hows[w.text("by", "producer")]
	switch w.d.Cmd {
	case "put":
		return told(table.Put(&Half{Offset: offset, Position: position, Size: 100, Group: group, StoredMillis: w.number("at", 0), ImmunityMillis: w.number("immunity", 0)}))
	case "end":
		return told(table.End(&entry.TxnEnd{Offset: offset, Position: position, AtMillis: w.number("at", 0), Decision: decision, How: how}))
	case "check":
		return told(table.Check(&entry.TxnCheck{Offset: offset, AtMillis: w.number("at", 0), Times: int32(w.number("times", 1)), Group: group}))
	case "can-end":
		_, again, err := table.CanEnd(w.number("at", 0), 6000, &Wish{Offset: offset, Position: position, Group: group, Decision: decision, How: how})
		if again {
			return "again"
		}
		return told(err)
	case "due":
		return due(table, w)
	case "forget":
		table.Forget()
		return "ok"
	case "restart": // what a member has after it was started again
		b := table.Save()
		return told(table.Restore(b))
	case "state":
		return state(table)
	}
	return "what?"
}

func told(err error) string {
	switch e := err.(type) { //nolint:errorlint // what is answered is never wrapped
	case nil:
		return "ok"
	case *Refusal:
		return fmt.Sprintf("%d %s", e.Code, e.Text)
	}
	return "error: " + err.Error()
}

func due(table *Table, w words) string {
	s := DefaultSettings()
	s.ChecksMax = int32(w.number("max", int64(s.ChecksMax)))
	check, give, next := table.Due(w.number("at", 0), s, int(w.number("limit", 10)))
	return fmt.Sprintf("check%s, give up%s, next %d", offsets(check), offsets(give), next)
}

func offsets(halves []Half) string {
	var b strings.Builder
	for _, h := range halves {
		fmt.Fprintf(&b, " %d", h.Offset)
	}
	if b.Len() == 0 {
		return " nothing"
	}
	return b.String()
}

func state(table *Table) string {
	c := table.Counts()
	var b strings.Builder
	fmt.Fprintf(&b, "open %d of %d, committed %d, rolled back %d, given up %d, checks %d", c.Open, c.Put, c.Committed, c.RolledBack, c.Parked, c.ChecksAsked)
	for _, h := range table.Open("", 10) {
		fmt.Fprintf(&b, "\n%d at %d of %s, stored %d, checks %d, last %d", h.Offset, h.Position, h.Group, h.StoredMillis, h.Checks, h.LastCheckMillis)
	}
	for _, g := range table.Groups() {
		fmt.Fprintf(&b, "\n%s: %d, the oldest of %d", g.Group, g.Open, g.OldestStoredMillis)
	}
	return b.String()
}
