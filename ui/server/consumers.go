package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
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
	out, err := verified(answer)
	if err != nil {
		return err
	}
	return s.json(c, out)
}

// consumeResults are org.apache.rocketmq.remoting.protocol.body.CMResult in its order: Java's clients write the name, Go's the number.
var consumeResults = []string{"CR_SUCCESS", "CR_LATER", "CR_ROLLBACK", "CR_COMMIT", "CR_THROW_EXCEPTION", "CR_RETURN_NULL"}

// verified reads a ConsumeMessageDirectlyResult.
func verified(answer []byte) (api.Verified, error) {
	var r struct {
		Result     json.RawMessage `json:"consumeResult"`
		Remark     string          `json:"remark"`
		Order      bool            `json:"order"`
		AutoCommit bool            `json:"autoCommit"`
		Millis     int64           `json:"spentTimeMills"`
	}
	if err := readClient(answer, &r); err != nil {
		return api.Verified{}, err
	}
	out := api.Verified{Result: clip(strings.Trim(string(r.Result), `"`)), Remark: r.Remark, Order: r.Order, AutoCommit: r.AutoCommit, Millis: r.Millis}
	if n, err := strconv.Atoi(out.Result); err == nil && n >= 0 && n < len(consumeResults) {
		out.Result = consumeResults[n]
	}
	if len(out.Remark) > remarkBytesMax {
		out.Remark = strings.ToValidUTF8(out.Remark[:remarkBytesMax], "") + "…"
	}
	return out, nil
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
