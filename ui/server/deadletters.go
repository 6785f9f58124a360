package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/ui/api"
)

// Limits of dead letters.
const (
	letterChunk    = 200              // read of a broker group at a time
	letterScanMax  = 5000             // looked at for one answer
	resendMax      = 100              // of one request: the page asks again for more, and shows how far it is
	resendPatience = 15 * time.Second // after which no further letter of a request is tried
)

const responseGroupMissing = 26 // ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST

// letterFilter says which letters are meant; what is empty says nothing.
type letterFilter struct {
	topic, tag, key, id, state string
	from, to                   int64 // µs, when it died
}

// States of a letter.
const (
	letterOpen   = "open" // nobody resent it
	letterResent = "resent"
)

func (p *params) letters() letterFilter {
	f := letterFilter{topic: p.text("topic"), tag: p.text("tag"), key: p.text("key"), id: p.text("id"), state: p.text("state"), from: p.number("from", 0), to: p.number("to", math.MaxInt64)}
	switch {
	case f.state != "" && f.state != letterOpen && f.state != letterResent:
		p.fail(badParam("state", f.state, letterOpen+", "+letterResent))
	case f.from >= f.to:
		p.fail(badParam("from", strconv.FormatInt(f.from, 10), fmt.Sprintf("µs since 1970 before to (%d)", f.to)))
	}
	return f
}

func (f *letterFilter) match(d *inspect.DeadLetter) bool {
	is := func(wanted, value string) bool { return wanted == "" || wanted == value }
	at := d.Stored * 1000
	return is(f.topic, d.Topic) && is(f.tag, d.Tags) && (f.key == "" || slices.Contains(strings.Fields(d.Keys), f.key)) &&
		(f.id == "" || f.id == d.UniqKey || strings.EqualFold(f.id, d.Origin)) && (f.state == "" || (f.state == letterResent) == (d.Resent != 0)) &&
		at >= f.from && at < f.to
}

// letterWalk goes through a group's dead letters of all broker groups, those that died last first.
type letterWalk struct {
	ask   func(broker string, from int64, limit int) (inspect.DeadLetterList, error)
	heads []letterHead
	total int64
}

// letterHead is how far the walk is in one broker group.
type letterHead struct {
	broker        string
	first, before int64                // offsets that are still to be read
	rows          []inspect.DeadLetter // that were read, ascending: the last is next
}

// newLetterWalk begins at the newest letters, or before the offsets that an earlier walk ended at.
func newLetterWalk(l Letters, group string, brokers []string, before map[string]int64) (*letterWalk, error) {
	w := &letterWalk{ask: func(broker string, from int64, limit int) (inspect.DeadLetterList, error) {
		return l.DeadLetters(broker, group, from, limit)
	}}
	known := false
	for _, b := range brokers {
		list, err := w.ask(b, 0, 0)
		if responseCode(err) == responseGroupMissing {
			continue
		}
		if err != nil {
			return nil, err
		}
		known = true
		w.total += list.End - list.First
		h := letterHead{broker: b, first: list.First, before: list.End}
		if at, ok := before[b]; ok {
			h.before = min(h.before, at)
		}
		w.heads = append(w.heads, h)
	}
	if !known {
		return nil, notFound("no broker group has this consumer group", group)
	}
	return w, nil
}

// next is the letter that died last among those that were not walked; false: there is none.
func (w *letterWalk) next() (inspect.DeadLetter, bool, error) {
	newest := -1
	for i := range w.heads {
		h := &w.heads[i]
		if err := w.fill(h); err != nil {
			return inspect.DeadLetter{}, false, err
		}
		if len(h.rows) > 0 && (newest < 0 || h.rows[len(h.rows)-1].Stored > w.heads[newest].last().Stored) {
			newest = i
		}
	}
	if newest < 0 {
		return inspect.DeadLetter{}, false, nil
	}
	h := &w.heads[newest]
	d := *h.last()
	h.rows = h.rows[:len(h.rows)-1]
	return d, true, nil
}

func (h *letterHead) last() *inspect.DeadLetter { return &h.rows[len(h.rows)-1] }

func (w *letterWalk) fill(h *letterHead) error {
	for len(h.rows) == 0 && h.before > h.first {
		from := max(h.first, h.before-letterChunk)
		list, err := w.ask(h.broker, from, int(h.before-from))
		if err != nil {
			return err
		}
		h.rows = slices.DeleteFunc(list.Letters, func(d inspect.DeadLetter) bool { return d.Offset >= h.before })
		h.first, h.before = max(h.first, list.First), from
	}
	return nil
}

