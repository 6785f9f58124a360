-- The trail in the layout of the OpenTelemetry collector's ClickHouse exporter (otel_traces, v0.161), for Grafana's
-- ClickHouse plugin and ClickStack. Ranges are expanded when they are read: the pieces of a range and the messages in it
-- meet in buckets of offsets. Both sides of each join are plain tables, and a range's begin is a plain column, so that the
-- server estimates which side a query's filter makes small and builds from it: the messages of one trace, or the deliveries
-- of a time span. Messages stand on the left, because a built right side that is empty ends a join at once, and a time span
-- without deliveries is common.
--
-- Parents: a store is the root, or has the parent that the message brought; a retry's store hangs under the delivery
-- before it. What a commit settles says nothing about an attempt, so ack hangs under store. Span ids: package trail.
--
-- Every broker group has a queue of a number: ranges belong to the messages of their own one. Ranges of versions that did not say whose they
-- are (before migration 7) are taken for any.
--
-- A parked copy is a store in the topic that it waits for, with a schedule below: from the store until due, as planned, even when it was
-- cancelled (recall). What was fired is no store but a fire, below the schedule. Retries and dead letters are called retry and dlq, and
-- hang under the delivery before them. A half message is a half, what was asked and decided of it hangs below, and the store that a commit made below that. A dead letter that was given to its group again is a resend, a root: attempts count anew. What was parked again (rolled) is no step.

CREATE OR REPLACE VIEW {{.DB}}.otel_traces {{.OnCluster}} AS
WITH {{destination ""}} AS to_, {{owner ""}} AS owner, toUInt16(reconsume_times + 1) AS attempt_,
    multiIf(timing = 'fired', 'fire', timing = 'half', 'half', resent_from != '', 'resend', startsWith(topic, '%DLQ%'), 'dlq', startsWith(to_, '%RETRY%'), 'retry', 'store') AS step_,
    arrayFilter(e -> toUnixTimestamp64Micro(e.2) > 0, [('append', appended), ('sync', synced), ('ack', acked)]) AS events_
SELECT
    {{start}} AS Timestamp,
    lower(hex(if(empty(trace_in), sipHash128Reference(id), trace_in))) AS TraceId,
    {{span "id" "owner" "attempt_" (stored "")}} AS SpanId,
    multiIf(timing = 'fired', {{span "id" "owner" "attempt_" "'schedule'"}}, owner != '' AND attempt_ > 1, {{span "id" "owner" "(attempt_ - 1)" "'deliver'"}}, {{committed ""}}, {{span "id" "''" "attempt_" "'commit'"}}, empty(parent_in), '', lower(hex(parent_in))) AS ParentSpanId,
    '' AS TraceState,
    CAST(concat(step_, ' ', if(origin_topic != '', origin_topic, to_)), 'LowCardinality(String)') AS SpanName,
    CAST(multiIf(step_ IN ('store', 'half'), 'Server', step_ = 'resend', 'Producer', 'Internal'), 'LowCardinality(String)') AS SpanKind,
    CAST('contrail', 'LowCardinality(String)') AS ServiceName,
    {{attributes "'service.name', 'contrail', 'service.instance.id', toString(node), 'rocketmq.broker', toString(broker)"}} AS ResourceAttributes,
    'broker' AS ScopeName,
    '' AS ScopeVersion,
    {{attributes "'messaging.system', 'rocketmq', 'messaging.operation.name', step_, 'messaging.operation.type', if(step_ IN ('store', 'half', 'resend'), 'send', ''), 'messaging.destination.name', toString(to_), 'messaging.destination.partition.id', toString(if(timing IN ('parked', 'half'), real_queue, queue_id)), 'messaging.message.id', id, 'messaging.message.body.size', toString(body_bytes), 'messaging.rocketmq.message.type', toString(type), 'messaging.rocketmq.message.tag', toString(tag), 'messaging.rocketmq.message.keys', arrayStringConcat(keys, ' '), 'messaging.rocketmq.queue_offset', toString(queue_offset), 'messaging.client.id', toString(producer_client), 'network.peer.address', toString(producer_addr), 'rocketmq.producer_group', toString(producer_group), 'rocketmq.offset_message_id', concat(store_key, leftPad(hex(position), 16, '0')), 'rocketmq.attempt', toString(attempt_), 'messaging.rocketmq.message.delivery_timestamp', if(timing = '', '', toString(toUnixTimestamp64Milli(due))), 'rocketmq.schedule.lateness_ms', if(timing = 'fired', toString(intDiv(greatest(0, dateDiff('microsecond', due, appended)), 1000)), ''), 'messaging.consumer.group.name', owner, 'rocketmq.origin_topic', toString(origin_topic), 'rocketmq.origin_message_id', origin_id, 'rocketmq.resent_from', resent_from, 'rocketmq.resent_by', toString(resent_by), 'error.type', if(step_ = 'dlq', 'max_reconsume_exceeded', ''), 'sw8.trace_id', trace_raw"}} AS SpanAttributes,
    toUInt64(greatest(0, dateDiff('microsecond', if(toUnixTimestamp64Micro(received) > 0, received, appended), acked))) * 1000 AS Duration,
    CAST(if(step_ = 'dlq', 'Error', 'Unset'), 'LowCardinality(String)') AS StatusCode,
    if(step_ = 'dlq', 'max_reconsume_exceeded', '') AS StatusMessage,
    CAST(arrayMap(e -> e.2, events_), 'Array(DateTime64(9))') AS `Events.Timestamp`,
    CAST(arrayMap(e -> e.1, events_), 'Array(LowCardinality(String))') AS `Events.Name`,
    CAST(arrayMap(e -> map(), events_), 'Array(Map(LowCardinality(String), String))') AS `Events.Attributes`,
    {{noLinks}}
