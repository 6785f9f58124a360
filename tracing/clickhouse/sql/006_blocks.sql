-- Who takes over asks whether a block is complete: by its token, in a table that keeps months.

ALTER TABLE {{.DB}}.ship_log {{.OnCluster}} ADD INDEX IF NOT EXISTS by_block block TYPE bloom_filter(0.001) GRANULARITY 1;
