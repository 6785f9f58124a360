package server

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/diagnostics/verdict"
	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

// verdictGroupsMax bounds the groups that a message is judged for.
const verdictGroupsMax = 200

// message answers with a message's life: what the trail recorded, and what the broker's own log and groups know now.
func (s *Server) message(c echo.Context) error {
	id, err := pathParam(c, "id")
	if err != nil {
		return err
	}
	ctx, done, err := s.ask(c, requestTimeout)
	if err != nil {
		return err
	}
	defer done()
	return s.json(c, s.lifeOf(ctx, id))
}

func (s *Server) lifeOf(ctx context.Context, id string) api.MessageLife {
	node := s.o.Broker.InspectNode()
	out := api.MessageLife{Life: s.recorded(ctx, id), Now: time.Now().UnixMilli()}
	if v, ok := s.stored(ctx, id, out.Life.Messages); ok {
		m := fromLog(v, node)
		out.Stored = &m
		if len(out.Life.Messages) == 0 {
			rebuild(&out, m)
		}
	}
	if len(out.Life.Messages) == 0 {
		if host, ok := foreign(id, &node); ok && out.Life.Answer != trail.Failed {
			out.Life.Answer = trail.NotRecorded
			out.Life.Reason = "it is an offset message id of broker " + host + "; this one is " + node.StoreHost + ": ask that broker's console"
		}
		return out
	}
	out.Verdicts = verdict.Of(out.Life.Messages[0], out.Life, s.groupsOf(&out.Life), out.Now)
	out.Lineage = verdict.Lineage(&out.Life, out.Now)
	out.Expected, out.Recorded = steps(&out)
	out.Records = api.Records(&out.Life, node.StoreHost)
	s.tellLeaders(ctx, &out)
	return out
}

// recorded asks the trail; that it fails is an answer.
func (s *Server) recorded(ctx context.Context, id string) trail.Life {
	life, err := s.o.Trail.Life(ctx, id)
	if err != nil {
		return trail.Life{Answer: trail.Failed, Reason: clip(err.Error())}
	}
	return life
}

// rebuild makes a life of what the log alone says. The trail's answer stays: it says why it has nothing.
func rebuild(out *api.MessageLife, m trail.Message) {
	out.Rebuilt = true
	out.Life.Messages = []trail.Message{m}
	out.Life.TraceID = trail.TraceIDOf(&m)
	if out.Life.Answer == trail.Nothing || out.Life.Answer == "" {
		out.Life.Answer, out.Life.Reason = trail.NotRecorded, "the trail has no row of this message; its storing is told from the broker's log"
	}
}

// groupsOf are the groups that have to do with a message, with their queues.
func (s *Server) groupsOf(life *trail.Life) []inspect.Group {
	var names []string
	for i := range life.Messages {
		m := &life.Messages[i]
		if t, ok := s.o.Broker.InspectTopic(m.Destination()); ok {
			names = append(names, t.Groups...)
		}
		if owner := m.Owner(); owner != "" {
			names = append(names, owner)
		}
	}
	for i := range life.Deliveries {
		names = append(names, life.Deliveries[i].Group)
	}
	for i := range life.Settlements {
		names = append(names, life.Settlements[i].Group)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var groups []inspect.Group
	for _, name := range names[:min(len(names), verdictGroupsMax)] {
		g, ok := s.o.Broker.InspectGroup(name)
		if !ok {
			g = inspect.Group{Name: name} // it was deleted, but what it did is recorded
		}
		groups = append(groups, g)
	}
	return groups
}

// steps counts what should be recorded of a message by now and what is: its storing and its answer to the producer, and per
// group the delivery and the acknowledgement that its state implies.
func steps(l *api.MessageLife) (expected, recorded int) {
	expected = 2
	if !l.Rebuilt {
		recorded++
		if l.Life.Messages[0].AckedMicros > 0 {
			recorded++
		}
	}
	for i := range l.Verdicts {
		v := &l.Verdicts[i]
		delivered, settled := recordedOf(&l.Life, v)
		delivery, settlement := implied(v.State)
		if delivery {
			expected++
			recorded += delivered
		}
		if settlement {
			expected++
			recorded += settled
		}
	}
	return expected, recorded
}

// implied says which records a state implies.
func implied(s verdict.State) (delivery, settlement bool) {
	switch s {
	case verdict.Consumed:
		return true, true
	case verdict.Delivered, verdict.FilteredOut:
		return true, false
	case verdict.Skipped:
		return false, true
	}
	return false, false
}

// recordedOf says what is recorded of the copy that decides for a group.
func recordedOf(life *trail.Life, v *verdict.Verdict) (delivered, settled int) {
	for i := range life.Deliveries {
		if d := &life.Deliveries[i]; d.Group == v.Group && holds(&v.Where, d.Topic, d.QueueID, d.From, d.To) {
			delivered = 1
		}
	}
	for i := range life.Settlements {
		if c := &life.Settlements[i]; c.Group == v.Group && holds(&v.Where, c.Topic, c.QueueID, c.From, c.To) {
			settled = 1
		}
	}
	return delivered, settled
}

func holds(at *verdict.Place, topic string, queue int32, from, to int64) bool {
	return topic == at.Topic && queue == at.QueueID && from <= at.QueueOffset && at.QueueOffset < to
}

// gone is the answer when a body is asked of a message that the log does not hold (any more).
func gone(id string, life *trail.Life) error {
	p := &problem{Status: http.StatusNotFound, Title: "the broker's log does not hold this message", Detail: "id \"" + clip(id) + "\"", Next: "check the id"}
	if len(life.Messages) > 0 {
		p.Status, p.Next = http.StatusGone, "its trail is kept, its body went with the log's retention"
	}
	return p
}
