package telemetry

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Recovered tells that the log was opened and its state restored, up to an entry.
func Recovered(began time.Time, dir string, entry uint64, err error) {
	operation("recover", began, err, attribute.String("contrail.log.dir", dir), attribute.Int64("contrail.log.entry", int64(entry)))
}

// EngineStarted tells that the trail's engine was started and answers, or why not.
func EngineStarted(began time.Time, library string, err error) {
	operation("engine", began, err, attribute.String("contrail.engine.library", library))
}

// Shipped tells that a block of the trail was written, or given up; tries counts writes to the store that failed too.
func Shipped(began time.Time, rows, bytes, tries int, err error) {
	operation("ship", began, err, attribute.Int("contrail.block.rows", rows), attribute.Int("contrail.block.bytes", bytes), attribute.Int("contrail.block.tries", tries))
}

// Sealed tells that the sidecar and the checkpoint of a segment were written.
func Sealed(began time.Time, segment uint64, err error) {
	operation("seal", began, err, attribute.Int64("contrail.segment", int64(segment)))
}

// operation makes a span of what has ended, and counts its duration.
func operation(name string, began time.Time, err error, attributes ...attribute.KeyValue) {
	p := current.Load()
	if p == nil {
		return
	}
	ended, outcome := time.Now(), "ok"
	if err != nil {
		outcome = "failed"
	}
	_, span := p.tracer.Start(context.Background(), "contrail "+name, trace.WithNewRoot(), trace.WithTimestamp(began), trace.WithAttributes(attributes...))
	span.SetAttributes(attribute.String("contrail.outcome", outcome))
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End(trace.WithTimestamp(ended))
	if p.meters != nil {
		p.meters.operation.Record(context.Background(), ended.Sub(began).Seconds(),
			metric.WithAttributes(attribute.String("operation", name), attribute.String("outcome", outcome)))
	}
}

// Served tells that the console's API answered. route is the template: what a user looked for is not told.
func Served(began time.Time, method, route string, status int) {
	p := current.Load()
	if p == nil {
		return
	}
	ended := time.Now()
	attributes := []attribute.KeyValue{
		attribute.String("http.request.method", method), attribute.String("http.route", route), attribute.Int("http.response.status_code", status),
	}
	_, span := p.tracer.Start(context.Background(), method+" "+route, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithTimestamp(began), trace.WithAttributes(attributes...))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, http.StatusText(status))
	}
	span.End(trace.WithTimestamp(ended))
	if p.meters != nil {
		p.meters.request.Record(context.Background(), ended.Sub(began).Seconds(), metric.WithAttributes(attributes...))
	}
}
