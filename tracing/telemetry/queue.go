package telemetry

import (
	"context"
	"sync/atomic"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/contrailmq/contrail/tracing/otlp"
)

// Limits of the queue.
const (
	queueMax      = 2048
	batchMax      = 512
	exportEvery   = time.Second
	exportTimeout = 10 * time.Second
)

// queue is the SDK's batch processor behind a door that counts: the SDK drops silently what does not fit. The door lets in
// no more than fit, so that what it refuses is all that is dropped.
type queue struct {
	sdk.SpanProcessor
	waiting                   atomic.Int64
	exported, dropped, failed atomic.Uint64
}

func newQueue(to sdk.SpanExporter) *queue {
	q := &queue{}
	q.SpanProcessor = sdk.NewBatchSpanProcessor(counting{to, q}, sdk.WithMaxQueueSize(queueMax), sdk.WithMaxExportBatchSize(batchMax),
		sdk.WithBatchTimeout(exportEvery), sdk.WithExportTimeout(exportTimeout))
	return q
}

// OnEnd implements sdk.SpanProcessor.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return // the processor would leave it out, and it would never be taken off the count
	}
	if q.waiting.Add(1) > queueMax {
		q.waiting.Add(-1)
		q.dropped.Add(1)
		return
	}
	q.SpanProcessor.OnEnd(s)
}

func (q *queue) stats() otlp.Stats {
	return otlp.Stats{Exported: q.exported.Load(), Dropped: q.dropped.Load(), Failed: q.failed.Load()}
}

// counting is the exporter with counters.
type counting struct {
	sdk.SpanExporter
	q *queue
}

// ExportSpans implements sdk.SpanExporter.
func (c counting) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	c.q.waiting.Add(-int64(len(spans)))
	if err != nil {
		c.q.failed.Add(uint64(len(spans)))
	} else {
		c.q.exported.Add(uint64(len(spans)))
	}
	return err
}
