package delivery

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/contrailmq/contrail/broker/entry"
)

// words are a command's arguments. Group g, topic t, queue 0 and client c are meant unless they say otherwise.
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

// offsets are like 3-5+9.
func (w words) offsets(key string) (out []int64) {
	for _, part := range strings.Split(w.text(key, ""), "+") {
		if part == "" {
			continue
		}
		a, b, run := strings.Cut(part, "-")
		from, _ := strconv.ParseInt(a, 10, 64)
		to := from
		if run {
			to, _ = strconv.ParseInt(b, 10, 64)
		}
		for ; from <= to; from++ {
			out = append(out, from)
		}
	}
	return out
}

func (w words) key() Key {
	return Key{w.text("group", "g"), w.text("topic", "t"), int32(w.number("queue", 0))}
}

func (w words) ack(offset int64) entry.PopAck {
	return entry.PopAck{Start: w.number("start", offset), PopMillis: w.number("pop", 0), Offset: offset}
}

// TestScenarios: testdata/scenarios tells what each command means and answers.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		table := New(10)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w := words{t, d}
			if answer, ok := apply(table, w); ok {
				return answer + "\n"
			}
			return ask(table, w) + "\n"
		})
	})
}

// apply changes the table.
func apply(table *Table, w words) (answer string, ok bool) {
	k, at := w.key(), w.number("at", 0)
	switch w.d.Cmd {
	case "pop":
		offsets := w.offsets("got")
		from, next := int64(0), int64(0)
		if len(offsets) > 0 {
			from, next = offsets[0], offsets[len(offsets)-1]+1
		}
		return low(leased(table, &entry.PopLease{
			Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Client: w.text("client", "c"), Attempt: w.text("attempt", ""), Order: w.d.HasArg("ordered"),
			From: w.number("from", from), Next: w.number("next", next), PopMillis: at, InvisibleMillis: w.number("for", 1000), Offsets: offsets,
		})), true
	case "ack":
		r := entry.PopAcks{Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, AtMillis: at}
		for _, offset := range w.offsets("n") {
			r.Acks = append(r.Acks, w.ack(offset))
		}
		return low(table.Ack(&r)), true
	case "change":
		return low(table.Change(&entry.PopChange{
			Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Client: w.text("client", "c"), PopAck: w.ack(w.number("n", 0)), AtMillis: at, InvisibleMillis: w.number("for", 1000),
		})), true
	case "revive":
		r := entry.PopRevive{Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Start: w.number("start", 0), PopMillis: w.number("pop", 0), AtMillis: at}
		for _, offset := range w.offsets("n") {
			r.Messages = append(r.Messages, entry.Revived{Offset: offset, To: entry.ToRetry})
		}
		return low(table.Revive(&r)), true
	case "send-back":
		return told(table.SendBack(&entry.SentBack{Group: k.Group, Topic: k.Topic, QueueID: k.QueueID, Offset: w.number("n", 0), To: entry.ToRetry}, w.number("low", 0))), true
	}
	return "", false
}

func low(low int64, err error) string {
	if err != nil {
		return told(err)
	}
	return fmt.Sprintf("low %d", low)
}

func told(err error) string {
	switch e := err.(type) {
	case nil:
		return "ok"
	case *Refusal:
		return fmt.Sprintf("%d %s", e.Code, e.Text)
	}
	return "error: " + err.Error()
}

func ask(table *Table, w words) string {
	k, at := w.key(), w.number("at", 0)
	switch w.d.Cmd {
	case "can-pop":
		r, err := table.CanPop(k, int(w.number("max", 32)))
		if err != nil {
			return told(err)
		}
		return fmt.Sprintf("%d from %d, known %t", r.Messages, r.From, r.Known)
	case "can-pop-ordered":
		return planned(table, k, at, w)
	case "can-ack":
		again, err := table.CanAck(k, w.ack(w.number("n", 0)), w.number("low", 0))
		return verdict("", again, err)
	case "can-change":
		pop, again, err := mayChange(table, at, k, w.ack(w.number("n", 0)), w.number("low", 0))
		return verdict(fmt.Sprintf(", at %d", pop), again, err)
	case "passed":
		table.Passed(k, w.number("to", 0))
	case "reset":
		table.ResetQueue(k)
	case "delete-group":
		table.DropGroup(k.Group)
	case "delete-topic":
		table.DropTopic(k.Topic)
	case "is-sent-back":
		return fmt.Sprint(table.IsSentBack(k, w.number("n", 0)), table.SentBackIn(nil, k, 0, 100))
	case "due":
		return due(table.Due(at, int(w.number("limit", 10))))
	case "forget":
		table.Forget()
	case "restart": // what a member has after it was started again
		return told(table.Restore(table.Save()))
	case "state":
		return state(table, k)
	default:
		return "what?"
	}
	return "ok"
}

func verdict(more string, again bool, err error) string {
	if again {
		return "again"
	}
	if err != nil {
		return told(err)
	}
	return "ok" + more
}

func planned(table *Table, k Key, at int64, w words) string {
	o, err := table.PlanOrdered(at, k, w.text("attempt", ""), int(w.number("max", 4)))
	switch {
	case err != nil:
		return told(err)
	case o.Blocked:
		return fmt.Sprintf("blocked until %d", o.UntilMillis)
	}
	return fmt.Sprintf("at %d again %v, %d new from %d, known %t", o.PopMillis, o.Again, o.Messages, o.From, o.Known)
}

func due(over []Lease, free []Key, next int64) string {
	var b strings.Builder
	for _, l := range over {
		fmt.Fprintf(&b, "%s: the lease %d of %d by %s with %v\n", l.Key, l.Start, l.PopMillis, l.Client, l.Offsets)
	}
	for _, k := range free {
		fmt.Fprintf(&b, "%s: free\n", k)
	}
	fmt.Fprintf(&b, "next %d", next)
	return b.String()
}

func state(table *Table, k Key) string {
	var b strings.Builder
	c := table.Counts()
	fmt.Fprintf(&b, "%d leases, %d in flight, %d sent back; popped %d, acked %d, changed %d, retried %d, dead %d, gone %d",
		c.Leases, c.InFlight, c.SentBack, c.Popped, c.Acked, c.Changed, c.Retried, c.DeadLettered, c.Gone)
	for _, s := range table.Group(k.Group) {
		fmt.Fprintf(&b, "\n%s: low %d, next %d, %d leases, %d in flight, %d sent back", s.Key, s.Low, s.Next, s.Leases, s.InFlight, s.SentBack)
		for _, l := range table.Leases(s.Key, 10) {
			fmt.Fprintf(&b, "\n  %d of %d for %d by %s: %v", l.Start, l.PopMillis, l.InvisibleMillis, l.Client, l.Offsets)
		}
	}
	return b.String()
}
