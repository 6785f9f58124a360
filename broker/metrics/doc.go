// Package metrics tells the broker's numbers to Prometheus: under RocketMQ 5's own names, so that dashboards and alerts made
// for it work, and what is ours alone under contrail_.
//
// Words: a source is asked at scrape time; nothing is counted twice. A suffixed name carries its unit
// (rocketmq_rpc_latency_milliseconds), as scrapes of the Java broker really show; the documented name does not: both are
// served unless told otherwise.
//
// Invariants: nothing here is on a message's way but RPCLatency.Observe, which neither locks nor allocates. A scrape has at
// most SeriesMax series per family; what is left out is counted (contrail_metrics_series_dropped_total). The names are a promise:
// testdata/metrics.txt holds them all.
//
// What the broker does not have is 0 where dashboards expect it (processor watermarks: there are no thread pools), and absent
// elsewhere.
//
// Goroutines: none.
package metrics
