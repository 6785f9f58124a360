-- Minute sums by topic, group and step; charts read these. buckets is a histogram of durations: bucket b counts
-- those of 2^(b/4) to 2^((b+1)/4) µs. What has no duration is counted and is in no bucket.

CREATE TABLE IF NOT EXISTS {{.DB}}.rollup_minute {{.OnCluster}} (
    minute     DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    topic      LowCardinality(String),
    group_name LowCardinality(String),
    step       LowCardinality(String),
    count      SimpleAggregateFunction(sum, UInt64),
    errors     SimpleAggregateFunction(sum, UInt64),
    bytes      SimpleAggregateFunction(sum, UInt64),
    micros     SimpleAggregateFunction(sum, UInt64),
    micros_max SimpleAggregateFunction(max, UInt64),
    buckets    SimpleAggregateFunction(sumMap, Map(UInt8, UInt64))
) ENGINE = {{engine "AggregatingMergeTree"}}
PARTITION BY toStartOfMonth(minute)
ORDER BY (topic, group_name, step, minute)
{{ttlLong "minute"}}
{{settings}};

CREATE MATERIALIZED VIEW IF NOT EXISTS {{.DB}}.rollup_minute_store {{.OnCluster}} TO {{.DB}}.rollup_minute AS
WITH acked > received AND toUnixTimestamp64Micro(received) > 0 AS known,
     toUInt64(if(known, dateDiff('microsecond', received, acked), 0)) AS took
SELECT toStartOfMinute(toDateTime(appended, 'UTC')) AS minute, topic, '' AS group_name, 'store' AS step,
    count() AS count, toUInt64(0) AS errors, sum(stored_bytes) AS bytes, sum(took) AS micros, max(took) AS micros_max,
    sumMapIf(map({{bucket "took"}}, toUInt64(1)), known) AS buckets
FROM {{.DB}}.messages GROUP BY minute, topic, group_name, step;

CREATE MATERIALIZED VIEW IF NOT EXISTS {{.DB}}.rollup_minute_deliver {{.OnCluster}} TO {{.DB}}.rollup_minute AS
WITH toUInt64(greatest(0, dateDiff('microsecond', requested, sent) - waited)) AS took
SELECT toStartOfMinute(toDateTime(sent, 'UTC')) AS minute, topic, group_name, 'deliver' AS step,
    sum(d.messages) AS count, toUInt64(0) AS errors, sum(d.bytes) AS bytes, sum(took) AS micros, max(took) AS micros_max,
    sumMap(map({{bucket "took"}}, toUInt64(1))) AS buckets
FROM {{.DB}}.deliveries AS d WHERE piece = 0 GROUP BY minute, topic, group_name, step;

CREATE MATERIALIZED VIEW IF NOT EXISTS {{.DB}}.rollup_minute_ack {{.OnCluster}} TO {{.DB}}.rollup_minute AS
SELECT toStartOfMinute(toDateTime(at, 'UTC')) AS minute, topic, group_name, 'ack' AS step,
    sum(toUInt64(to_offset - from_offset)) AS count, toUInt64(0) AS errors, toUInt64(0) AS bytes, toUInt64(0) AS micros, toUInt64(0) AS micros_max,
    CAST(map(), 'Map(UInt8, UInt64)') AS buckets
FROM {{.DB}}.settlements WHERE outcome = 'acknowledged' AND from_offset >= 0 AND piece = 0 GROUP BY minute, topic, group_name, step;

CREATE MATERIALIZED VIEW IF NOT EXISTS {{.DB}}.rollup_minute_steps {{.OnCluster}} TO {{.DB}}.rollup_minute AS
WITH toUInt64(greatest(duration, 0)) AS took
SELECT toStartOfMinute(toDateTime(recorded, 'UTC')) AS minute, topic, group_name, name AS step,
    count() AS count, countIf(status = 'Error') AS errors, toUInt64(0) AS bytes, sum(took) AS micros, max(took) AS micros_max,
    sumMapIf(map({{bucket "took"}}, toUInt64(1)), duration >= 0) AS buckets
FROM {{.DB}}.steps WHERE name != 'process' OR duration >= 0 GROUP BY minute, topic, group_name, step;
