package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/tracing/engine"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o, child, err := engine.ChildOptionsFromEnv(); child { // this process is to be the trail engine
		if err == nil {
			err = engine.RunChild(ctx, o)
		}
		exit(err)
	}
	exit(root().ExecuteContext(ctx))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "contrail:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use: "contrail", Short: "A message broker for RocketMQ's clients that tells each message's story",
		SilenceUsage: true, SilenceErrors: true, Version: version + " " + revision(),
	}
	c.AddCommand(serveCommand(), clusterCommand(), topicCommand(), groupCommand(), messageCommand(), scheduleCommand(), txnCommand(), dlqCommand(), logCommand())
	for _, part := range c.Commands() {
		if part.HasSubCommands() && !part.Runnable() {
			part.RunE = refuseUnknown
		}
	}
	return c
}

// refuseUnknown is a command of which only parts can be run.
func refuseUnknown(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s: there is no %q; %s --help tells what there is", c.CommandPath(), args[0], c.CommandPath())
	}
	return c.Help()
}

func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return "unknown"
}