FROM {{.DB}}.messages
WHERE timing NOT IN ('rolled', 'discarded')

UNION ALL
SELECT
    d.started AS Timestamp,
    lower(hex(if(empty(m.trace_in), sipHash128Reference(m.id), m.trace_in))) AS TraceId,
    {{span "m.id" "d.group_name" "if(d.attempt > 1, d.attempt, toUInt16(m.reconsume_times + 1))" "if(m.queue_offset < d.again_to OR m.resent_from != '', concat('deliver#', toString(toUnixTimestamp64Micro(d.sent))), 'deliver')"}} AS SpanId,
    {{span "m.id" (owner "m.") "toUInt16(m.reconsume_times + 1)" (stored "m.")}} AS ParentSpanId,
    '' AS TraceState,
    CAST(concat('deliver ', d.topic), 'LowCardinality(String)') AS SpanName,
    CAST('Server', 'LowCardinality(String)') AS SpanKind,
    CAST('contrail', 'LowCardinality(String)') AS ServiceName,
    {{attributes "'service.name', 'contrail', 'service.instance.id', toString(d.node), 'rocketmq.broker', toString(m.broker)"}} AS ResourceAttributes,
    'broker' AS ScopeName,
    '' AS ScopeVersion,
    {{attributes "'messaging.system', 'rocketmq', 'messaging.operation.name', 'deliver', 'messaging.operation.type', 'receive', 'messaging.destination.name', toString(d.topic), 'messaging.destination.partition.id', toString(d.queue_id), 'messaging.message.id', m.id, 'messaging.consumer.group.name', toString(d.group_name), 'messaging.client.id', toString(d.client), 'messaging.batch.message_count', toString(d.messages), 'messaging.rocketmq.queue_offset', toString(m.queue_offset), 'network.peer.address', toString(d.addr), 'rocketmq.waited_us', toString(d.waited), 'rocketmq.again', if(m.queue_offset < d.again_to, 'true', '')"}} AS SpanAttributes,
    toUInt64(greatest(0, dateDiff('microsecond', d.requested, d.sent) - d.waited)) * 1000 AS Duration,
    CAST('Unset', 'LowCardinality(String)') AS StatusCode,
    '' AS StatusMessage,
    {{noEvents}},
    {{noLinks}}
FROM {{.DB}}.messages AS m INNER JOIN {{.DB}}.deliveries AS d
    ON d.topic = m.topic AND d.queue_id = m.queue_id AND d.bucket = m.bucket
WHERE d.broker IN (m.broker, '') AND m.queue_offset >= d.from_offset AND m.queue_offset < d.to_offset
    AND NOT has(d.skipped, m.queue_offset)
    AND NOT (d.filtered > length(d.skipped) AND d.subscription NOT IN ('', '*') AND NOT has(arrayMap(t -> trimBoth(t), splitByString('||', d.subscription)), m.tag))

