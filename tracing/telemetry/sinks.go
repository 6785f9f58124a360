package telemetry

import (
	"context"
	"maps"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/contrailmq/contrail/tracing/otlp"
)

// sinks are asked for their totals at a scrape.
var sinks struct {
	sync.Mutex
	stats map[string]func() otlp.Stats
}

// Watch tells a sink's totals in /metrics until Setup's shutdown. A later one of the same name takes its place.
func Watch(sink string, stats func() otlp.Stats) {
	sinks.Lock()
	defer sinks.Unlock()
	if sinks.stats == nil {
		sinks.stats = map[string]func() otlp.Stats{}
	}
	sinks.stats[sink] = stats
}

func unwatch() {
	sinks.Lock()
	defer sinks.Unlock()
	sinks.stats = nil
}

func watched() map[string]func() otlp.Stats {
	sinks.Lock()
	defer sinks.Unlock()
	return maps.Clone(sinks.stats)
}

// meters are the process's instruments.
type meters struct {
	operation metric.Float64Histogram
	request   metric.Float64Histogram
}

// Bounds of durations, seconds. A recovery takes minutes, a seal milliseconds.
var (
	operationBounds = []float64{0.001, 0.01, 0.1, 0.5, 1, 5, 30, 120, 600}
	requestBounds   = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
)

func newMeters(m metric.Meter) (*meters, error) {
	var v meters
	var err error
	if v.operation, err = m.Float64Histogram("contrail.operation.duration", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(operationBounds...),
		metric.WithDescription("How long the process's own operations took: recover, engine, ship, seal.")); err != nil {
		return nil, err
	}
	if v.request, err = m.Float64Histogram("http.server.request.duration", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(requestBounds...),
		metric.WithDescription("How long the console's API took to answer.")); err != nil {
		return nil, err
	}
	_, err = m.Int64ObservableCounter("contrail.otlp.spans", metric.WithUnit("{span}"), metric.WithInt64Callback(observeSinks),
		metric.WithDescription("Spans for OTLP receivers, by what became of them."))
	return &v, err
}

func observeSinks(_ context.Context, o metric.Int64Observer) error {
	for sink, stats := range watched() {
		s := stats()
		for outcome, n := range map[string]uint64{"exported": s.Exported, "dropped": s.Dropped, "failed": s.Failed, "unmatched": s.Unmatched} {
			o.Observe(int64(n), metric.WithAttributes(attribute.String("sink", sink), attribute.String("outcome", outcome)))
		}
	}
	return nil
}
