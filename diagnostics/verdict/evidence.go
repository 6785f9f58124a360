package verdict

import (
	"strconv"
	"strings"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// fact fills a text's {names} from name, value pairs.
func fact(code string, at int64, text string, pairs ...string) Evidence {
	e := Evidence{Code: code, AtMicros: at, Values: map[string]string{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		e.Values[pairs[i]] = pairs[i+1]
		text = strings.ReplaceAll(text, "{"+pairs[i]+"}", pairs[i+1])
	}
	e.Text = text
	return e
}

func (v *Verdict) add(e Evidence) { v.Evidence = append(v.Evidence, e) }

const deliveriesTold = 5

func (f *facts) tellDeliveries(v *Verdict) {
	all := append(f.earlier, f.deliveries...)
	for i, d := range all {
		if i >= deliveriesTold {
			v.add(fact("more-deliveries", 0, "and {count} more deliveries", "count", itoa(int64(len(all)-deliveriesTold))))
			break
		}
		v.add(fact("delivered", d.SentMicros, "delivered to {client} with offsets {from} to {to} of queue {queue}",
			"client", d.Client, "from", itoa(d.From), "to", itoa(d.To-1), "queue", itoa(int64(d.QueueID))))
	}
	if f.failed != nil {
		v.add(fact("client-failed", f.failed.AtMicros, "{client} reported: processing failed {error}", "client", f.failed.Client, "error", f.failed.Error))
	}
}

// Outcomes that say a message was not consumed.
var undoneTexts = map[string]string{
	"sent-back":         "{client} could not consume it, and sent it back",
	"lease-expired":     "the time in which it was to be acknowledged was over",
	"invisible-changed": "{client} asked for another time until it comes again",
}

func (f *facts) tellUndone(v *Verdict) {
	for i, s := range f.undone {
		if i >= deliveriesTold {
			v.add(fact("more-undone", 0, "and {count} more times it was not consumed", "count", itoa(int64(len(f.undone)-deliveriesTold))))
			return
		}
		if text := undoneTexts[s.Outcome]; text != "" {
			v.add(fact(s.Outcome, s.AtMicros, text, "client", s.Client))
		}
	}
}

func (f *facts) tellOffset(v *Verdict) {
	if f.queue == nil {
		return
	}
	q := f.queue
	if q.Committed < 0 {
		v.add(fact("never-committed", 0, "the group has never committed an offset in queue {queue}", "queue", itoa(int64(q.QueueID))))
		return
	}
	v.add(fact("committed", q.LastCommit*1000, "committed offset of queue {queue} is {committed}, this message is {offset}",
		"queue", itoa(int64(q.QueueID)), "committed", itoa(q.Committed), "offset", itoa(f.m.QueueOffset)))
}

func (f *facts) settledEvidence(code string) Evidence {
	s := f.settled
	text := "{client} acknowledged offsets {from} to {to}"
	if code == "reset" {
		text = "the offset was reset over {from} to {to}"
	}
	return fact(code, s.AtMicros, text, "client", s.Client, "from", itoa(s.From), "to", itoa(s.To-1))
}

func (f *facts) expressionEvidence() Evidence {
	return fact("expression", 0, "the subscription {expression} does not take tag {tag}", "expression", f.sub.Expression, "tag", f.m.Tag)
}

func (f *facts) filteredEvidence() Evidence {
	d := f.filtered
	return fact("filtered", d.SentMicros, "the broker went over it for {client}: subscription {expression} does not take tag {tag}",
		"client", d.Client, "expression", d.Subscription, "tag", f.m.Tag)
}