UNION ALL
SELECT
    s.started AS Timestamp,
    lower(hex(if(empty(m.trace_in), sipHash128Reference(m.id), m.trace_in))) AS TraceId,
    {{span "m.id" "s.group_name" "toUInt16(m.reconsume_times + 1)" "if(m.queue_offset < s.again_to OR m.resent_from != '', concat('ack#', toString(toUnixTimestamp64Micro(s.at))), 'ack')"}} AS SpanId,
    {{span "m.id" (owner "m.") "toUInt16(m.reconsume_times + 1)" (stored "m.")}} AS ParentSpanId,
    '' AS TraceState,
    CAST(concat('ack ', s.topic), 'LowCardinality(String)') AS SpanName,
    CAST('Server', 'LowCardinality(String)') AS SpanKind,
    CAST('contrail', 'LowCardinality(String)') AS ServiceName,
    {{attributes "'service.name', 'contrail', 'service.instance.id', toString(s.node), 'rocketmq.broker', toString(m.broker)"}} AS ResourceAttributes,
    'broker' AS ScopeName,
    '' AS ScopeVersion,
    {{attributes "'messaging.system', 'rocketmq', 'messaging.operation.name', 'ack', 'messaging.operation.type', 'settle', 'messaging.destination.name', toString(s.topic), 'messaging.destination.partition.id', toString(s.queue_id), 'messaging.message.id', m.id, 'messaging.consumer.group.name', toString(s.group_name), 'messaging.client.id', toString(s.client), 'messaging.rocketmq.queue_offset', toString(m.queue_offset), 'rocketmq.settled_to', toString(s.to_offset)"}} AS SpanAttributes,
    toUInt64(0) AS Duration,
    CAST('Unset', 'LowCardinality(String)') AS StatusCode,
    '' AS StatusMessage,
    {{noEvents}},
    {{noLinks}}
FROM {{.DB}}.messages AS m INNER JOIN {{.DB}}.settlements AS s
    ON s.topic = m.topic AND s.queue_id = m.queue_id AND s.bucket = m.bucket
WHERE s.broker IN (m.broker, '') AND s.from_offset >= 0 AND s.outcome = 'acknowledged' AND m.queue_offset >= s.from_offset AND m.queue_offset < s.to_offset

UNION ALL
WITH {{destination "m."}} AS to_
SELECT
    s.started AS Timestamp,
    lower(hex(if(empty(m.trace_in), sipHash128Reference(m.id), m.trace_in))) AS TraceId,
    {{span "s.id" "s.group_name" "s.attempt" "if(s.detail = '' OR s.name != 'process', toString(s.name), concat(s.name, '#', s.detail))"}} AS SpanId,
    multiIf(s.name = 'process' AND s.attempt > 0, {{span "s.id" "s.group_name" "s.attempt" "'deliver'"}}, s.name = 'send' AND empty(m.parent_in), '', s.name = 'send', lower(hex(m.parent_in)), {{span "s.id" (owner "m.") "toUInt16(m.reconsume_times + 1)" (stored "m.")}}) AS ParentSpanId,
    '' AS TraceState,
    CAST(if(m.topic = '', toString(s.name), concat(s.name, ' ', to_)), 'LowCardinality(String)') AS SpanName,
    CAST(multiIf(s.name = 'send', 'Producer', s.name = 'process', 'Consumer', 'Client'), 'LowCardinality(String)') AS SpanKind,
    CAST('contrail', 'LowCardinality(String)') AS ServiceName,
    {{attributes "'service.name', 'contrail', 'rocketmq.broker', toString(m.broker)"}} AS ResourceAttributes,
    'client' AS ScopeName,
    '' AS ScopeVersion,
    {{attributes "'messaging.system', 'rocketmq', 'messaging.operation.name', toString(s.name), 'messaging.operation.type', multiIf(s.name = 'send', 'send', s.name = 'process', 'process', ''), 'messaging.destination.name', toString(to_), 'messaging.message.id', s.id, 'messaging.consumer.group.name', if(s.name = 'process', toString(s.group_name), ''), 'messaging.client.id', toString(s.client), 'network.peer.address', toString(s.addr), 'error.type', toString(s.error), 'rocketmq.detail', s.detail"}} AS SpanAttributes,
    toUInt64(greatest(s.duration, 0)) * 1000 AS Duration,
    CAST(toString(s.status), 'LowCardinality(String)') AS StatusCode,
    toString(s.error) AS StatusMessage,
    {{noEvents}},
    {{noLinks}}
FROM {{.DB}}.messages AS m INNER JOIN {{.DB}}.steps AS s ON s.id = m.id
WHERE toUnixTimestamp64Micro(s.at) > 0 AND (s.name != 'process' OR s.duration >= 0) AND m.timing NOT IN ('fired', 'rolled', 'discarded') AND NOT {{committed "m."}} AND {{owner "m."}} = ''

