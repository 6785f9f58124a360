// Package telemetry tells what this process itself does, through the OpenTelemetry SDK: spans to an OTLP receiver that a
// configuration names, metrics through the SDK's Prometheus exporter into the registry that /metrics serves.
//
// Words: an operation is something that the process does beside messages: recovering its log, starting the trail's engine,
// shipping a block, sealing a segment, answering the console's API. A sink is where spans go: "process" is this package's,
// "trail" is tracing/otlp's.
//
// Invariants: nothing here is on a message's way: operations happen at most a few times a second, and are told after they
// ended. Without an endpoint no span is made and nothing leaves the process. Who tells an operation never waits: spans that
// do not fit into the queue are dropped and counted. Without Setup all functions do nothing.
//
// Providers are the SDK's global ones, because the SDK's own instrumentation and that of libraries asks for those.
//
// Goroutines: the SDK's batch processor has one while there is an endpoint.
//
// Files: setup.go (providers), operations.go (spans and durations), queue.go (what the queue drops), sinks.go (counters).
package telemetry
