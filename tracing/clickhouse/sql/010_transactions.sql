-- Transactions and pop. A row with timing = 'half' waits for its producer's decision, one with 'discarded' was never decided; both have real_topic and
-- real_queue. pop_group is the group of a retry that pop made: the name of its topic does not say where the group's name ends.

ALTER TABLE {{.DB}}.messages {{.OnCluster}}
    ADD COLUMN IF NOT EXISTS pop_group LowCardinality(String);