UNION ALL
WITH {{owner ""}} AS owner_
SELECT
    {{start}} AS Timestamp,
    lower(hex(if(empty(trace_in), sipHash128Reference(id), trace_in))) AS TraceId,
    {{span "id" (owner "") "toUInt16(reconsume_times + 1)" "'schedule'"}} AS SpanId,
    {{span "id" (owner "") "toUInt16(reconsume_times + 1)" "'store'"}} AS ParentSpanId,
    '' AS TraceState,
    CAST(concat('schedule ', if(origin_topic != '', origin_topic, real_topic)), 'LowCardinality(String)') AS SpanName,
    CAST('Internal', 'LowCardinality(String)') AS SpanKind,
    CAST('contrail', 'LowCardinality(String)') AS ServiceName,
    {{attributes "'service.name', 'contrail', 'service.instance.id', toString(node), 'rocketmq.broker', toString(broker)"}} AS ResourceAttributes,
    'broker' AS ScopeName,
    '' AS ScopeVersion,
    {{attributes "'messaging.system', 'rocketmq', 'messaging.operation.name', 'schedule', 'messaging.destination.name', toString(real_topic), 'messaging.destination.partition.id', toString(real_queue), 'messaging.message.id', id, 'messaging.consumer.group.name', owner_, 'messaging.rocketmq.message.delivery_timestamp', toString(toUnixTimestamp64Milli(due)), 'rocketmq.gap', if(dateDiff('second', appended, due) > 600, 'true', '')"}} AS SpanAttributes,
    toUInt64(greatest(0, dateDiff('microsecond', if(toUnixTimestamp64Micro(received) > 0, received, appended), due))) * 1000 AS Duration,
    CAST('Unset', 'LowCardinality(String)') AS StatusCode,
    '' AS StatusMessage,
    {{noEvents}},
    {{noLinks}}
FROM {{.DB}}.messages
WHERE topic IN {{parking}} AND timing = 'parked'

UNION ALL
WITH if(s.name = 'cancel', 'recall', toString(s.name)) AS step_, {{destination "m."}} AS to_
SELECT
    s.started AS Timestamp,
    lower(hex(if(empty(m.trace_in), sipHash128Reference(m.id), m.trace_in))) AS TraceId,
    {{span "m.id" (owner "m.") "toUInt16(m.reconsume_times + 1)" "if(s.name = 'check', concat('check#', toString(s.attempt)), toString(s.name))"}} AS SpanId,
    {{span "m.id" (owner "m.") "toUInt16(m.reconsume_times + 1)" "if(s.name = 'cancel', 'schedule', 'half')"}} AS ParentSpanId,
    '' AS TraceState,
    CAST(concat(step_, ' ', to_), 'LowCardinality(String)') AS SpanName,
    CAST(if(s.name = 'check', 'Client', 'Server'), 'LowCardinality(String)') AS SpanKind,
    CAST('contrail', 'LowCardinality(String)') AS ServiceName,
    {{attributes "'service.name', 'contrail', 'rocketmq.broker', toString(m.broker)"}} AS ResourceAttributes,
    'broker' AS ScopeName,
    '' AS ScopeVersion,
    {{attributes "'messaging.system', 'rocketmq', 'messaging.operation.name', step_, 'messaging.destination.name', toString(to_), 'messaging.message.id', m.id, 'messaging.client.id', toString(s.client), 'messaging.rocketmq.message.delivery_timestamp', if(s.name = 'cancel', toString(toUnixTimestamp64Milli(m.due)), ''), 'rocketmq.transaction.age_ms', if(s.name = 'cancel', '', toString(intDiv(greatest(0, dateDiff('microsecond', m.appended, s.at)), 1000))), 'rocketmq.transaction.decided_by', s.detail, 'rocketmq.transaction.check', if(s.name = 'check', toString(s.attempt), ''), 'error.type', toString(s.error)"}} AS SpanAttributes,
    toUInt64(0) AS Duration,
    CAST(toString(s.status), 'LowCardinality(String)') AS StatusCode,
    toString(s.error) AS StatusMessage,
    {{noEvents}},
    {{noLinks}}
FROM {{.DB}}.messages AS m INNER JOIN {{.DB}}.steps AS s ON s.broker = m.broker AND s.place = m.position
WHERE s.place > 0 AND s.name IN ('cancel', 'commit', 'rollback', 'discard', 'check') AND m.topic IN {{hiding}} AND m.timing IN ('parked', 'rolled', 'half');

CREATE OR REPLACE VIEW {{.DB}}.otel_traces_trace_id_ts {{.OnCluster}} AS
SELECT TraceId, toDateTime(min(Timestamp)) AS Start, toDateTime(max(Timestamp)) AS End FROM {{.DB}}.otel_traces GROUP BY TraceId;
