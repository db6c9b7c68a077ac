-- Which idempotency keys have won on which day, so that one key sent for two days wins on one of them only, also after a
-- start. Written by the applier; what was applied before this migration is missing here.

CREATE TABLE won_key (
    -- The last day that the answer concerns: that of the record, or the later one to which the appointment left.
    until_date INTEGER NOT NULL,
    -- The day whose record remembers the key.
    doctor     BLOB    NOT NULL,
    date       INTEGER NOT NULL,
    -- Half of a SHA-256 over subject and key.
    digest     BLOB    NOT NULL,
    PRIMARY KEY (until_date, doctor, date, digest)
) STRICT, WITHOUT ROWID;

-- One row: what `won_key` does not have.
CREATE TABLE won_key_bounds (
    id               INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    -- Records up to this journal position were applied before the table was there.
    after_position   INTEGER NOT NULL,
    -- Rows with an earlier `until_date` were forgotten; NULL: none were.
    forgotten_before INTEGER
) STRICT;

INSERT INTO won_key_bounds (id, after_position) SELECT 1, coalesce(max(position), 0) FROM applied_shard;
