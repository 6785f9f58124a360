package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/broker/catalog"
	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/wire"
)

// messageTypes are those that a topic may take; 5.x clients refuse to send others, and so does the gRPC port.
var messageTypes = []string{"NORMAL", "FIFO", "DELAY", "TRANSACTION", "MIXED"}

func createTopicCommand(a *admin, in *[]string) *cobra.Command {
	var queues int32
	var kind string
	c := &cobra.Command{
		Use: "create TOPIC", Short: "Make a topic", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.createTopic(cmd.OutOrStdout(), args[0], queues, strings.ToUpper(kind), *in)
		},
	}
	c.Flags().Int32Var(&queues, "queues", 8, "in each broker group")
	c.Flags().StringVar(&kind, "type", "NORMAL", "of the messages that 5.x clients may send: "+strings.Join(messageTypes, ", "))
	return c
}

func (a *admin) createTopic(out io.Writer, name string, queues int32, kind string, in []string) error {
	if !slices.Contains(messageTypes, kind) {
		return fmt.Errorf("--type %q: possible are %s", kind, strings.Join(messageTypes, ", "))
	}
	if queues < 1 {
		return fmt.Errorf("--queues %d: from 1 on are possible", queues)
	}
	all, err := a.groups(nil)
	if err != nil {
		return err
	}
	has, source, err := settings(all, name)
	if err != nil {
		return err
	}
	if was := cmp.Or(has[source].Attributes["message.type"], "NORMAL"); source != "" && was != kind { // its messages, and its clients, are of that type
		return fmt.Errorf("topic %s is there and takes %s messages: --type %s would refuse its clients (mqadmin updateTopic -a +message.type=%s changes it all the same)", name, was, kind, kind)
	}
	n := strconv.Itoa(int(queues))
	return a.inAll(out, in, "topic "+name, wire.UpdateTopic, nil,
		rpc.Field{Name: "topic", Value: name}, rpc.Field{Name: "defaultTopic", Value: "TBW102"}, rpc.Field{Name: "readQueueNums", Value: n}, rpc.Field{Name: "writeQueueNums", Value: n},
		rpc.Field{Name: "perm", Value: "6"}, rpc.Field{Name: "topicFilterType", Value: "SINGLE_TAG"}, rpc.Field{Name: "topicSysFlag", Value: "0"}, rpc.Field{Name: "order", Value: "false"},
		rpc.Field{Name: "attributes", Value: "+message.type=" + kind})
}

// inAll has the leaders of broker groups do the same.
func (a *admin) inAll(out io.Writer, in []string, what string, code int32, body []byte, fields ...rpc.Field) error {
	groups, err := a.groups(in)
	if err != nil {
		return err
	}
	for i := range groups {
		if _, err := askGroup(&groups[i], code, body, fields...); err != nil {
			return fmt.Errorf("%s in %s: %w", what, groups[i].Name, err)
		}
	}
	fmt.Fprintf(out, "%s is in %s\n", what, strings.Join(groupNames([]inspect.BrokerGroup(groups)), ", "))
	return nil
}

// newGroup is what `group create` is to make.
type newGroup struct {
	admin
	ordered bool
	retries int32
	backoff []time.Duration
	in      []string
}

func createGroupCommand() *cobra.Command {
	g := &newGroup{}
	c := &cobra.Command{
		Use: "create GROUP", Short: "Make a consumer group, or change its settings", Args: cobra.ExactArgs(1),
		Long: "Groups are also made by themselves when their first consumer comes (log.autoCreateGroup); what differs from the defaults is set here.",
		RunE: func(cmd *cobra.Command, args []string) error { return g.run(cmd.OutOrStdout(), args[0]) },
	}
	f := c.Flags()
	f.StringVar(&g.addr, "broker", "127.0.0.1:10911", "address of any member of the cluster, as clients dial it")
	f.StringSliceVar(&g.in, "groups", nil, "broker groups (default all)")
	f.BoolVar(&g.ordered, "ordered", false, "5.x consumers get the messages of a message group in order, one after the other")
	f.Int32Var(&g.retries, "max-retries", 16, "after which a message is a dead letter")
	f.DurationSliceVar(&g.backoff, "backoff", nil, "waits before the retries, such as 1s,5s,1m; the last one for all further ones (default RocketMQ's 10s, 30s, 1m … 2h)")
	return c
}

func (g *newGroup) run(out io.Writer, name string) error {
	config := catalog.NewGroup(name)
	config.ConsumeMessageOrderly, config.RetryMaxTimes = g.ordered, g.retries
	if g.retries < 0 {
		return fmt.Errorf("--max-retries %d: from 0 on are possible", g.retries)
	}
	if len(g.backoff) > 0 {
		// RocketMQ's policy begins with the waits of two levels that retries never use.
		next := []int64{0, 0}
		for _, d := range g.backoff {
			if d < 0 {
				return fmt.Errorf("--backoff %s: from 0 on are possible", d)
			}
			next = append(next, d.Milliseconds())
		}
		config.RetryPolicy = &catalog.RetryPolicy{Type: "CUSTOMIZED", Customized: &catalog.CustomizedRetryPolicy{NextMillis: next}}
	}
	body, err := json.Marshal(config)
	if err != nil {
		return err
	}
	return g.inAll(out, g.in, "group "+name, wire.UpdateGroup, body)
}
