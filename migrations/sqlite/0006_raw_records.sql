-- The records as they were in a journal that may forget its end, until their days are over. Behind the embedded journal, which
-- forgets nothing, the table stays empty.
CREATE TABLE raw_record (
    date     INTEGER NOT NULL,
    doctor   BLOB    NOT NULL,
    sequence INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,
    position INTEGER NOT NULL,
    -- Its link of the day's chain.
    hash     BLOB    NOT NULL,
    -- The encoded event.
    body     BLOB    NOT NULL,
    -- Of the day: whoever takes a shard over asks where its days end.
    shard    INTEGER NOT NULL,
    PRIMARY KEY (date, doctor, sequence)
) STRICT, WITHOUT ROWID;

CREATE INDEX raw_record_by_shard ON raw_record (shard, date, doctor, sequence);
