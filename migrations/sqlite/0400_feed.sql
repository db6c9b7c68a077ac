-- How far each sink of the event feed is, by shard: everything up to this record was published there.
-- Behind the embedded journal there is one row a sink, of shard 65535, and its position alone counts.
CREATE TABLE feed_cursor (
    sink     TEXT    NOT NULL,
    shard    INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (sink, shard)
) STRICT, WITHOUT ROWID;
