-- Records of branches that ended when a journal forgot its end: what they promised is asked for again, and what cannot hold any more
-- stays here until its day is over. Written before such a record goes from the journal. Behind a journal that forgets nothing the
-- table stays empty.
CREATE TABLE lost_record (
    date     integer NOT NULL,
    doctor   uuid    NOT NULL,
    sequence bigint  NOT NULL,
    epoch    bigint  NOT NULL,
    -- Its link of the chain that is over.
    hash     uuid    NOT NULL,
    position bigint  NOT NULL,
    -- The encoded event.
    body     bytea   NOT NULL,
    -- 0 it waits, 1 nothing is owed any more, 2 what it promised cannot hold.
    state    bigint  NOT NULL DEFAULT 0,
    -- Of state 2: why, in words without a value.
    reason   text,
    PRIMARY KEY (date, doctor, sequence, epoch, hash)
);

CREATE INDEX lost_record_waiting ON lost_record (date, doctor) WHERE state = 0;
