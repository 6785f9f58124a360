-- Replication is a step of a message's life: when a majority of the members had it, and which member was the slowest.

ALTER TABLE {{.DB}}.messages {{.OnCluster}}
    ADD COLUMN IF NOT EXISTS committed DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ADD COLUMN IF NOT EXISTS slowest UInt64 CODEC(T64, ZSTD(1));
