package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/contrailmq/contrail/ui/api"
)

// Limits of what clients say of themselves.
const (
	clientBytesMax = 8 << 20 // of an answer
	stackBytesMax  = 1 << 20 // that are shown
	remarkBytesMax = 16 << 10
)

// verifyMessage hands one message to one client. It is processed once more there; no place of the group is changed.
func (s *Server) verifyMessage(c echo.Context) error {
	var b api.VerifyMessage
	if err := s.actBody(c, &b); err != nil {
		return err
	}
	id, err := pathParam(c, "id")
	if err == nil {
		err = errors.Join(required("consumerGroup", b.Group), required("clientId", b.Client), required("topic", b.Topic))
	}
	if brokers := s.brokerGroups(); err == nil && !slices.Contains(brokers, b.Broker) {
		err = badParam("broker", b.Broker, strings.Join(brokers, ", "))
	}
	if err != nil {
		return err
	}
	answer, err := s.o.Operator.ConsumeDirectly(id, &b)
	s.acted(c, "verify message", err, "message", id, "group", b.Group, "client", b.Client)
	if err != nil {
		return s.changed(c, nil, err)
	}
	var out api.Verified
	if err := readClient(answer, &out); err != nil {
		return err
	}
	if len(out.Remark) > remarkBytesMax {
		out.Remark = strings.ToValidUTF8(out.Remark[:remarkBytesMax], "") + "…"
	}
	return s.json(c, out)
}

// clientRunning asks a client for its state.
func (s *Server) clientRunning(c echo.Context) error {
	var b api.AskRunning
	if err := s.actBody(c, &b); err != nil {
		return err
	}
	if err := errors.Join(required("consumerGroup", b.Group), required("clientId", b.Client)); err != nil {
		return err
	}
	answer, err := s.o.Operator.RunningInfo(&b)
	s.acted(c, "ask client", err, "group", b.Group, "client", b.Client, "stacks", b.Stacks)
	if err != nil {
		return s.changed(c, nil, err)
	}
	out, err := running(answer)
	if err != nil {
		return err
	}
	return s.json(c, out)
}

// readClient reads what a client answered.
func readClient(answer []byte, into any) error {
	err := errors.New("it is longer than the limit of " + itoa(clientBytesMax) + " bytes: " + itoa(len(answer)))
	if len(answer) <= clientBytesMax {
		err = json.Unmarshal(answer, into)
	}
	if err != nil {
		return unreadable(err)
	}
	return nil
}

func unreadable(err error) error {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	return &problem{Status: http.StatusBadGateway, Title: "the client's answer cannot be read", Detail: clip(err.Error()), Next: "ask another client", Cause: err}
}
