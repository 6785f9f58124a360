-- How members of a broker group agree on what a block of their log holds. ship_cuts keeps the newest cut of each log: a cut is
-- one row, inserted with a token that names its log and number, and of all rows with one token the server takes the first.
-- What a merge leaves is the row with the highest number, which is all that is ever asked for; so it needs no age.

ALTER TABLE {{.DB}}.ship_log {{.OnCluster}} ADD COLUMN IF NOT EXISTS broker LowCardinality(String) AFTER node;

CREATE TABLE IF NOT EXISTS {{.DB}}.ship_cuts {{.OnCluster}} (
    broker        LowCardinality(String),
    log           LowCardinality(String),
    seq           UInt64,
    from_index    UInt64,
    to_index      UInt64,
    from_position Int64,
    to_position   Int64,
    from_term     UInt64,
    to_term       UInt64,
    from_time     DateTime64(6, 'UTC'),
    to_time       DateTime64(6, 'UTC'),
    node          LowCardinality(String),
    mark          LowCardinality(String),
    at            DateTime64(6, 'UTC')
) ENGINE = {{engine "ReplacingMergeTree"}}(seq)
ORDER BY (broker, log)
{{settingsNoAge}};
