package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/tracing/trail"
	"github.com/contrailmq/contrail/ui/api"
)

// Sizes of the overview's lists.
const (
	worstMax      = 10
	unreadMax     = 10
	happenedMax   = 50
	happenedSince = 15 * time.Minute
)

func (s *Server) node(c echo.Context) error        { return s.json(c, s.o.Broker.InspectNode()) }
func (s *Server) trailStatus(c echo.Context) error { return s.json(c, s.o.Trail.Status()) }

func (s *Server) topics(c echo.Context) error {
	return s.json(c, api.Topics{Topics: s.o.Broker.InspectTopics()})
}

func (s *Server) topic(c echo.Context) error {
	name, err := pathParam(c, "topic")
	if err != nil {
		return err
	}
	t, ok := s.o.Broker.InspectTopic(name)
	if !ok {
		return notFound("this broker has no such topic", name)
	}
	return s.json(c, t)
}

func (s *Server) groups(c echo.Context) error {
	return s.json(c, api.Groups{Groups: s.o.Broker.InspectGroups()})
}

func (s *Server) group(c echo.Context) error {
	name, err := pathParam(c, "group")
	if err != nil {
		return err
	}
	g, ok := s.o.Broker.InspectGroup(name)
	if !ok {
		return notFound("this broker has no such consumer group", name)
	}
	return s.json(c, g)
}

func (s *Server) clients(c echo.Context) error {
	return s.json(c, api.Clients{Clients: s.o.Broker.InspectClients()})
}

func (s *Server) client(c echo.Context) error {
	id, err := pathParam(c, "client")
	if err != nil {
		return err
	}
	p := paramsOf(c)
	addr := p.text("addr")
	if p.err != nil {
		return p.err
	}
	d, ok := s.o.Broker.InspectClient(id, addr)
	if !ok {
		return notFound("no such client is connected to this node", id)
	}
	return s.json(c, d)
}

func (s *Server) overview(c echo.Context) error {
	b := s.o.Broker
	topics, groups := b.InspectTopics(), b.InspectGroups()
	o := api.Overview{Node: b.InspectNode(), Trail: s.o.Trail.Status(), Clients: len(b.InspectClients()), Series: s.live.series.points()}
	if s.o.Cluster != nil {
		o.Changes = s.o.Cluster.Cluster().Changes
	}
	o.Topics, o.Unread, o.UnreadTopics = unread(topics)
	for i := range groups {
		if !groups[i].System {
			o.Groups++
		}
	}
	o.Lag, o.Worst = lagOf(groups), worst(groups)
	now := time.Now()
	ctx, done, err := s.ask(c, requestTimeout)
	if err == nil {
		o.Happenings, err = s.o.Trail.Happenings(ctx, now.Add(-happenedSince).UnixMicro(), now.UnixMicro(), happenedMax)
		done()
	}
	o.Answer, o.Reason = answerOf(len(o.Happenings), err)
	return s.json(c, o)
}

// answerOf is how a list of the trail is to be read.
func answerOf(n int, err error) (trail.Answer, string) {
	switch {
	case errors.Is(err, errNoTrail):
		return trail.NotRecorded, noTrailText
	case err != nil:
		return trail.Failed, clip(err.Error())
	case n == 0:
		return trail.Nothing, ""
	}
	return trail.Found, ""
}

// unread counts the users' topics and names those with messages that no group reads, those with most first. What a group is to have again,
// and what is dead, waits for nobody else.
func unread(topics []inspect.Topic) (count int, names []string, all int) {
	var found []inspect.Topic
	for _, t := range topics {
		if t.System {
			continue
		}
		count++
		ofGroup := strings.HasPrefix(t.Name, trail.RetryPrefix) || strings.HasPrefix(t.Name, trail.DeadPrefix)
		if t.Messages > 0 && len(t.Groups) == 0 && !ofGroup {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, func(a, b inspect.Topic) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Name, b.Name))
	})
	for _, t := range found[:min(len(found), unreadMax)] {
		names = append(names, t.Name)
	}
	return count, names, len(found)
}

// worst are the groups with lag, that with the most first.
func worst(groups []inspect.Group) []inspect.Group {
	var found []inspect.Group
	for _, g := range groups {
		if !g.System && g.LagMessages > 0 {
			found = append(found, g)
		}
	}
	slices.SortFunc(found, func(a, b inspect.Group) int {
		return cmp.Or(cmp.Compare(b.LagMessages, a.LagMessages), cmp.Compare(a.Name, b.Name))
	})
	return found[:min(len(found), worstMax)]
}

func (s *Server) happenings(c echo.Context) error {
	p := paramsOf(c)
	from, to := p.span(time.Now())
	limit := p.limit()
	if p.err != nil {
		return p.err
	}
	ctx, done, err := s.ask(c, requestTimeout)
	if err != nil {
		return err
	}
	defer done()
	found, err := s.o.Trail.Happenings(ctx, from, to, limit)
	if err != nil {
		return trailFailed(err)
	}
	return s.json(c, api.Happenings{Happenings: found})
}

func (s *Server) rates(c echo.Context) error {
	p := paramsOf(c)
	from, to := p.span(time.Now())
	finest := max(time.Second.Microseconds(), (to-from+ratesPointMax-1)/ratesPointMax)
	step := max(p.number("step", max(time.Minute.Microseconds(), (to-from)/60)), finest) // clamped: never more points than a chart has pixels
	topic, group := p.text("topic"), p.text("group")
	if p.err != nil {
		return p.err
	}
	ctx, done, err := s.ask(c, requestTimeout)
	if err != nil {
		return err
	}
	defer done()
	found, err := s.o.Trail.Rates(ctx, from, to, step, topic, group)
	if err != nil {
		return trailFailed(err)
	}
	return s.json(c, api.Rates{Rates: found})
}

// trailFailed is the answer where the API has no place for a four-valued one.
func trailFailed(err error) error {
	return &problem{Status: http.StatusServiceUnavailable, Title: "the trail does not answer", Detail: clip(err.Error()), Next: "see the trail's state; the broker itself is not concerned", Cause: err}
}

// ask takes a place among the requests to the trail. done gives it back.
func (s *Server) ask(c echo.Context, timeout time.Duration) (ctx context.Context, done func(), err error) {
	select {
	case s.asking <- struct{}{}:
	default:
		return nil, nil, &problem{Status: http.StatusServiceUnavailable, Title: "too many questions to the trail at a time",
			Detail: "all " + itoa(askingMax) + " places are taken", Next: "try again in a moment"}
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), timeout)
	stop := context.AfterFunc(s.ended, cancel)
	return ctx, func() { stop(); cancel(); <-s.asking }, nil
}
