-- A dead letter that was given to its group again: which letter it is a copy of, and who asked for it.

ALTER TABLE {{.DB}}.messages {{.OnCluster}}
    ADD COLUMN IF NOT EXISTS resent_from String CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS resent_by LowCardinality(String);
