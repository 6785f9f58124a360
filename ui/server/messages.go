package server

import (
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/tracing/trail"
)

func itoa(n int) string { return strconv.Itoa(n) }

// scheduled answers with what waits until it is due, next due first.
func (s *Server) scheduled(c echo.Context) error {
	p := paramsOf(c)
	q := trail.Query{Topic: p.text("topic"), ID: p.text("id"), Key: p.text("key"), Tag: p.text("tag"), Limit: p.limit()}
	if p.err != nil {
		return p.err
	}
	ctx, done, err := s.ask(c, requestTimeout)
	if err != nil {
		return err
	}
	defer done()
	schedule, ok := s.o.Trail.(trail.Schedule)
	if !ok {
		return s.json(c, trail.Matches{Answer: trail.NotRecorded, Reason: noTrailText})
	}
	m, err := schedule.Scheduled(ctx, q)
	if err != nil {
		m = trail.Matches{Answer: trail.Failed, Reason: clip(err.Error())}
	}
	return s.json(c, m)
}

func (s *Server) messages(c echo.Context) error {
	p := paramsOf(c)
	q := p.query(time.Now())
	if p.err != nil {
		return p.err
	}
	ctx, done, err := s.ask(c, requestTimeout)
	if err != nil {
		return err
	}
	defer done()
	m, err := s.o.Trail.Search(ctx, q)
	if err != nil {
		m = trail.Matches{Answer: trail.Failed, Reason: clip(err.Error())}
	}
	return s.json(c, m)
}
