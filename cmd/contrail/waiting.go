package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/rpc"
	"github.com/contrailmq/contrail/broker/service"
	"github.com/contrailmq/contrail/broker/wire"
)

// waiting is what the commands about scheduled messages, transactions and dead letters share.
type waiting struct {
	admin
	output string
	in     []string // broker groups
	limit  int
}

func (w *waiting) flags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&w.addr, "broker", "127.0.0.1:10911", "address of any member of the cluster, as clients dial it")
	f.StringSliceVar(&w.in, "groups", nil, "broker groups (default all)")
	f.StringVar(&w.output, "output", "text", "text or json")
	f.IntVar(&w.limit, "limit", 20, "how many to list, of each broker group")
}

// chosen are the broker groups to ask.
func (w *waiting) chosen() ([]inspect.BrokerGroup, error) {
	if w.output != "text" && w.output != "json" {
		return nil, fmt.Errorf("--output %q; possible are text, json", w.output)
	}
	if w.limit < 0 || w.limit > service.WaitingMax {
		return nil, fmt.Errorf("--limit %d; from 0 to %d are possible", w.limit, service.WaitingMax)
	}
	return w.groups(w.in)
}

// gather asks each broker group for a list, and hands it on. A broker group that does not know what is asked about has nothing to list, if
// another one does.
func gather[T any](w *waiting, code int32, add func(T), fields ...rpc.Field) error {
	groups, err := w.chosen()
	if err != nil {
		return err
	}
	var unknown error
	told := 0
	for i := range groups {
		b, err := askGroup(&groups[i], code, nil, append(fields, number("limit", uint64(w.limit)))...)
		var r *refused
		if errors.As(err, &r) && r.code == service.CodeSubscriptionGroupMissing {
			unknown = err
			continue
		}
		var part T
		if err == nil {
			err = json.Unmarshal(b, &part)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", groups[i].Name, err)
		}
		told++
		add(part)
	}
	if told == 0 {
		return unknown
	}
	return nil
}

// show prints v as JSON, or a head line and a table.
func (w *waiting) show(out io.Writer, v any, head string, table func(io.Writer)) error {
	if w.output == "json" {
		return json.NewEncoder(out).Encode(v)
	}
	fmt.Fprintln(out, head)
	t := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	table(t)
	return t.Flush()
}

func millis(at int64) string {
	if at <= 0 {
		return "-"
	}
	return time.UnixMilli(at).Format("2006-01-02 15:04:05.000")
}

func scheduleCommand() *cobra.Command {
	w := &waiting{}
	c := &cobra.Command{Use: "schedule", Short: "Delayed and scheduled messages: what waits, and cancelling it"}
	w.flags(c)
	c.AddCommand(&cobra.Command{
		Use: "list", Short: "The messages that are due next", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return w.listScheduled(cmd.OutOrStdout()) },
	}, &cobra.Command{
		Use: "cancel TOPIC HANDLE", Short: "Cancel a scheduled message by the handle that its send, or `schedule list`, told", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.cancelScheduled(cmd.OutOrStdout(), args[0], args[1])
		},
	})
	return c
}

func (w *waiting) listScheduled(out io.Writer) error {
	all := inspect.ScheduledList{Messages: []inspect.Scheduled{}}
	if err := gather(w, wire.Scheduled, all.Add); err != nil {
		return err
	}
	slices.SortStableFunc(all.Messages, func(a, b inspect.Scheduled) int { return cmp.Compare(a.Due, b.Due) })
	head := fmt.Sprintf("%d messages wait; %d were scheduled, %d fired, %d cancelled", all.Pending, all.Scheduled, all.Fired, all.Cancelled)
	return w.show(out, all, head, func(t io.Writer) {
		line(t, "DUE", "TOPIC", "UNIQ_KEY", "KEYS", "ATTEMPTS", "HANDLE")
		for _, m := range all.Messages {
			line(t, millis(m.Due), m.Topic, m.UniqKey, m.Keys, strconv.Itoa(int(m.Attempts)), m.Handle)
		}
	})
}

