-- Every broker group has a queue 0 of a topic: what was handed out and settled belongs to the messages of its own broker group. Rows of
-- older versions do not say; they are taken for any in a life, and a search by group does not find them.

ALTER TABLE {{.DB}}.deliveries {{.OnCluster}} ADD COLUMN IF NOT EXISTS broker LowCardinality(String) FIRST;

ALTER TABLE {{.DB}}.settlements {{.OnCluster}} ADD COLUMN IF NOT EXISTS broker LowCardinality(String) FIRST;
