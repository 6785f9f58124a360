package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"

	"github.com/contrailmq/contrail/tracing/otlp"
	"github.com/contrailmq/contrail/tracing/telemetry"
	"github.com/contrailmq/contrail/tracing/trail"
)

// receiver is an OpenTelemetry receiver.
type receiver struct {
	Endpoint string            `yaml:"endpoint"` // http(s)://host:port; empty: nothing is sent
	Protocol string            `yaml:"protocol"` // grpc or http
	Headers  map[string]string `yaml:"headers"`  // of each request; they may be secret, so they are never told
}

// trailReceiver gets a sample of the messages' spans.
type trailReceiver struct {
	receiver `yaml:",inline"`
	Sample   float64 `yaml:"sample"` // of messages, 0 to 1
}

const sampleDefault = 0.01

// check names the field, its value and what is possible.
func (r *receiver) check(field string) error {
	if r.Protocol != telemetry.ProtocolGRPC && r.Protocol != telemetry.ProtocolHTTP {
		return fmt.Errorf("%s.protocol: %q; possible are grpc, http", field, r.Protocol)
	}
	for name := range r.Headers {
		if !isHeaderName(name) {
			return fmt.Errorf("%s.headers: %q; letters, digits, - and _ are possible in a name", field, name)
		}
		if strings.ContainsAny(r.Headers[name], "\r\n\x00") {
			return fmt.Errorf("%s.headers.%s: the value has a line break; one line is possible", field, name)
		}
	}
	if r.Endpoint == "" {
		return nil
	}
	if _, err := telemetry.Address(r.Endpoint, r.Protocol); err != nil {
		return fmt.Errorf("%s.%w", field, err)
	}
	return nil
}

func isHeaderName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}

func (c *config) checkTelemetry() error {
	t := &c.Trail.OTLP
	if err := errors.Join(c.Telemetry.check("telemetry"), t.check("trail.otlp")); err != nil {
		return err
	}
	if !(t.Sample >= 0 && t.Sample <= 1) { // NaN is neither
		return fmt.Errorf("trail.otlp.sample: %v; from 0 to 1 are possible", t.Sample)
	}
	if t.Endpoint != "" && c.Trail.Engine == trailOff {
		return errors.New("trail.otlp.endpoint: the spans are made of the trail, and trail.engine is off; possible are another engine or no endpoint")
	}
	return nil
}

// selfMetrics is the SDK's switch for counters of its own queues and exporters.
const selfMetrics = "OTEL_GO_X_OBSERVABILITY"

// farewell bounds how long a stop waits for each receiver: what clients wait for needs the time of the stop more.
const farewell = 2 * time.Second

// startTelemetry comes first, so that the start itself is told. Its metrics wait in a registry of their own until there is
// one that is served.
func (n *node) startTelemetry(ctx context.Context) error {
	if _, set := os.LookupEnv(selfMetrics); !set {
		if err := os.Setenv(selfMetrics, "true"); err != nil {
			return fmt.Errorf("telemetry: %w", err)
		}
	}
	n.own = prometheus.NewRegistry()
	t := &n.conf.Telemetry
	stop, err := telemetry.Setup(ctx, telemetry.Options{
		Endpoint: t.Endpoint, Protocol: t.Protocol, Headers: t.Headers, Logger: n.log,
		Service: []attribute.KeyValue{
			attribute.String("service.name", "contrail"), attribute.String("service.version", version), attribute.String("service.instance.id", n.conf.Node),
			attribute.String("rocketmq.cluster", n.conf.Cluster), attribute.String("rocketmq.broker", n.conf.Broker),
		},
		// The labels that all of this process's metrics have.
		Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"cluster": n.conf.Cluster, "node_type": "broker", "node_id": n.conf.Node}, n.own),
	})
	if err != nil {
		return err
	}
	n.onStop(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, farewell)
		defer cancel()
		if err := stop(ctx); err != nil { // what was not told of a good stop does not make it a bad one
			n.log.Warn("the last of this process's telemetry was not sent", "err", err)
		}
		return nil
	})
	if t.Endpoint != "" {
		n.log.Info("this process tells of itself", "endpoint", t.Endpoint, "protocol", t.Protocol)
	}
	return nil
}

// startTee gives the sink that sends a sample of the trail's spans on; nil when none is configured.
func (n *node) startTee(ctx context.Context) (trail.Sink, error) {
	t := &n.conf.Trail.OTLP
	if t.Endpoint == "" {
		return nil, nil
	}
	address, err := telemetry.Address(t.Endpoint, t.Protocol)
	if err != nil {
		return nil, fmt.Errorf("trail.otlp.%w", err)
	}
	exporter, err := otlp.Exporter(ctx, address, t.Headers)
	if err != nil {
		return nil, fmt.Errorf("trail.otlp: %w", err)
	}
	sink, err := otlp.New(otlp.Options{Exporter: exporter, Ratio: t.Sample, Honour: true, Logger: n.log})
	if err != nil {
		return nil, fmt.Errorf("trail.otlp: %w", err)
	}
	telemetry.Watch("trail", sink.Stats)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it ends after the shipper, which fills it
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = sink.Run(ctx) // its error is ctx's
	}()
	n.onStop(func(stopping context.Context) error {
		cancel()
		stopping, done := context.WithTimeout(stopping, farewell)
		defer done()
		select {
		case <-ended:
		case <-stopping.Done():
			n.log.Warn("the last spans of messages were not sent", "stats", sink.Stats())
		}
		return nil
	})
	n.log.Info("spans of messages are sent on", "endpoint", t.Endpoint, "protocol", t.Protocol, "sample", t.Sample)
	return sink, nil
}
