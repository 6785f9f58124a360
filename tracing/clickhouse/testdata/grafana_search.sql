-- The list of traces as Grafana's ClickHouse plugin asks for it: roots in a time span, newest first.
SELECT "TraceId" as traceID, "ServiceName" as serviceName, "SpanName" as operationName,
multiply(toUnixTimestamp64Nano("Timestamp"), 0.000001) as startTime, multiply("Duration", 0.000001) as duration
FROM "{{.DB}}"."otel_traces"
WHERE ( Timestamp >= fromUnixTimestamp64Milli({{.FromMillis}}) AND Timestamp <= fromUnixTimestamp64Milli({{.ToMillis}}) )
AND ( ParentSpanId = '' ) AND ( Duration >= 0 )
ORDER BY Timestamp DESC, Duration DESC LIMIT 1000
