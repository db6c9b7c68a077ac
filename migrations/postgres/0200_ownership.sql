-- Who owns which shard. One lease row a node, by this database's clock; one row a shard, with the epoch that fences its writers.
-- Epochs only rise. A generation is raised by a barrier of the owner: what it began before then can no longer write.

SET LOCAL lock_timeout = '10s';

CREATE TABLE node (
    incarnation uuid PRIMARY KEY,
    address text NOT NULL,
    lease_until timestamptz NOT NULL
);

CREATE TABLE shard_owner (
    shard smallint PRIMARY KEY CHECK (shard BETWEEN 0 AND 1023),
    epoch bigint NOT NULL DEFAULT 0,
    incarnation uuid,
    generation bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 25, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2048);

INSERT INTO shard_owner (shard) SELECT number FROM generate_series(0, 1023) AS number;
