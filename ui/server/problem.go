package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/ui/api"
)

// problem is an error with its answer. Cause is for the log only.
type problem struct {
	Status              int
	Title, Detail, Next string
	Cause               error
}

func (p *problem) Error() string { return p.Title + ": " + p.Detail }
func (p *problem) Unwrap() error { return p.Cause }

func notFound(title, value string) *problem {
	return &problem{Status: http.StatusNotFound, Title: title, Detail: fmt.Sprintf("%q", clip(value)), Next: "check the name"}
}

func badParam(name, value, possible string) *problem {
	return &problem{Status: http.StatusBadRequest, Title: name + " is not valid", Detail: fmt.Sprintf("%s %q; possible: %s", name, clip(value), possible), Next: "correct " + name}
}

// failed is echo's way to an error's answer.
func (s *Server) failed(err error, c echo.Context) {
	if c.Response().Committed {
		s.o.Log.Warn("console: an answer broke off", "id", idOf(c.Request()), "path", clip(c.Request().URL.Path), "err", clip(err.Error()))
		return
	}
	s.refuse(c.Response(), c.Request(), err)
}

// refuse answers with a problem.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	level := s.o.Log.Debug
	if p.Status >= 500 {
		level = s.o.Log.Warn
	}
	level("console: request failed", "id", idOf(r), "path", clip(r.URL.Path), "status", p.Status, "err", clip(err.Error()), "cause", causeText(p.Cause))
	body, _ := json.Marshal(api.Problem{Type: "about:blank", Title: p.Title, Status: p.Status, Detail: p.Detail, Next: p.Next, ID: idOf(r)})
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Disposition")
	h.Del("Content-Encoding")
	switch p.Status {
	case http.StatusMethodNotAllowed:
		h.Set("Allow", "GET, HEAD")
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", "2")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n'))
}

func causeText(err error) string {
	if err == nil {
		return ""
	}
	return clip(err.Error())
}

// problemOf gives every error an answer. What is not foreseen is told with its number only.
func problemOf(err error) *problem {
	var p *problem
	var h *echo.HTTPError
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, context.DeadlineExceeded):
		return &problem{Status: http.StatusGatewayTimeout, Title: "it took too long", Detail: fmt.Sprintf("no answer within %v", requestTimeout), Next: "ask for a shorter time or less", Cause: err}
	case errors.As(err, &h):
		return &problem{Status: h.Code, Title: http.StatusText(h.Code), Next: "check the address", Cause: err}
	}
	return &problem{Status: http.StatusInternalServerError, Title: "the console failed", Detail: "the log has the cause under this request's number", Next: "try again", Cause: err}
}
