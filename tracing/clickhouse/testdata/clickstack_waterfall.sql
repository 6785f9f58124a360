-- A trace's waterfall as ClickStack asks for it.
SELECT SpanName as Body, Timestamp, (Duration) / 1e9 as Duration, SpanId, ParentSpanId, StatusCode, ServiceName, SpanAttributes, ResourceAttributes, SpanKind
FROM {{.DB}}.otel_traces
WHERE (Timestamp >= fromUnixTimestamp64Milli({{.FromMillis}}) AND Timestamp <= fromUnixTimestamp64Milli({{.ToMillis}})) AND TraceId = '{{.Trace}}'
ORDER BY Timestamp ASC LIMIT 50000 OFFSET 0
