// Package otlp is a second, optional way out for the trail: a sample of the spans that ClickHouse shows as otel_traces, sent
// to any OpenTelemetry receiver through the SDK's exporters, with the same ids, names and parents.
//
// Words: a span is one step of one message. A message is sampled by a hash of its identity, so that all of its spans go or
// none does, on every node. A remembered message is a sampled one whose deliveries may still come: ranges name offsets, and
// only by remembering which messages they are can they become spans. An early delivery is one that comes before its messages;
// it waits for them.
//
// Invariants: who derives rows never waits: what does not fit is dropped and counted. Memory is bounded by Queue spans and
// Remember messages; the oldest are forgotten, and what then comes of them is counted as unmatched. Blocks that a restart
// makes again are sent again, with the same ids.
//
// Goroutines: Run is one and owns the exporter. The Sink's methods belong to the one goroutine that derives; Stats may be
// called by any.
//
// The span of a wait (schedule) is sent when the message is fired or cancelled.
//
// Files: sink.go (rows to spans), timing.go (parked copies, retries, dead letters), memory.go (remembered messages), early.go (deliveries before messages), export.go (Run, exporters).
package otlp
