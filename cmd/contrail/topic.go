package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func topicCommand() *cobra.Command {
	a, q := &admin{}, &queues{}
	c := &cobra.Command{Use: "topic", Short: "Topics: how many queues they have, and in which broker groups"}
	c.PersistentFlags().StringVar(&a.addr, "broker", "127.0.0.1:10911", "address of any member of the cluster, as clients dial it")
	c.PersistentFlags().StringSliceVar(&q.Groups, "groups", nil, "broker groups (default all)")
	update := &cobra.Command{
		Use: "update TOPIC", Short: "Change the number of queues, or extend a topic onto broker groups that do not have it", Args: cobra.ExactArgs(1),
		Long: "Fewer queues take two steps, as in RocketMQ: first --write-queues; then --read-queues, once the groups have read what the queues hold.",
		RunE: func(cmd *cobra.Command, args []string) error { return a.updateTopic(cmd.OutOrStdout(), args[0], *q) },
	}
	update.Flags().Int32Var(&q.Read, "read-queues", 0, "in each broker group; 0: as many as there are")
	update.Flags().Int32Var(&q.Write, "write-queues", 0, "in each broker group; 0: as many as there are")
	var to int32
	add := &cobra.Command{
		Use: "add-queues TOPIC", Short: "Let a topic have more queues; what is stored and read so far stays as it is", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.updateTopic(cmd.OutOrStdout(), args[0], queues{Read: to, Write: to, Grow: true, Groups: q.Groups})
		},
	}
	add.Flags().Int32Var(&to, "to", 0, "queues in each broker group from now on")
	c.AddCommand(createTopicCommand(a, &q.Groups), update, add)
	return c
}

func (a *admin) updateTopic(out io.Writer, name string, q queues) error {
	if q.Read < 0 || q.Write < 0 || q.Read == 0 && q.Write == 0 {
		return fmt.Errorf("--read-queues %d, --write-queues %d: numbers from 1 on are possible, one of both at least", q.Read, q.Write)
	}
	done, err := a.topic(name, q)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "topic %s changed in %s; clients take it with their next look at the route, within 30 s\n", name, strings.Join(done, ", "))
	return nil
}
