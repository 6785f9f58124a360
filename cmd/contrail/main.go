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
	return c
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
