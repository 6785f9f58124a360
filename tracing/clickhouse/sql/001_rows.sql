-- The trail's rows. Times are µs; 1970-01-01 stands for "not recorded". In a message, trace_in is the context that it
-- brought, zero bytes when it brought none: then the trace id is derived from the identity.
--
-- A range of offsets (a delivery, a settlement) is stored in pieces, one per bucket of 256 offsets that it touches, so that
-- ranges and messages meet in plain columns: a lookup by offset reads one bucket, and a join may begin at either side. The
-- first piece has number 0; sums count that one. Ranges without a known begin and very long ones are one row in bucket -1.
--
-- Ranges are ordered by time first: a search by time then reads, and a join builds from, little of them. A lookup by offset
-- is bounded by by_bucket, because the offsets of all queues grow with time.
--
-- started is the begin of a row's span as otel_traces names it: a plain column, because the server estimates which side of a
-- join is small from filters on plain columns only.
--
-- The expression of by_trace must hold no constant that the server folds (toFixedString('', 16) would be one): such an
-- index is silently not used.

CREATE TABLE IF NOT EXISTS {{.DB}}.messages {{.OnCluster}} (
    id              String CODEC(ZSTD(1)),
    topic           LowCardinality(String),
    tag             LowCardinality(String),
    keys            Array(String) CODEC(ZSTD(1)),
    type            LowCardinality(String),
    queue_id        Int32 CODEC(T64, ZSTD(1)),
    queue_offset    Int64 CODEC(Delta(8), ZSTD(1)),
    position        Int64 CODEC(Delta(8), ZSTD(1)),
    log_index       UInt64 CODEC(Delta(8), ZSTD(1)),
    term            UInt64 CODEC(T64, ZSTD(1)),
    stored_bytes    UInt32 CODEC(T64, ZSTD(1)),
    body_bytes      UInt32 CODEC(T64, ZSTD(1)),
    sys_flag        Int32 CODEC(T64, ZSTD(1)),
    reconsume_times Int32 CODEC(T64, ZSTD(1)),
    producer_group  LowCardinality(String),
    producer_client LowCardinality(String),
    producer_addr   LowCardinality(String),
    language        LowCardinality(String),
    version         LowCardinality(String),
    protocol        LowCardinality(String),
    broker          LowCardinality(String),
    node            LowCardinality(String),
    born            DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    received        DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    appended        DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    synced          DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    acked           DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    origin_id       String CODEC(ZSTD(1)),
    trace_in        FixedString(16) CODEC(ZSTD(1)),
    parent_in       FixedString(8) CODEC(ZSTD(1)),
    trace_flags     UInt8 CODEC(T64, ZSTD(1)),
    trace_carrier   LowCardinality(String),
    trace_raw       String CODEC(ZSTD(1)),
    store_key       LowCardinality(String),
    bucket          Int64 MATERIALIZED intDiv(queue_offset, {{bucketSize}}) CODEC(Delta(8), ZSTD(1)),
    offset_id       String ALIAS concat(store_key, leftPad(hex(position), 16, '0')),
    trace_id        String ALIAS lower(hex(if(empty(trace_in), sipHash128Reference(id), trace_in))),
    INDEX by_id id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_trace lower(hex(if(empty(trace_in), sipHash128Reference(id), trace_in))) TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_key keys TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_position position TYPE minmax GRANULARITY 1,
    INDEX by_time appended TYPE minmax GRANULARITY 1,
    INDEX by_start {{start}} TYPE minmax GRANULARITY 1
) ENGINE = {{engine "MergeTree"}}
PARTITION BY toDate(appended)
ORDER BY (topic, toStartOfMinute(appended), queue_id, queue_offset)
{{ttl "appended"}}
{{settings}};

CREATE TABLE IF NOT EXISTS {{.DB}}.deliveries {{.OnCluster}} (
    topic        LowCardinality(String),
    queue_id     Int32 CODEC(T64, ZSTD(1)),
    from_offset  Int64 CODEC(Delta(8), ZSTD(1)),
    to_offset    Int64 CODEC(Delta(8), ZSTD(1)),
    again_to     Int64 CODEC(Delta(8), ZSTD(1)),
    group_name   LowCardinality(String),
    client       LowCardinality(String),
    addr         LowCardinality(String),
    language     LowCardinality(String),
    version      LowCardinality(String),
    protocol     LowCardinality(String),
    node         LowCardinality(String),
    requested    DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    sent         DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    waited       Int64 CODEC(T64, ZSTD(1)),
    messages     UInt32 CODEC(T64, ZSTD(1)),
    filtered     UInt32 CODEC(T64, ZSTD(1)),
    skipped      Array(Int64) CODEC(ZSTD(1)),
    bytes        UInt64 CODEC(T64, ZSTD(1)),
    attempt      UInt16 CODEC(T64, ZSTD(1)),
    subscription LowCardinality(String),
    bucket       Int64 CODEC(Delta(8), ZSTD(1)),
    piece        UInt32 CODEC(T64, ZSTD(1)),
    started      DateTime64(9) MATERIALIZED addMicroseconds(requested, waited) CODEC(Delta(8), ZSTD(1)),
    INDEX by_bucket bucket TYPE minmax GRANULARITY 1,
    INDEX by_time sent TYPE minmax GRANULARITY 1,
    INDEX by_start started TYPE minmax GRANULARITY 1
) ENGINE = {{engine "MergeTree"}}
PARTITION BY toDate(sent)
ORDER BY (toStartOfTenMinutes(sent), topic, queue_id, bucket, group_name)
{{ttl "sent"}}
{{settings}};