// cursor is where another walk can go on.
func (w *letterWalk) cursor() string {
	var parts []string
	more := false
	for i := range w.heads {
		h := &w.heads[i]
		at := h.before
		if len(h.rows) > 0 {
			at = h.last().Offset + 1
		}
		more = more || at > h.first
		parts = append(parts, h.broker+":"+strconv.FormatInt(at, 10))
	}
	if !more {
		return ""
	}
	return strings.Join(parts, ",")
}

func parseCursor(text string) (map[string]int64, error) {
	before := map[string]int64{}
	if text == "" {
		return before, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		at := strings.LastIndexByte(part, ':')
		n, err := strconv.ParseInt(part[at+1:], 10, 64)
		if at < 0 || err != nil || n < 0 {
			return nil, badParam("before", text, "what an answer had as next")
		}
		before[part[:at]] = n
	}
	return before, nil
}

// deadLetters lists what matches, newest first.
func (s *Server) deadLetters(c echo.Context) error {
	p := paramsOf(c)
	f, limit := p.letters(), p.limit()
	before, err := parseCursor(p.text("before"))
	if err != nil {
		p.fail(err)
	}
	w, err := s.walkLetters(c, p, before)
	if err != nil {
		return err
	}
	out := api.DeadLetters{Total: w.total}
	for len(out.Letters) < limit && out.Scanned < letterScanMax && c.Request().Context().Err() == nil {
		d, ok, err := w.next()
		if err != nil {
			return lettersFailed(err)
		}
		if !ok {
			break
		}
		if out.Scanned++; f.match(&d) {
			out.Letters = append(out.Letters, d)
		}
	}
	out.Next = w.cursor()
	return s.json(c, out)
}

func (s *Server) walkLetters(c echo.Context, p *params, before map[string]int64) (*letterWalk, error) {
	group, err := pathParam(c, "group")
	if err == nil {
		err = p.err
	}
	if err != nil {
		return nil, err
	}
	o, err := s.operator()
	if err != nil {
		return nil, err
	}
	w, err := newLetterWalk(o, group, s.brokerGroups(), before)
	if err != nil {
		return nil, lettersFailed(err)
	}
	return w, nil
}

func lettersFailed(err error) error {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	return &problem{Status: 502, Title: "the dead letters cannot be read", Detail: clip(err.Error()), Next: "try again", Cause: err}
}

// resendLetters gives letters to their group again, one after the other, and tells each outcome.
func (s *Server) resendLetters(c echo.Context) error {
	var b api.ResendLetters
	if err := s.actBody(c, &b); err != nil {
		return err
	}
	group, err := pathParam(c, "group")
	if err == nil {
		err = some("letters", len(b.Letters), resendMax)
	}
	if err == nil {
		err = s.checkLetters(b.Letters)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), resendPatience)
	defer cancel()
	out := api.ResentLetters{}
	done := 0
	for _, l := range b.Letters {
		r := api.ResentLetter{Broker: l.Broker, Offset: l.Offset, Outcome: api.LetterNotTried, Why: fmt.Sprintf("the request took more than %v", resendPatience)}
		if ctx.Err() == nil {
			r = resent(l, s.o.Operator, group, b.Again, by(c))
		}
		if r.Outcome == "resent" {
			done++
		}
		out.Outcomes = append(out.Outcomes, r)
	}
	s.acted(c, "resend dead letters", nil, "group", group, "asked", len(b.Letters), "resent", done, "again", b.Again)
	return s.json(c, out)
}

func (s *Server) checkLetters(letters []api.LetterRef) error {
	brokers := s.brokerGroups()
	for _, l := range letters {
		if !slices.Contains(brokers, l.Broker) {
			return badParam("broker", l.Broker, strings.Join(brokers, ", "))
		}
		if l.Offset < 0 {
			return badParam("offset", strconv.FormatInt(l.Offset, 10), "numbers from 0 on")
		}
	}
	return nil
}

func resent(l api.LetterRef, to Letters, group string, again bool, by string) api.ResentLetter {
	r, err := to.Resend(group, l, again, by)
	out := api.ResentLetter{Broker: l.Broker, Offset: l.Offset, Outcome: r.Outcome, At: r.At, Topic: r.Topic, CopyPosition: r.CopyAt}
	if err == nil {
		return out
	}
	out.Outcome, out.Why = api.LetterUnknown, clip(err.Error())
	if responseCode(err) != 0 {
		out.Outcome = api.LetterRefused
	}
	return out
}