func (w *waiting) cancelScheduled(out io.Writer, topic, handle string) error {
	groups, err := w.chosen()
	if err == nil {
		err = cancelScheduled(groups, topic, handle)
	}
	if err == nil {
		fmt.Fprintln(out, "cancelled")
	}
	return err
}

// cancelScheduled asks the broker group that the handle names.
func cancelScheduled(groups []inspect.BrokerGroup, topic, handle string) error {
	name, err := service.RecallBroker(handle)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(groups, func(g inspect.BrokerGroup) bool { return g.Name == name })
	if i < 0 {
		return &refused{service.CodeInvalidParameter, fmt.Sprintf("the handle is of broker group %.127q, which is not among %v", name, groupNames(groups))}
	}
	_, err = askGroup(&groups[i], wire.RecallMessage, nil, rpc.Field{Name: "topic", Value: topic}, rpc.Field{Name: "recallHandle", Value: handle})
	return err
}

func txnCommand() *cobra.Command {
	w, group := &waiting{}, ""
	c := &cobra.Command{Use: "txn", Short: "Transactions: half messages that nobody decided yet"}
	w.flags(c)
	list := &cobra.Command{
		Use: "list", Short: "The oldest open transactions", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return w.listTransactions(cmd.OutOrStdout(), group) },
	}
	list.Flags().StringVar(&group, "producer-group", "", "of one producer group (default all)")
	c.AddCommand(list)
	for decision, short := range map[string]string{"commit": "Deliver a half message whose producers are gone", "rollback": "Drop a half message whose producers are gone"} {
		var offset, position int64
		d := &cobra.Command{
			Use: decision, Short: short, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return w.decide(cmd.OutOrStdout(), decision, offset, position)
			},
		}
		d.Flags().Int64Var(&offset, "offset", -1, "the half message's offset, as txn list tells it")
		d.Flags().Int64Var(&position, "position", -1, "and its position")
		c.AddCommand(d)
	}
	return c
}

func (w *waiting) listTransactions(out io.Writer, group string) error {
	all := inspect.TransactionList{Halves: []inspect.Transaction{}}
	if err := gather(w, wire.Transactions, all.Add, rpc.Field{Name: "producerGroup", Value: group}); err != nil {
		return err
	}
	head := fmt.Sprintf("%d transactions are open; %d were begun, %d committed, %d rolled back, %d given up, with %d checks",
		all.Open, all.Begun, all.Committed, all.RolledBack, all.GivenUp, all.Checks)
	return w.show(out, all, head, func(t io.Writer) {
		line(t, "SINCE", "BROKER", "OFFSET", "POSITION", "TOPIC", "PRODUCER GROUP", "CHECKS", "UNIQ_KEY")
		for _, h := range all.Halves {
			line(t, millis(h.Stored), h.Broker, strconv.FormatInt(h.Offset, 10), strconv.FormatInt(h.Position, 10), h.Topic, h.Group, strconv.Itoa(int(h.Checks)), h.UniqKey)
		}
	})
}

func (w *waiting) decide(out io.Writer, decision string, offset, position int64) error {
	if offset < 0 || position < 0 {
		return fmt.Errorf("--offset %d, --position %d: name both, as txn list tells them", offset, position)
	}
	groups, err := w.chosen()
	if err != nil {
		return err
	}
	if len(groups) != 1 {
		return fmt.Errorf("--groups must name the half message's broker group; there are %v", groupNames(groups))
	}
	if err = decide(&groups[0], decision, offset, position); err == nil {
		fmt.Fprintf(out, "half message %d: %s\n", offset, decision)
	}
	return err
}

func decide(g *inspect.BrokerGroup, decision string, offset, position int64) error {
	_, err := askGroup(g, wire.DecideTransaction, nil, rpc.Field{Name: "decision", Value: decision},
		rpc.Field{Name: "halfOffset", Value: strconv.FormatInt(offset, 10)}, rpc.Field{Name: "position", Value: strconv.FormatInt(position, 10)})
	return err
}

