package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// reset is what `group reset-offset` is to do.
type reset struct {
	admin
	group, topic, to, output string
	queue                    int32
	offset                   int64
	in                       []string // broker groups
	apply                    bool
}

func groupCommand() *cobra.Command {
	c := &cobra.Command{Use: "group", Short: "Consumer groups: where they are in their queues"}
	c.AddCommand(createGroupCommand(), resetCommand())
	return c
}

func resetCommand() *cobra.Command {
	r := &reset{}
	c := &cobra.Command{
		Use: "reset-offset GROUP", Short: "Show what a group would get again or never get, and with --yes move it", Args: cobra.ExactArgs(1),
		Long: "Without --yes nothing is changed. A group need not be online; one that is takes it with its next pull, and Java's and Go's clients then pause for ten seconds.",
		RunE: func(cmd *cobra.Command, args []string) error {
			r.group = args[0]
			return r.run(cmd.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&r.addr, "broker", "127.0.0.1:10911", "address of any member of the cluster, as clients dial it")
	f.StringSliceVar(&r.in, "groups", nil, "broker groups (default all)")
	f.StringVar(&r.topic, "topic", "", "topic to be moved in")
	f.StringVar(&r.to, "to", "", "earliest, latest, or a time such as 2026-10-31T08:00:00+08:00")
	f.Int32Var(&r.queue, "queue", -1, "one queue (default all)")
	f.Int64Var(&r.offset, "offset", -1, "offset in --queue, instead of --to")
	f.BoolVar(&r.apply, "yes", false, "do it")
	f.StringVar(&r.output, "output", "text", "text or json")
	return c
}

// moved is one queue as it is shown.
type moved struct {
	BrokerGroup string `json:"brokerGroup"`
	service.ResetPlace
}

func (r *reset) run(out io.Writer) error {
	fields, err := r.fields()
	if err != nil {
		return err
	}
	groups, err := r.groups(r.in)
	if err != nil {
		return err
	}
	plan, with, err := r.planReset(groups, fields)
	if err != nil {
		return err
	}
	for i := range with {
		if !r.apply {
			break
		}
		if _, err := askGroup(&with[i], wire.ResetOffset, nil, fields...); err != nil {
			return fmt.Errorf("%s: %w (moved before: %d of %d broker groups)", with[i].Name, err, i, len(with))
		}
	}
	if r.output == "json" {
		return json.NewEncoder(out).Encode(map[string]any{"applied": r.apply, "group": r.group, "topic": r.topic, "queues": plan})
	}
	return r.show(out, plan)
}

// fields is the request's header.
func (r *reset) fields() ([]rpc.Field, error) {
	millis := int64(-1)
	switch {
	case r.output != "text" && r.output != "json":
		return nil, fmt.Errorf("--output %q; possible are text, json", r.output)
	case r.topic == "":
		return nil, errors.New("--topic is needed")
	case (r.to == "") == (r.offset < 0):
		return nil, errors.New("name either --to or --offset")
	case r.offset >= 0 && r.queue < 0:
		return nil, errors.New("--offset needs --queue: each queue has offsets of its own")
	case r.to == "earliest":
		millis = 0
	case r.to != "" && r.to != "latest":
		t, err := time.Parse(time.RFC3339, r.to)
		if err != nil {
			return nil, fmt.Errorf("--to %.100q: earliest, latest and a time such as 2026-10-31T08:00:00+08:00 are possible", r.to)
		}
		millis = max(0, t.UnixMilli())
	}
	return resetFields(r.group, r.topic, r.queue, millis, r.offset), nil
}

func resetFields(group, topic string, queue int32, millis, offset int64) []rpc.Field {
	return []rpc.Field{
		{Name: "group", Value: group}, {Name: "topic", Value: topic}, {Name: "isForce", Value: "true"}, {Name: "timestamp", Value: strconv.FormatInt(millis, 10)},
		{Name: "queueId", Value: strconv.Itoa(int(queue))}, {Name: "offset", Value: strconv.FormatInt(offset, 10)},
	}
}

// planReset asks all broker groups what would be done; with is those that have the topic and the group.
func (a *admin) planReset(groups []inspect.BrokerGroup, fields []rpc.Field) (plan []moved, with []inspect.BrokerGroup, err error) {
	var missing error
	for i := range groups {
		b, err := askGroup(&groups[i], wire.ResetOffset, nil, append(fields, rpc.Field{Name: "_ctrlPlan", Value: "true"})...)
		var no *refused
		if errors.As(err, &no) && (no.code == service.CodeTopicNotExist || no.code == service.CodeSubscriptionGroupMissing) {
			missing = err
			continue
		}
		var places []service.ResetPlace
		if err == nil {
			err = json.Unmarshal(b, &places)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", groups[i].Name, err)
		}
		for _, p := range places {
			plan = append(plan, moved{groups[i].Name, p})
		}
		with = append(with, groups[i])
	}
	if len(with) == 0 {
		return nil, nil, missing
	}
	return plan, with, nil
}

func (r *reset) show(out io.Writer, plan []moved) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BROKER GROUP\tQUEUE\tCOMMITTED\tNEW\tAGAIN\tSKIPPED\tSTORED FROM\tTO")
	again, skipped := int64(0), int64(0)
	for _, p := range plan {
		again, skipped = again+p.Again, skipped+p.Skipped
		committed := strconv.FormatInt(p.Committed, 10)
		if p.Committed < 0 {
			committed = "-"
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%d\t%d\t%s\t%s\n", p.BrokerGroup, p.QueueID, committed, p.To, p.Again, p.Skipped, storedAt(p.Oldest), storedAt(p.Newest))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	what := fmt.Sprintf("%d messages would be delivered to %s again, and %d never. Nothing is changed: give --yes to do it.", again, r.group, skipped)
	if r.apply {
		what = fmt.Sprintf("moved: %d messages are delivered to %s again, and %d never", again, r.group, skipped)
	}
	_, err := fmt.Fprintln(out, what)
	return err
}

func storedAt(millis int64) string {
	if millis <= 0 {
		return "-"
	}
	return time.UnixMilli(millis).Format(time.RFC3339)
}
