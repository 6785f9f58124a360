package server

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/ui/api"
)

// Operator does for the console what an operator does on the command line. What a broker refuses has a method ResponseCode, RocketMQ's
// code; any other error means that the outcome is not known.
type Operator interface {
	Letters
	Resets
	Waiting
	Consumers
}

// Letters are the dead letters of a broker group.
type Letters interface {
	// DeadLetters lists those of one broker group from an offset on, as this node's member has them.
	DeadLetters(broker, group string, from int64, limit int) (inspect.DeadLetterList, error)
	Resend(group string, l api.LetterRef, again bool, by string) (inspect.Resent, error)
}

// Resets move consumer groups.
type Resets interface {
	// PlanReset says what a reset in one topic would do, in all broker groups that have it; queue < 0: all queues; offset < 0: to the
	// store time millis, which is the queues' end when negative.
	PlanReset(group, topic string, queue int32, millis, offset int64) ([]api.ResetPlace, error)
	Reset(group string, to api.ResetTo) error
	// CloneOffsets gives the broker groups in which it was done, also with an error.
	CloneOffsets(from, to, topic string) ([]string, error)
}

// Waiting is what waits for its time or for a decision.
type Waiting interface {
	Scheduled(limit int) (inspect.ScheduledList, error)
	Cancel(topic, handle string) (api.Cancelled, error)
	Transactions(group string, limit int) inspect.TransactionList
	Decide(d *api.DecideTransaction) error
}

// Consumers are asked through the broker. The answers are the clients' own bytes.
type Consumers interface {
	ConsumeDirectly(id string, v *api.VerifyMessage) ([]byte, error)
	RunningInfo(a *api.AskRunning) ([]byte, error)
}

// acts are the endpoints that act on messages, groups and clients.
func (s *Server) acts() map[string]echo.HandlerFunc {
	return map[string]echo.HandlerFunc{
		"/dead-letters/:group/resend": s.resendLetters, "/groups/:group/offsets/plan": s.planReset, "/groups/:group/offsets/reset": s.resetOffsets,
		"/groups/:group/offsets/clone": s.cloneOffsets, "/transactions/decide": s.decideTransaction, "/scheduled/cancel": s.cancelScheduled,
		"/messages/:id/verify": s.verifyMessage, "/clients/running": s.clientRunning,
	}
}

// posted reports whether a path is one of the templates': elsewhere only reading is offered.
func (s *Server) posted(path string) bool {
	at := strings.Split(path, "/")
	for _, template := range s.posts {
		if fits(strings.Split(template, "/"), at) {
			return true
		}
	}
	return false
}

func fits(template, path []string) bool {
	if len(template) != len(path) {
		return false
	}
	for i, part := range template {
		if !strings.HasPrefix(part, ":") && part != path[i] {
			return false
		}
	}
	return true
}

// actions says whether anything may be changed, so that the page need not offer what is refused.
func (s *Server) actions(c echo.Context) error {
	why := s.noChanges()
	return s.json(c, api.Actions{Allowed: why == "", Why: why})
}

func (s *Server) noChanges() string {
	if s.o.Cluster == nil && s.o.Operator == nil {
		return "it has no broker to change"
	}
	return s.o.NoChanges
}

// actBody reads what an act asks for.
func (s *Server) actBody(c echo.Context, into any) error {
	if s.o.Operator == nil && s.o.NoChanges == "" {
		return changesNothing("it has no broker to change")
	}
	return s.changeBody(c, into)
}

// operator is for reading.
func (s *Server) operator() (Operator, error) {
	if s.o.Operator == nil {
		return nil, &problem{Status: http.StatusServiceUnavailable, Title: "the broker cannot be asked", Detail: "this console has no broker of its own", Next: "use a console that has"}
	}
	return s.o.Operator, nil
}

// brokerGroups are the names of the broker groups that have a member here.
func (s *Server) brokerGroups() (names []string) {
	for _, g := range s.o.Broker.InspectNode().Groups {
		names = append(names, g.Name)
	}
	return names
}

// acted keeps in the log what was done, by whom and how it ended; at the log's limit of a field.
func (s *Server) acted(c echo.Context, act string, err error, args ...any) {
	args = append([]any{"id", idOf(c.Request()), "act", act, "by", by(c)}, args...)
	for i, v := range args {
		if text, ok := v.(string); ok {
			args[i] = clip(text)
		}
	}
	if err != nil {
		s.o.Log.Warn("console: an act failed", append(args, "err", clip(err.Error()))...)
		return
	}
	s.o.Log.Info("console: act", args...)
}

// by names who acts, as far as that is known without access control: the address.
func by(c echo.Context) string {
	host, _, err := net.SplitHostPort(c.Request().RemoteAddr)
	if err != nil {
		host = c.Request().RemoteAddr
	}
	return "console, " + host
}

// responseCode is what a broker refused with; 0: it did not.
func responseCode(err error) int {
	var refused interface{ ResponseCode() int }
	if errors.As(err, &refused) {
		return refused.ResponseCode()
	}
	return 0
}

// required refuses a field that is absent or too long.
func required(name, value string) error {
	if value == "" || len(value) > textBytesMax {
		return badParam(name, value, fmt.Sprintf("1 to %d bytes, these are %d", textBytesMax, len(value)))
	}
	return nil
}

// some refuses a list that is empty or too long.
func some(name string, n, limit int) error {
	if n < 1 || n > limit {
		return badParam(name, itoa(n), fmt.Sprintf("1 to %d at a time", limit))
	}
	return nil
}
