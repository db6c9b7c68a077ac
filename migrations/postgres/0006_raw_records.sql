-- The records as they were in a journal that may forget its end, until their days are over.
CREATE TABLE raw_record (
    date     integer NOT NULL,
    doctor   uuid    NOT NULL,
    sequence bigint  NOT NULL,
    epoch    bigint  NOT NULL,
    position bigint  NOT NULL,
    -- Its link of the day's chain.
    hash     uuid    NOT NULL,
    -- The encoded event: sealed or packed already where it is worth it.
    body     bytea   NOT NULL,
    -- Of the day: whoever takes a shard over asks where its days end.
    shard    smallint NOT NULL,
    PRIMARY KEY (date, doctor, sequence)
);

CREATE INDEX raw_record_by_shard ON raw_record (shard, date, doctor, sequence);

ALTER TABLE raw_record ALTER COLUMN body SET STORAGE EXTERNAL;