func dlqCommand() *cobra.Command {
	w := &waiting{}
	c := &cobra.Command{Use: "dlq", Short: "Dead letters: what consumer groups gave up, and giving it to them again"}
	w.flags(c)
	var from int64
	list := &cobra.Command{
		Use: "list GROUP", Short: "A group's dead letters, oldest first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.listLetters(cmd.OutOrStdout(), args[0], from)
		},
	}
	list.Flags().Int64Var(&from, "offset", 0, "begin at this offset")
	var r resend
	again := &cobra.Command{
		Use: "resend GROUP OFFSET…", Short: "Give dead letters to their group again; one that was resent before is left alone", Args: cobra.MinimumNArgs(2),
		Long: "The letters are named by their offsets, as `dlq list` tells them. They go to the group's retry topic: no other group gets them.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.resend(cmd.OutOrStdout(), args[0], args[1:], r)
		},
	}
	again.Flags().BoolVar(&r.again, "again", false, "also those that were resent before")
	again.Flags().StringVar(&r.by, "by", "", "who asks, for the trail")
	c.AddCommand(list, again)
	return c
}

// resend is how dead letters are resent.
type resend struct {
	again bool
	by    string
}

func (w *waiting) listLetters(out io.Writer, group string, from int64) error {
	all := inspect.DeadLetterList{Letters: []inspect.DeadLetter{}}
	total := int64(0)
	err := gather(w, wire.DeadLetters, func(l inspect.DeadLetterList) {
		total += l.End - l.First
		all.Letters = append(all.Letters, l.Letters...)
	}, rpc.Field{Name: "consumerGroup", Value: group}, rpc.Field{Name: "offset", Value: strconv.FormatInt(from, 10)})
	if err != nil {
		return err
	}
	return w.show(out, map[string]any{"total": total, "letters": all.Letters}, fmt.Sprintf("%d dead letters of %s are kept", total, group), func(t io.Writer) {
		line(t, "DIED", "BROKER", "OFFSET", "TOPIC", "UNIQ_KEY", "KEYS", "ATTEMPTS", "RESENT")
		for _, d := range all.Letters {
			line(t, millis(d.Stored), d.Broker, strconv.FormatInt(d.Offset, 10), d.Topic, d.UniqKey, d.Keys, strconv.Itoa(int(d.Attempts)), millis(d.Resent))
		}
	})
}

// resend gives each letter to its group, and tells each outcome.
func (w *waiting) resend(out io.Writer, group string, offsets []string, r resend) error {
	groups, err := w.chosen()
	if err != nil {
		return err
	}
	if len(groups) != 1 {
		return fmt.Errorf("--groups must name the letters' broker group; there are %v", groupNames(groups))
	}
	var done []inspect.Resent
	for _, o := range offsets {
		n, err := strconv.ParseInt(o, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("offset %q is no number from 0 on (resent before it: %d)", o, len(done))
		}
		one, err := resendLetter(&groups[0], group, n, r)
		if err != nil {
			return errors.Join(w.showResent(out, done), fmt.Errorf("offset %d: %w", n, err))
		}
		done = append(done, one)
	}
	if err := w.showResent(out, done); err != nil {
		return err
	}
	for _, one := range done {
		if one.Outcome == service.OutcomeMissing {
			return fmt.Errorf("group %s has no dead letter at offset %d", group, one.Offset)
		}
	}
	return nil
}

func resendLetter(g *inspect.BrokerGroup, group string, offset int64, r resend) (one inspect.Resent, err error) {
	b, err := askGroup(g, wire.ResendDeadLetter, nil, rpc.Field{Name: "consumerGroup", Value: group}, number("offset", uint64(offset)),
		rpc.Field{Name: "again", Value: strconv.FormatBool(r.again)}, rpc.Field{Name: "by", Value: r.by})
	if err == nil {
		err = json.Unmarshal(b, &one)
	}
	return one, err
}

func (w *waiting) showResent(out io.Writer, done []inspect.Resent) error {
	n := 0
	for _, r := range done {
		if r.Outcome == service.OutcomeResent {
			n++
		}
	}
	return w.show(out, done, fmt.Sprintf("%d of %d resent", n, len(done)), func(t io.Writer) {
		line(t, "OFFSET", "OUTCOME", "COPY STORED")
		for _, r := range done {
			line(t, strconv.FormatInt(r.Offset, 10), r.Outcome, millis(r.At))
		}
	})
}
