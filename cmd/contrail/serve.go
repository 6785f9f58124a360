package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/contrailmq/contrail/broker/metrics"
	"github.com/contrailmq/contrail/broker/namesrv"
)

func serveCommand() *cobra.Command {
	var file string
	var set serveFlags
	c := &cobra.Command{
		Use: "serve", Short: "Run name server, broker and console", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(file)
			if err != nil {
				return err
			}
			set.apply(&c)
			if err := c.check(); err != nil {
				return err
			}
			c.own()
			return serve(cmd.Context(), c)
		},
	}
	c.Flags().StringVar(&file, "config", "", "YAML file; without it the defaults of a single node")
	set.define(c)
	return c
}

// serveFlags are the settings that are often given by hand; they win over the file.
type serveFlags struct {
	dir, console, ack, engine string
	roles                     []string
}

func (s *serveFlags) define(c *cobra.Command) {
	c.Flags().StringVar(&s.dir, "dir", "", "where data is kept (default data)")
	c.Flags().StringVar(&s.console, "console", "", "where the console listens (default 127.0.0.1:8080)")
	c.Flags().StringVar(&s.ack, "ack", "", "when a message counts as stored: fdatasync (default) or page-cache")
	c.Flags().StringVar(&s.engine, "trail", "", "trail store: embedded (default), off, or clickhouse://user:password@host:port/database")
	c.Flags().StringSliceVar(&s.roles, "roles", nil, "what runs here: namesrv,broker,console")
}

func (s *serveFlags) apply(c *config) {
	for from, to := range map[*string]*string{&s.dir: &c.Dir, &s.console: &c.Console.Listen, &s.ack: &c.Log.Ack, &s.engine: &c.Trail.Engine} {
		if *from != "" {
			*to = *from
		}
	}
	if len(s.roles) > 0 {
		c.Roles = s.roles
	}
}

// drainFor is how long a stop waits for answers that are on their way.
const drainFor = 10 * time.Second

// node is what runs in this process; parts are stopped in the opposite order of their start.
type node struct {
	conf    config
	log     *slog.Logger
	names   *namesrv.Server
	brokers brokerList
	members *members // nil: this node is alone
	latency metrics.RPCLatency
	trail   *trailStore
	own     *prometheus.Registry // of the telemetry of this process
	stops   []func(context.Context) error
	agreed  agreed // with the other nodes
}

func (n *node) onStop(f func(context.Context) error) { n.stops = append(n.stops, f) }

// collectAt is how much the heap may grow between two collections, in per cent: little of it lives long, and what lives is small beside
// the page cache that the log needs anyway.
const collectAt = 300

// ballastBytes is memory that is counted and never touched: a heap that lives of little is not collected again and again, and given back to
// the machine in between, which on a virtual one costs more than all else about it. It lets the garbage of a loaded node grow to about
// 4 x 32 MiB; a large heap does not feel it.
const ballastBytes = 32 << 20

func serve(ctx context.Context, c config) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
		defer runtime.KeepAlive(make([]byte, ballastBytes))
	}
	n := &node{conf: c, log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	err := n.start(ctx)
	if err == nil {
		<-ctx.Done()
		n.log.Info("stopping")
	}
	stopping, cancel := context.WithTimeout(context.Background(), drainFor)
	defer cancel()
	for i := len(n.stops) - 1; i >= 0; i-- {
		err = errors.Join(err, n.stops[i](stopping))
	}
	return err
}

func (n *node) start(ctx context.Context) error {
	if err := n.startTelemetry(ctx); err != nil {
		return err
	}
	if err := n.startDebug(); err != nil {
		return err
	}
	if n.conf.is(roleNamesrv) {
		if err := n.startNameServer(); err != nil {
			return err
		}
	}
	if n.conf.is(roleBroker) {
		if err := n.startBrokers(ctx); err != nil {
			return err
		}
		if err := n.startGRPC(); err != nil {
			return err
		}
		if err := n.startTrail(ctx); err != nil {
			return err
		}
		n.followPlan(ctx)
	}
	if n.conf.is(roleConsole) {
		return n.startConsole()
	}
	return nil
}

func (n *node) startNameServer() error {
	accept := !n.conf.is(roleBroker)
	if n.conf.NameServer.AcceptBrokers != nil {
		accept = *n.conf.NameServer.AcceptBrokers
	}
	var err error
	n.names, err = namesrv.Start(namesrv.Options{Listen: n.conf.NameServer.Listen, Log: n.log, AcceptBrokers: accept})
	if err != nil {
		return fmt.Errorf("%w (nameServer.listen)", err)
	}
	n.onStop(n.names.Shutdown)
	n.log.Info("name server listens", "address", n.names.Addr(), "acceptsBrokers", accept)
	return nil
}
