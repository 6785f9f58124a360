package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/broker/inspect"
	"github.com/contrailmq/contrail/broker/wire"
)

// clusterAsk asks one member; a member that does not lead hands on what the leader must do.
type clusterAsk struct {
	admin
	group, output string
	out           io.Writer
}

func clusterCommand() *cobra.Command {
	a := &clusterAsk{}
	c := &cobra.Command{Use: "cluster", Short: "Broker groups and nodes: who leads, members, and changes of all"}
	c.PersistentFlags().StringVar(&a.addr, "broker", "127.0.0.1:10911", "address of any member of the cluster, as clients dial it")
	c.PersistentFlags().StringVar(&a.group, "group", "", "broker group (default that of --broker)")
	c.PersistentFlags().StringVar(&a.output, "output", "text", "text or json")
	c.AddCommand(
		a.command("status", "Show nodes, broker groups, members and changes under way", 0, func([]uint64) error { return a.status() }),
		a.command("move-leader MEMBER", "Let another member lead from now on, without failing a request", 1, func(ids []uint64) error {
			return a.ofGroup("the leader moves", func(group string) error { return a.moveLeader(group, ids[0]) })
		}),
		a.command("add-member MEMBER", "Let a configured node's member join: it learns first, then votes", 1, func(ids []uint64) error {
			return a.ofGroup("the member joins", func(group string) error { return a.members(group, ids[0], 0) })
		}),
		a.command("remove-member MEMBER", "Remove a member that does not lead", 1, func(ids []uint64) error {
			return a.ofGroup("the member goes", func(group string) error { return a.members(group, 0, ids[0]) })
		}),
		a.command("replace-member OLD NEW", "Let a member take another's place, in one step once it has learned everything", 2, func(ids []uint64) error {
			return a.ofGroup("the members change", func(group string) error { return a.members(group, ids[1], ids[0]) })
		}),
		a.command("undrain NODE", "Let a drained node lead again", 1, func(ids []uint64) error {
			return a.say("the node leads again", a.change(inspect.ClusterChange{Kind: inspect.Undrain, Node: ids[0]}))
		}),
		a.drainCommand(), a.addGroupCommand(),
	)
	return c
}

// command is one whose arguments are ids of nodes or members.
func (a *clusterAsk) command(use, short string, args int, run func([]uint64) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(args), RunE: func(cmd *cobra.Command, args []string) error {
		a.out = cmd.OutOrStdout()
		ids, err := ids(args)
		if err != nil {
			return err
		}
		return run(ids)
	}}
}

