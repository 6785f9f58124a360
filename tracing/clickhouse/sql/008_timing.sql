-- Scheduled messages, retries and dead letters. A row with timing = 'parked' or 'rolled' waits for real_topic and real_queue until due; a fired one
-- was stored in its real topic because it was due. origin_topic is what the group of a retry or a dead letter consumed. A step with a place is about
-- the copy that stands there in the broker group's log; its id is made of both, as the deriver knows no other.

ALTER TABLE {{.DB}}.messages {{.OnCluster}}
    ADD COLUMN IF NOT EXISTS timing LowCardinality(String),
    ADD COLUMN IF NOT EXISTS real_topic LowCardinality(String),
    ADD COLUMN IF NOT EXISTS real_queue Int32 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS due DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ADD COLUMN IF NOT EXISTS origin_topic LowCardinality(String);

ALTER TABLE {{.DB}}.steps {{.OnCluster}}
    ADD COLUMN IF NOT EXISTS broker LowCardinality(String),
    ADD COLUMN IF NOT EXISTS place Int64 CODEC(Delta(8), ZSTD(1));
