-- Which idempotency keys have won on which day, so that one key sent for two days wins on one of them only, also after a
-- start. Written by the appliers.

CREATE TABLE won_key (
    -- The last day that the answer concerns: that of the record, or the later one to which the appointment left.
    until_date integer  NOT NULL,
    -- The day whose record remembers the key, and its shard.
    doctor     uuid     NOT NULL,
    date       integer  NOT NULL,
    shard      smallint NOT NULL,
    -- Half of a SHA-256 over subject and key.
    digest     uuid     NOT NULL,
    PRIMARY KEY (until_date, doctor, date, digest) INCLUDE (shard)
);

-- One row: what `won_key` does not have.
CREATE TABLE won_key_bounds (
    id               integer NOT NULL PRIMARY KEY CHECK (id = 1),
    -- Records up to this journal position were applied before the table was there: none.
    after_position   bigint  NOT NULL,
    -- Rows with an earlier `until_date` were forgotten; NULL: none were.
    forgotten_before integer
);

INSERT INTO won_key_bounds (id, after_position) VALUES (1, 0);
