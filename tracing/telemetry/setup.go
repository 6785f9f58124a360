package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/contrailmq/contrail/tracing/otlp"
)

// Protocols of OTLP.
const (
	ProtocolGRPC = "grpc"
	ProtocolHTTP = "http"
)

// scope is the instrumentation scope of all spans and metrics.
const scope = "github.com/contrailmq/contrail"

// Options of Setup.
type Options struct {
	Endpoint   string // http(s)://host:port; "": no spans are made
	Protocol   string // ProtocolGRPC or ProtocolHTTP
	Headers    map[string]string
	Service    []attribute.KeyValue  // of the process: service.name and the like
	Registerer prometheus.Registerer // nil: no metrics
	Logger     *slog.Logger
}

// process is what Setup made.
type process struct {
	tracer trace.Tracer
	meters *meters
	stops  []func(context.Context) error
}

// current is nil before Setup and after its shutdown.
var current atomic.Pointer[process]

// Setup makes the SDK's global providers. shutdown exports what waits, within its context, and switches all off.
func Setup(ctx context.Context, o Options) (shutdown func(context.Context) error, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	about, err := resource.Merge(resource.Default(), resource.NewSchemaless(o.Service...))
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	otel.SetErrorHandler(&complaints{log: o.Logger})
	p := &process{tracer: noop.NewTracerProvider().Tracer(scope)}
	if err := errors.Join(p.metrics(o, about), p.spans(ctx, o, about)); err != nil {
		return nil, fmt.Errorf("telemetry: %w", errors.Join(err, p.stop(ctx)))
	}
	current.Store(p)
	return p.stop, nil
}

// stop is Setup's shutdown.
func (p *process) stop(ctx context.Context) error {
	current.CompareAndSwap(p, nil)
	var errs error
	for _, stop := range slices.Backward(p.stops) { // spans first: their last numbers are counted
		errs = errors.Join(errs, stop(ctx))
	}
	otel.SetTracerProvider(noop.NewTracerProvider())
	otel.SetMeterProvider(metricnoop.NewMeterProvider())
	unwatch()
	return errs
}

// metrics is before spans: what the SDK makes for those counts itself with the global meters.
func (p *process) metrics(o Options, about *resource.Resource) error {
	if o.Registerer == nil {
		return nil
	}
	reader, err := exporter.New(exporter.WithRegisterer(o.Registerer), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo())
	if err != nil {
		return err
	}
	exports := metric.NewView(metric.Instrument{Name: "otel.sdk.exporter.operation.duration"}, // its default bounds are made for ms, it counts s
		metric.Stream{Aggregation: metric.AggregationExplicitBucketHistogram{Boundaries: requestBounds}})
	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(about), metric.WithView(exports))
	p.stops = append(p.stops, provider.Shutdown)
	otel.SetMeterProvider(provider)
	p.meters, err = newMeters(provider.Meter(scope))
	return err
}

// spans makes the provider of spans that go to the endpoint.
func (p *process) spans(ctx context.Context, o Options, about *resource.Resource) error {
	if o.Endpoint == "" {
		return nil
	}
	address, err := Address(o.Endpoint, o.Protocol)
	if err != nil {
		return err
	}
	e, err := otlp.Exporter(ctx, address, o.Headers)
	if err != nil {
		return err
	}
	q := newQueue(e)
	Watch("process", q.stats)
	provider := sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithSpanProcessor(q))
	p.stops = append(p.stops, provider.Shutdown)
	otel.SetTracerProvider(provider)
	p.tracer = provider.Tracer(scope)
	return nil
}

// Address gives the form of tracing/otlp for an endpoint and a protocol. A wrong one is named, without what might be secret
// in it.
func Address(endpoint, protocol string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", fmt.Errorf("endpoint: %q; possible are http://host:port and https://host:port", redacted(endpoint))
	}
	switch protocol {
	case ProtocolHTTP:
		if strings.Trim(u.Path, "/") == "" {
			u.Path = "/v1/traces"
		}
		return u.String(), nil
	case ProtocolGRPC:
		if strings.Trim(u.Path, "/") != "" {
			return "", fmt.Errorf("endpoint: %q; with grpc there is no path", redacted(endpoint))
		}
		if u.Scheme == "https" {
			return "grpcs://" + u.Host, nil
		}
		return "grpc://" + u.Host, nil
	}
	return "", fmt.Errorf("protocol: %q; possible are grpc, http", protocol)
}

// redacted hides what may be a password or a token.
func redacted(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "…"
	}
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	if u.User != nil {
		u.User = url.User("…")
	}
	return u.String()
}

// complainEvery bounds how often the SDK's errors are logged: a receiver that is away gives one with each batch.
const complainEvery = time.Minute

// complaints takes the SDK's errors.
type complaints struct {
	log  *slog.Logger
	last atomic.Int64 // ns
}

// Handle implements otel.ErrorHandler.
func (c *complaints) Handle(err error) {
	now, last := time.Now().UnixNano(), c.last.Load()
	if now-last < int64(complainEvery) || !c.last.CompareAndSwap(last, now) {
		return
	}
	c.log.Warn("telemetry of this process fails; more of this is not logged for a minute, the counters go on", "err", err)
}
