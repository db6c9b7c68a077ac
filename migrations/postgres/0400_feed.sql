-- How far each sink of the event feed is, by shard: everything up to this record was published there.

SET LOCAL lock_timeout = '10s';

CREATE TABLE feed_cursor (
    sink text NOT NULL,
    shard integer NOT NULL,
    epoch bigint NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (sink, shard)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2048);
