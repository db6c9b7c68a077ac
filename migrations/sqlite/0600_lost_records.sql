-- Records of branches that ended when a journal forgot its end: what they promised is asked for again, and what cannot hold any more
-- stays here until its day is over. Written before such a record goes from the journal. Behind the embedded journal, which forgets
-- nothing, the table stays empty.
CREATE TABLE lost_record (
    date     INTEGER NOT NULL,
    doctor   BLOB    NOT NULL,
    sequence INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,
    -- Its link of the chain that is over.
    hash     BLOB    NOT NULL,
    position INTEGER NOT NULL,
    -- The encoded event.
    body     BLOB    NOT NULL,
    -- 0 it waits, 1 nothing is owed any more, 2 what it promised cannot hold.
    state    INTEGER NOT NULL DEFAULT 0,
    -- Of state 2: why, in words without a value.
    reason   TEXT,
    PRIMARY KEY (date, doctor, sequence, epoch, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX lost_record_waiting ON lost_record (date, doctor) WHERE state = 0;
