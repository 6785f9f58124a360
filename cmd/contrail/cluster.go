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
	"github.com/contrailmq/contrail/broker/wire"
)

// clusterAsk asks one member of a broker group; a member that does not lead hands on what the leader must do.
type clusterAsk struct{ broker, output string }

func clusterCommand() *cobra.Command {
	a := &clusterAsk{}
	c := &cobra.Command{Use: "cluster", Short: "Broker groups: who leads them, their members, and changes of both"}
	c.PersistentFlags().StringVar(&a.broker, "broker", "127.0.0.1:10911", "address of any member of the broker group, as clients dial it")
	c.PersistentFlags().StringVar(&a.output, "output", "text", "text or json")
	c.AddCommand(
		&cobra.Command{Use: "status", Short: "Show the broker group's members", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			return a.status(cmd.OutOrStdout())
		}},
		&cobra.Command{Use: "move-leader MEMBER", Short: "Let another member lead, without failing a request", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.OutOrStdout(), wire.BrokerGroupTransfer, "the leader moves", rpc.Field{Name: "member", Value: args[0]})
		}},
		&cobra.Command{Use: "add-member MEMBER", Short: "Let a configured node's member join: it learns first, then votes", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.OutOrStdout(), wire.BrokerGroupMembers, "the member joins", rpc.Field{Name: "add", Value: args[0]})
		}},
		&cobra.Command{Use: "remove-member MEMBER", Short: "Remove a member that does not lead", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.OutOrStdout(), wire.BrokerGroupMembers, "the member goes", rpc.Field{Name: "remove", Value: args[0]})
		}},
		&cobra.Command{Use: "replace-member OLD NEW", Short: "Let a member take another's place, in one step once it has learned everything", Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
			return a.change(cmd.OutOrStdout(), wire.BrokerGroupMembers, "the members change", rpc.Field{Name: "remove", Value: args[0]}, rpc.Field{Name: "add", Value: args[1]})
		}},
	)
	return c
}

const clusterTimeout = 20 * time.Second

func (a *clusterAsk) do(code int32, fields ...rpc.Field) ([]byte, error) {
	for _, f := range fields {
		if n, err := strconv.ParseUint(f.Value, 10, 64); err != nil || n == 0 {
			return nil, fmt.Errorf("%q is no member's id; ids are numbers from 1 on", f.Value)
		}
	}
	c := rpc.Client{Addr: a.broker, Timeout: clusterTimeout}
	defer c.Close()
	f, err := c.Do(code, fields, nil)
	if err != nil {
		return nil, fmt.Errorf("--broker %s: %w", a.broker, err)
	}
	if f.Code != 0 {
		return nil, errors.New(string(f.Remark))
	}
	return f.Body, nil
}

func (a *clusterAsk) change(out io.Writer, code int32, done string, fields ...rpc.Field) error {
	if _, err := a.do(code, fields...); err != nil {
		return err
	}
	fmt.Fprintln(out, done+"; see contrail cluster status")
	return nil
}

func (a *clusterAsk) status(out io.Writer) error {
	b, err := a.do(wire.BrokerGroupInfo)
	if err != nil {
		return err
	}
	if a.output == "json" {
		_, err := fmt.Fprintln(out, string(b))
		return err
	}
	var g inspect.BrokerGroup
	if err := json.Unmarshal(b, &g); err != nil {
		return err
	}
	fmt.Fprintf(out, "broker group %s   term %d   leader %s   commit %d   applied here %d\n", g.Name, g.Term, nobody(g.Leader), g.CommitIndex, g.AppliedIndex)
	if g.Stopped != "" {
		fmt.Fprintln(out, "this member has stopped:", g.Stopped)
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "MEMBER\tSTATE\tACTIVE\tENTRY\tLAG")
	for _, m := range g.Members {
		fmt.Fprintf(w, "%d\t%s\t%t\t%d\t%d\n", m.ID, m.State, m.Active, m.MatchIndex, m.LagEntries)
	}
	return w.Flush()
}

func nobody(id uint64) string {
	if id == 0 {
		return "nobody"
	}
	return strconv.FormatUint(id, 10)
}
