-- The histogram above ClickStack's results.
SELECT count(), StatusCode as severity, toStartOfInterval(toDateTime(Timestamp), INTERVAL 1 minute) AS __hdx_time_bucket
FROM {{.DB}}.otel_traces
WHERE (Timestamp >= fromUnixTimestamp64Milli({{.FromMillis}}) AND Timestamp <= fromUnixTimestamp64Milli({{.ToMillis}}))
GROUP BY severity, __hdx_time_bucket ORDER BY __hdx_time_bucket LIMIT 100000
