package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

// Limits of a reset.
const (
	resetQueuesMax = 1000             // of one request
	resetPatience  = 15 * time.Second // after which no further queue of a request is moved
)

// Outcomes of a queue.
const (
	queueMoved    = "moved"
	queueRefused  = "refused"
	queueUnknown  = "unknown" // the answer was lost: it may have been moved
	queueNotTried = "not-tried"
)

// planReset says what would be done, queue by queue.
func (s *Server) planReset(c echo.Context) error {
	var w api.ResetWish
	if err := s.actBody(c, &w); err != nil {
		return err
	}
	g, err := s.groupOf(c)
	if err != nil {
		return err
	}
	millis, offset, err := target(&w)
	if err != nil {
		return err
	}
	topics := []string{w.Topic}
	if w.Topic == "" {
		topics = topicsOf(&g)
	}
	out := api.ResetPlan{Online: g.Online}
	queue := int32(-1)
	if w.QueueID != nil {
		queue = *w.QueueID
	}
	for _, topic := range topics {
		places, err := s.o.Operator.PlanReset(g.Name, topic, queue, millis, offset)
		if err != nil {
			return s.changed(c, nil, err)
		}
		out.Queues = append(out.Queues, slices.DeleteFunc(places, func(p api.ResetPlace) bool { return w.Broker != "" && p.Broker != w.Broker })...)
	}
	return s.json(c, out)
}

func (s *Server) groupOf(c echo.Context) (inspect.Group, error) {
	name, err := pathParam(c, "group")
	if err != nil {
		return inspect.Group{}, err
	}
	g, ok := s.o.Broker.InspectGroup(name)
	if !ok {
		return g, notFound("this broker has no such consumer group", name)
	}
	return g, nil
}

// target is a wish in the terms of a reset: a store time, the queues' end (-1), or an offset (else -1).
func target(w *api.ResetWish) (millis, offset int64, err error) {
	if len(w.Topic) > textBytesMax || len(w.Broker) > textBytesMax {
		return 0, 0, badParam("topic, brokerGroup", w.Topic+", "+w.Broker, fmt.Sprintf("up to %d bytes each", textBytesMax))
	}
	if w.QueueID != nil && (*w.QueueID < 0 || w.Topic == "") {
		return 0, 0, badParam("queueId", strconv.Itoa(int(*w.QueueID)), "numbers from 0 on, with topic")
	}
	switch w.To {
	case "earliest":
		return 0, -1, nil
	case "latest":
		return -1, -1, nil
	case "time":
		if w.Millis <= 0 {
			return 0, 0, badParam("storedMillis", strconv.FormatInt(w.Millis, 10), "ms since 1970")
		}
		return w.Millis, -1, nil
	case "offset":
		if w.Offset < 0 || w.Topic == "" || w.Broker == "" || w.QueueID == nil {
			return 0, 0, badParam("offset", strconv.FormatInt(w.Offset, 10), "numbers from 0 on, with topic, brokerGroup and queueId: each queue has offsets of its own")
		}
		return -1, w.Offset, nil
	}
	return 0, 0, badParam("to", w.To, "earliest, latest, time, offset")
}

// topicsOf are the topics that a group reads. Its retries stay where they are.
func topicsOf(g *inspect.Group) (topics []string) {
	for _, q := range g.Queues {
		if !strings.HasPrefix(q.Topic, trail.RetryPrefix) {
			topics = append(topics, q.Topic)
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// resetOffsets moves queue by queue to the offsets that a plan showed: what is done is what was seen.
func (s *Server) resetOffsets(c echo.Context) error {
	var b api.ResetOffsets
	if err := s.actBody(c, &b); err != nil {
		return err
	}
	g, err := s.groupOf(c)
	if err == nil {
		err = some("queues", len(b.Queues), resetQueuesMax)
	}
	if err == nil {
		err = s.checkPlaces(b.Queues)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), resetPatience)
	defer cancel()
	out, moved := api.ResetOutcomes{}, 0
	for _, q := range b.Queues {
		r := api.ResetOutcome{Broker: q.Broker, Topic: q.Topic, QueueID: q.QueueID, Offset: q.Offset, Outcome: queueMoved}
		if ctx.Err() != nil {
			r.Outcome, r.Why = queueNotTried, fmt.Sprintf("the request took more than %v", resetPatience)
		} else if err := s.o.Operator.Reset(g.Name, q); err != nil {
			r.Outcome, r.Why = queueUnknown, clip(err.Error())
			if responseCode(err) != 0 {
				r.Outcome = queueRefused
			}
		} else {
			moved++
		}
		out.Outcomes = append(out.Outcomes, r)
	}
	s.acted(c, "reset offsets", nil, "group", g.Name, "asked", len(b.Queues), "moved", moved)
	return s.json(c, out)
}

func (s *Server) checkPlaces(queues []api.ResetTo) error {
	brokers := s.brokerGroups()
	for _, q := range queues {
		switch {
		case !slices.Contains(brokers, q.Broker):
			return badParam("brokerGroup", q.Broker, strings.Join(brokers, ", "))
		case q.Topic == "" || len(q.Topic) > textBytesMax:
			return required("topic", q.Topic)
		case q.QueueID < 0 || q.Offset < 0:
			return badParam("queueId, offset", fmt.Sprintf("%d, %d", q.QueueID, q.Offset), "numbers from 0 on")
		}
	}
	return nil
}

// cloneOffsets gives a group another one's places. Consumers that are online go on where they are and commit over it, so that must be
// meant.
func (s *Server) cloneOffsets(c echo.Context) error {
	var b api.CloneOffsets
	if err := s.actBody(c, &b); err != nil {
		return err
	}
	g, err := s.groupOf(c)
	if err == nil {
		err = required("from", b.From)
	}
	if err != nil {
		return err
	}
	if _, ok := s.o.Broker.InspectGroup(b.From); !ok || b.From == g.Name {
		return badParam("from", b.From, "another consumer group that exists")
	}
	if g.Online && !b.Force {
		return &problem{Status: http.StatusConflict, Title: "the group is online", Detail: fmt.Sprintf("%d members of %s would commit their own places over it", len(g.Members), clip(g.Name)), Next: "stop them, or send force"}
	}
	done, err := s.o.Operator.CloneOffsets(b.From, g.Name, b.Topic)
	s.acted(c, "clone offsets", err, "group", g.Name, "from", b.From, "topic", b.Topic)
	return s.changed(c, done, err)
}
