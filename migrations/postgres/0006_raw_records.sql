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
    PRIMARY KEY (date, doctor, sequence)
);

ALTER TABLE raw_record ALTER COLUMN body SET STORAGE EXTERNAL;