func ids(args []string) (ids []uint64, err error) {
	for _, text := range args {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil || id == 0 {
			return nil, fmt.Errorf("%q is no id; ids of nodes and members are numbers from 1 on", text)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (a *clusterAsk) drainCommand() *cobra.Command {
	var by uint64
	c := a.command("drain NODE", "Let a node lead nothing until it is undrained, to work on it or to take it away", 1, func(ids []uint64) error {
		return a.say("the node is drained", a.change(inspect.ClusterChange{Kind: inspect.DrainOf, Node: ids[0], By: by}))
	})
	c.Flags().Uint64Var(&by, "replace-by", 0, "node that takes its members' places, too")
	return c
}

func (a *clusterAsk) addGroupCommand() *cobra.Command {
	var nodes, addrs []string
	c := &cobra.Command{Use: "add-group NAME", Short: "Add a broker group to the running cluster; its nodes start members at once", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		a.out = cmd.OutOrStdout()
		founders, err := ids(nodes)
		if err != nil {
			return fmt.Errorf("--nodes: %w", err)
		}
		c := inspect.ClusterChange{Kind: inspect.AddGroup, Group: args[0], Nodes: founders, Addrs: map[uint64]string{}}
		for _, text := range addrs {
			node, addr, _ := strings.Cut(text, "=")
			id, err := ids([]string{node})
			if err != nil || addr == "" {
				return fmt.Errorf("--address %q: NODE=IP:PORT is possible", text)
			}
			c.Addrs[id[0]] = addr
		}
		return a.say("the broker group "+args[0]+" is added", a.change(c))
	}}
	c.Flags().StringSliceVar(&nodes, "nodes", nil, "nodes that found it, 1,2,3 say (default those that founded the cluster)")
	c.Flags().StringSliceVar(&addrs, "address", nil, "NODE=IP:PORT where clients dial a member (default the next free port of the node)")
	return c
}

func (a *clusterAsk) say(done string, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, done+"; see contrail cluster status")
	return err
}

// ofGroup does something with the broker group that is meant.
func (a *clusterAsk) ofGroup(done string, change func(group string) error) error {
	name := a.group
	if name == "" {
		b, err := do(a.addr, wire.BrokerGroupInfo, nil)
		var g inspect.BrokerGroup
		if err == nil {
			err = json.Unmarshal(b, &g)
		}
		if err != nil {
			return fmt.Errorf("--broker %s: %w", a.addr, err)
		}
		name = g.Name
	}
	return a.say(name+": "+done, change(name))
}

func (a *clusterAsk) status() error {
	c, err := a.cluster()
	if err != nil {
		return err
	}
	if a.group != "" {
		c.Groups = slices.DeleteFunc(c.Groups, func(g inspect.BrokerGroup) bool { return g.Name != a.group })
	}
	if a.output == "json" {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		return e.Encode(c)
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', 0)
	showNodes(w, c.Nodes, c.Groups)
	for i := range c.Groups {
		showGroup(w, &c.Groups[i])
	}
	for i, p := range c.Changes {
		if i == 0 {
			fmt.Fprintln(w, "\nCHANGE\tSTATE\tDONE\tSINCE\t")
		}
		fmt.Fprintf(w, "%s %s\t%s\t%d %%\t%s\t%s\n", p.Kind, p.Subject, p.State, p.Percent, time.UnixMilli(p.Since).Format(time.DateTime), p.Text)
	}
	return w.Flush()
}

func showNodes(w io.Writer, nodes []inspect.ClusterNode, groups []inspect.BrokerGroup) {
	if len(nodes) == 0 {
		return
	}
	fmt.Fprintln(w, "NODE\tNAME\tSTATE\tLEADS\tMEMBER OF")
	for _, n := range nodes {
		state := "serves"
		if n.Drained {
			state = "drained"
		}
		if away(n.ID, groups) {
			state += ", not heard"
		}
		if n.ReplacedBy != 0 {
			state += fmt.Sprintf(", replaced by %d", n.ReplacedBy)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", n.ID, n.Name, state, nothing(n.Leads), nothing(n.MemberOf))
	}
}

// away says that none of the groups that know a node as a member heard of it lately.
func away(id uint64, groups []inspect.BrokerGroup) bool {
	known := false
	for i := range groups {
		for _, m := range groups[i].Members {
			if m.ID == id && m.Active {
				return false
			}
			known = known || m.ID == id
		}
	}
	return known
}

func nothing(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ", ")
}

func showGroup(w io.Writer, g *inspect.BrokerGroup) {
	fmt.Fprintf(w, "\nbroker group %s, term %d, leader %s, commit %d, applied here %d\n", g.Name, g.Term, nobody(g.Leader), g.CommitIndex, g.AppliedIndex)
	if g.Stopped != "" {
		fmt.Fprintln(w, "this member has stopped:", g.Stopped)
	}
	fmt.Fprintln(w, "MEMBER\tSTATE\tACTIVE\tENTRY\tLAG\tADDRESS")
	for _, m := range g.Members {
		fmt.Fprintf(w, "%d\t%s\t%t\t%d\t%d\t%s\n", m.ID, m.State, m.Active, m.MatchIndex, m.LagEntries, m.Addr)
	}
}

func nobody(id uint64) string {
	if id == 0 {
		return "nobody"
	}
	return strconv.FormatUint(id, 10)
}
