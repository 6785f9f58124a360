-- ClickStack's search with a filter on an attribute.
SELECT Timestamp, ServiceName, StatusCode, round(Duration / 1e6) as duration_ms, SpanName
FROM {{.DB}}.otel_traces
WHERE (Timestamp >= fromUnixTimestamp64Milli({{.FromMillis}}) AND Timestamp <= fromUnixTimestamp64Milli({{.ToMillis}}))
AND (SpanAttributes['messaging.consumer.group.name'] = 'billing')
ORDER BY Timestamp DESC LIMIT 200 OFFSET 0
