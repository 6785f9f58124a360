-- The attribute names that ClickStack offers.
SELECT groupUniqArrayArray(1000)(mapKeys(SpanAttributes)) as keysArr FROM {{.DB}}.otel_traces
WHERE (Timestamp >= fromUnixTimestamp64Milli({{.FromMillis}}) AND Timestamp <= fromUnixTimestamp64Milli({{.ToMillis}}))
