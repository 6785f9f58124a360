package server

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/tracing/trail"
)

// Limits of parameters.
const (
	textBytesMax  = 512       // of one text
	rangeDefault  = time.Hour // when no from is given
	rangeMax      = 400 * 24 * time.Hour
	limitDefault  = 100
	limitMax      = 1000
	ratesPointMax = 1500 // points of one series
)

// params reads a request's parameters and keeps the first error.
type params struct {
	values url.Values
	err    error
}

func paramsOf(c echo.Context) *params {
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		return &params{err: badParam("the query", c.Request().URL.RawQuery, "name=value pairs")}
	}
	return &params{values: values}
}

func (p *params) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *params) text(name string) string {
	v := p.values.Get(name)
	if len(v) > textBytesMax {
		p.fail(badParam(name, v, fmt.Sprintf("up to %d bytes, these are %d", textBytesMax, len(v))))
	}
	return v
}

func (p *params) number(name string, otherwise int64) int64 {
	v := p.values.Get(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		p.fail(badParam(name, v, "a whole number, not negative"))
	}
	return n
}

// limit is clamped, not refused: who asks for all gets as much as there is.
func (p *params) limit() int {
	return int(min(max(p.number("limit", limitDefault), 1), limitMax))
}

// span is the time range in µs; without from it is the last hour.
func (p *params) span(now time.Time) (from, to int64) {
	to = p.number("to", now.UnixMicro())
	from = p.number("from", to-rangeDefault.Microseconds())
	switch {
	case from >= to:
		p.fail(badParam("from", strconv.FormatInt(from, 10), fmt.Sprintf("µs since 1970 before to (%d)", to)))
	case to-from > rangeMax.Microseconds():
		p.fail(badParam("from", strconv.FormatInt(from, 10), fmt.Sprintf("a range of at most %d days", int(rangeMax.Hours()/24))))
	}
	return from, to
}

func (p *params) query(now time.Time) trail.Query {
	q := trail.Query{
		Topic: p.text("topic"), ID: p.text("id"), Key: p.text("key"), Tag: p.text("tag"), ProducerGroup: p.text("producerGroup"),
		Client: p.text("client"), Group: p.text("group"), State: p.text("state"), Limit: p.limit(), Before: p.text("before"),
	}
	if q.State != "" && !slices.Contains(trail.States, q.State) {
		p.fail(badParam("state", q.State, strings.Join(trail.States, ", ")))
	}
	q.FromMicros, q.ToMicros = p.span(now)
	return q
}

// pathParam is a part of the path, as the client meant it.
func pathParam(c echo.Context, name string) (string, error) {
	v := c.Param(name)
	if c.Request().URL.RawPath != "" { // then echo matched the escaped form and left it so
		u, err := url.PathUnescape(v)
		if err != nil {
			return "", badParam(name, v, "a text with valid escapes")
		}
		v = u
	}
	if v == "" || len(v) > textBytesMax {
		return "", badParam(name, v, fmt.Sprintf("1 to %d bytes", textBytesMax))
	}
	return v, nil
}