CREATE TABLE IF NOT EXISTS {{.DB}}.settlements {{.OnCluster}} (
    topic       LowCardinality(String),
    queue_id    Int32 CODEC(T64, ZSTD(1)),
    from_offset Int64 CODEC(Delta(8), ZSTD(1)),
    to_offset   Int64 CODEC(Delta(8), ZSTD(1)),
    again_to    Int64 CODEC(Delta(8), ZSTD(1)),
    group_name  LowCardinality(String),
    outcome     LowCardinality(String),
    client      LowCardinality(String),
    node        LowCardinality(String),
    at          DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    position    Int64 CODEC(Delta(8), ZSTD(1)),
    bucket      Int64 CODEC(Delta(8), ZSTD(1)),
    piece       UInt32 CODEC(T64, ZSTD(1)),
    started     DateTime64(9) MATERIALIZED at CODEC(Delta(8), ZSTD(1)),
    INDEX by_bucket bucket TYPE minmax GRANULARITY 1,
    INDEX by_time at TYPE minmax GRANULARITY 1,
    INDEX by_start started TYPE minmax GRANULARITY 1
) ENGINE = {{engine "MergeTree"}}
PARTITION BY toDate(at)
ORDER BY (toStartOfTenMinutes(at), topic, queue_id, bucket, group_name)
{{ttl "at"}}
{{settings}};

CREATE TABLE IF NOT EXISTS {{.DB}}.steps {{.OnCluster}} (
    id         String CODEC(ZSTD(1)),
    name       LowCardinality(String),
    topic      LowCardinality(String),
    group_name LowCardinality(String),
    client     LowCardinality(String),
    addr       LowCardinality(String),
    at         DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    recorded   DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    duration   Int64 CODEC(T64, ZSTD(1)),
    attempt    UInt16 CODEC(T64, ZSTD(1)),
    status     LowCardinality(String),
    error      LowCardinality(String),
    source     LowCardinality(String),
    detail     String CODEC(ZSTD(1)),
    position   Int64 CODEC(Delta(8), ZSTD(1)),
    started    DateTime64(9) MATERIALIZED at CODEC(Delta(8), ZSTD(1)),
    INDEX by_start started TYPE minmax GRANULARITY 1
) ENGINE = {{engine "MergeTree"}}
PARTITION BY toDate(recorded)
ORDER BY (id, recorded)
{{ttl "recorded"}}
{{settings}};

CREATE TABLE IF NOT EXISTS {{.DB}}.happenings {{.OnCluster}} (
    at         DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    kind       LowCardinality(String),
    topic      LowCardinality(String),
    group_name LowCardinality(String),
    client     LowCardinality(String),
    addr       LowCardinality(String),
    node       LowCardinality(String),
    text       String CODEC(ZSTD(1)),
    count      UInt32 CODEC(T64, ZSTD(1)),
    detail     Map(String, String) CODEC(ZSTD(1))
) ENGINE = {{engine "MergeTree"}}
PARTITION BY toDate(at)
ORDER BY (at, kind)
{{ttl "at"}}
{{settings}};

CREATE TABLE IF NOT EXISTS {{.DB}}.ship_log {{.OnCluster}} (
    at            DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    node          LowCardinality(String),
    source        LowCardinality(String),
    from_position Int64 CODEC(Delta(8), ZSTD(1)),
    to_position   Int64 CODEC(Delta(8), ZSTD(1)),
    from_time     DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    to_time       DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    rows          UInt64 CODEC(T64, ZSTD(1)),
    not_recorded  UInt64 CODEC(T64, ZSTD(1)),
    reason        LowCardinality(String),
    topic         LowCardinality(String),
    block         String CODEC(ZSTD(1))
) ENGINE = {{engine "MergeTree"}}
PARTITION BY toStartOfMonth(at)
ORDER BY (node, source, from_position, topic)
{{ttlLong "at"}}
{{settings}};
