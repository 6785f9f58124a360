package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
	"github.com/contrailmq/contrail/ui/api"
)

// consoleOperator does for the console what the commands do: it asks the members that lead, over the port that clients use. Lists are of
// this node's members.
type consoleOperator struct {
	broker consoleBroker
	admin
}

// groupNamed finds a broker group.
func (c consoleOperator) groupNamed(name string) (*inspect.BrokerGroup, error) {
	g, err := c.groups([]string{name})
	if err != nil {
		return nil, err
	}
	return &g[0], nil
}

// DeadLetters and the like implement server.Operator.
func (c consoleOperator) DeadLetters(broker, group string, from int64, limit int) (list inspect.DeadLetterList, err error) {
	for _, b := range c.broker.brokers() {
		if b.name != broker {
			continue
		}
		list, refusal := b.svc.DeadLetters(group, from, limit)
		if refusal != nil {
			return list, &refused{refusal.Code, refusal.Text}
		}
		return list, nil
	}
	return list, fmt.Errorf("this node has no member of broker group %q", broker)
}

func (c consoleOperator) Resend(group string, l api.LetterRef, again bool, by string) (inspect.Resent, error) {
	g, err := c.groupNamed(l.Broker)
	if err != nil {
		return inspect.Resent{}, err
	}
	return resendLetter(g, group, l.Offset, resend{again, by})
}

func (c consoleOperator) PlanReset(group, topic string, queue int32, millis, offset int64) (places []api.ResetPlace, err error) {
	groups, err := c.groups(nil)
	if err != nil {
		return nil, err
	}
	plan, _, err := c.planReset(groups, resetFields(group, topic, queue, millis, offset))
	for _, p := range plan {
		places = append(places, api.ResetPlace{
			Broker: p.BrokerGroup, Topic: topic, QueueID: p.QueueID, Committed: p.Committed, To: p.To, Min: p.Min, Max: p.Max, Again: p.Again, Skipped: p.Skipped,
			Oldest: p.Oldest, Newest: p.Newest,
		})
	}
	return places, err
}

func (c consoleOperator) Reset(group string, to api.ResetTo) error {
	g, err := c.groupNamed(to.Broker)
	if err == nil {
		_, err = askGroup(g, wire.ResetOffset, nil, resetFields(group, to.Topic, to.QueueID, -1, to.Offset)...)
	}
	return err
}

func (c consoleOperator) CloneOffsets(from, to, topic string) (done []string, err error) {
	groups, err := c.groups(nil)
	if err != nil {
		return nil, err
	}
	for i := range groups {
		_, err := askGroup(&groups[i], wire.CloneGroupOffset, nil, rpc.Field{Name: "srcGroup", Value: from}, rpc.Field{Name: "destGroup", Value: to}, rpc.Field{Name: "topic", Value: topic})
		if err != nil {
			return done, fmt.Errorf("%s: %w (cloned before: %d of %d broker groups)", groups[i].Name, err, len(done), len(groups))
		}
		done = append(done, groups[i].Name)
	}
	return done, nil
}

func (c consoleOperator) Scheduled(limit int) (inspect.ScheduledList, error) {
	return c.broker.InspectScheduled(limit)
}

// Cancel tells the outcomes apart that are answers.
func (c consoleOperator) Cancel(topic, handle string) (api.Cancelled, error) {
	groups, err := c.groups(nil)
	if err == nil {
		err = cancelScheduled(groups, topic, handle)
	}
	var r *refused
	if errors.As(err, &r) {
		if outcome := service.RecallOutcome(r.text); outcome != "" {
			return api.Cancelled{Outcome: outcome, Text: r.text}, nil
		}
	}
	var bad *service.Error
	switch {
	case errors.As(err, &bad):
		return api.Cancelled{}, &refused{service.CodeInvalidParameter, bad.Text}
	case err != nil:
		return api.Cancelled{}, err
	}
	return api.Cancelled{Outcome: service.RecallCancelled}, nil
}

func (c consoleOperator) Transactions(group string, limit int) inspect.TransactionList {
	return c.broker.InspectTransactions(group, limit)
}

func (c consoleOperator) Decide(d *api.DecideTransaction) error {
	g, err := c.groupNamed(d.Broker)
	if err == nil {
		err = decide(g, d.Decision, d.Offset, d.Position)
	}
	return err
}

func (c consoleOperator) ConsumeDirectly(id string, v *api.VerifyMessage) ([]byte, error) {
	g, err := c.groupNamed(v.Broker)
	if err != nil {
		return nil, err
	}
	return askGroup(g, wire.ConsumeDirectly, nil, rpc.Field{Name: "consumerGroup", Value: v.Group}, rpc.Field{Name: "clientId", Value: v.Client},
		rpc.Field{Name: "msgId", Value: id}, rpc.Field{Name: "topic", Value: v.Topic}, rpc.Field{Name: "brokerName", Value: v.Broker})
}

// RunningInfo asks through one broker group after the other: a client need not be connected to all.
func (c consoleOperator) RunningInfo(a *api.AskRunning) (answer []byte, err error) {
	groups, err := c.groups(nil)
	for i := range groups {
		answer, err = askGroup(&groups[i], wire.ConsumerRunningInfo, nil, rpc.Field{Name: "consumerGroup", Value: a.Group}, rpc.Field{Name: "clientId", Value: a.Client},
			rpc.Field{Name: "jstackEnable", Value: strconv.FormatBool(a.Stacks)})
		var r *refused
		if err == nil || !errors.As(err, &r) || !strings.HasSuffix(r.text, "not online") {
			break
		}
	}
	return slices.Clone(answer), err
}
