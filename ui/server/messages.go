package server

import (
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/tracing/trail"
)

func itoa(n int) string { return strconv.Itoa(n) }

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
