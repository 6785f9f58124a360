package otlp

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// Exporter makes the SDK's exporter for an address: http(s)://host:4318/v1/traces or grpc(s)://host:4317.
func Exporter(ctx context.Context, address string, headers map[string]string) (*otlptrace.Exporter, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("otlp: %q is no address like http://host:4318/v1/traces or grpc://host:4317", address)
	}
	switch u.Scheme {
	case "http", "https":
		return otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(address), otlptracehttp.WithHeaders(headers))
	case "grpc":
		return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(u.Host), otlptracegrpc.WithInsecure(), otlptracegrpc.WithHeaders(headers))
	case "grpcs":
		return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(u.Host), otlptracegrpc.WithHeaders(headers))
	}
	return nil, fmt.Errorf("otlp: %q: http, https, grpc and grpcs are possible", address)
}

// exportEvery bounds how long a span waits for its batch to fill.
const exportEvery = time.Second

// Run exports until ctx ends, then what waits, and shuts the exporter down.
func (s *Sink) Run(ctx context.Context) error {
	batch := make([]sdk.ReadOnlySpan, 0, s.o.Batch)
	whole := context.WithoutCancel(ctx) // a batch on its way is not given up: its own timeout bounds it
	tick := time.NewTicker(exportEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case span := <-s.spans:
			if batch = append(batch, span); len(batch) == s.o.Batch {
				batch = s.export(whole, batch)
			}
		case <-tick.C:
			batch = s.export(whole, batch)
		case <-ctx.Done():
		}
	}
	last, cancel := context.WithTimeout(whole, s.o.Timeout)
	defer cancel()
	for {
		select {
		case span := <-s.spans:
			if batch = append(batch, span); len(batch) == s.o.Batch {
				batch = s.export(last, batch)
			}
			continue
		default:
		}
		break
	}
	s.export(last, batch)
	if err := s.o.Exporter.Shutdown(last); err != nil {
		s.o.Logger.Warn("otlp exporter", "err", err)
	}
	return ctx.Err()
}

// export sends a batch. The exporter itself tries again within the timeout; what then is left is lost here: ClickHouse has it.
func (s *Sink) export(ctx context.Context, batch []sdk.ReadOnlySpan) []sdk.ReadOnlySpan {
	if len(batch) == 0 {
		return batch
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	if err := s.o.Exporter.ExportSpans(ctx, batch); err != nil {
		s.failed.Add(uint64(len(batch)))
		s.o.Logger.Warn("spans not exported", "spans", len(batch), "err", err)
	} else {
		s.exported.Add(uint64(len(batch)))
	}
	clear(batch)
	return batch[:0]
}
