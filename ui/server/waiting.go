package server

import (
	"fmt"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/ui/api"
)

// handleBytesMax bounds a recall handle: base64 of a topic, a broker group and a key.
const handleBytesMax = 2 << 10

// scheduledNext lists what is due next as the broker has it, also what the trail never had or has no more.
func (s *Server) scheduledNext(c echo.Context) error {
	p := paramsOf(c)
	limit := p.limit()
	o, err := s.operator()
	if p.err != nil {
		return p.err
	}
	if err != nil {
		return err
	}
	list, err := o.Scheduled(limit)
	if err != nil {
		return lettersFailed(err)
	}
	return s.json(c, list)
}

// cancelScheduled cancels; each outcome is an answer.
func (s *Server) cancelScheduled(c echo.Context) error {
	var b api.CancelScheduled
	if err := s.actBody(c, &b); err != nil {
		return err
	}
	if err := required("topic", b.Topic); err != nil {
		return err
	}
	if b.Handle == "" || len(b.Handle) > handleBytesMax {
		return badParam("recallHandle", b.Handle, fmt.Sprintf("1 to %d bytes, these are %d", handleBytesMax, len(b.Handle)))
	}
	out, err := s.o.Operator.Cancel(b.Topic, b.Handle)
	s.acted(c, "cancel scheduled message", err, "topic", b.Topic, "handle", b.Handle, "outcome", out.Outcome)
	if err != nil {
		return s.changed(c, nil, err)
	}
	return s.json(c, out)
}

// transactions lists the oldest open ones. A filter looks at those that the broker lists, up to limitMax of each broker group.
func (s *Server) transactions(c echo.Context) error {
	p := paramsOf(c)
	group, topic, key, id, limit := p.text("producerGroup"), p.text("topic"), p.text("key"), p.text("id"), p.limit()
	o, err := s.operator()
	if p.err != nil {
		return p.err
	}
	if err != nil {
		return err
	}
	ask := limit
	if topic != "" || key != "" || id != "" {
		ask = limitMax
	}
	list := o.Transactions(group, ask)
	list.Halves = slices.DeleteFunc(list.Halves, func(h inspect.Transaction) bool {
		return topic != "" && h.Topic != topic || key != "" && !slices.Contains(strings.Fields(h.Keys), key) || id != "" && h.UniqKey != id
	})
	list.Halves = list.Halves[:min(limit, len(list.Halves))]
	return s.json(c, list)
}

// decideTransaction commits or rolls back in the producers' place.
func (s *Server) decideTransaction(c echo.Context) error {
	var b api.DecideTransaction
	if err := s.actBody(c, &b); err != nil {
		return err
	}
	switch brokers := s.brokerGroups(); {
	case !slices.Contains(brokers, b.Broker):
		return badParam("broker", b.Broker, strings.Join(brokers, ", "))
	case b.Decision != "commit" && b.Decision != "rollback":
		return badParam("decision", b.Decision, "commit, rollback")
	case b.Offset < 0 || b.Position < 0:
		return badParam("halfOffset, position", fmt.Sprintf("%d, %d", b.Offset, b.Position), "numbers from 0 on")
	case len(b.Reason) > textBytesMax:
		return badParam("reason", b.Reason, fmt.Sprintf("up to %d bytes, these are %d", textBytesMax, len(b.Reason)))
	}
	err := s.o.Operator.Decide(&b)
	s.acted(c, "decide transaction", err, "broker", b.Broker, "half", b.Offset, "decision", b.Decision, "reason", b.Reason)
	return s.changed(c, []string{b.Broker}, err)
}
