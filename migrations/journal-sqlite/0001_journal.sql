-- The journal: the one durable truth of every doctor-day, as blocks of encoded events.

-- 0x68736A6C, "hsjl": refuses a file of another program, and one of our other stores.
PRAGMA application_id = 1752394348;

-- One row. Raised by one each time the journal is opened; an append carries it and a stale one writes nothing.
CREATE TABLE meta (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL
) STRICT;

INSERT INTO meta (id, epoch) VALUES (1, 0);

-- Consecutive records of one day that were appended together: append-only, in the order of positions, without a
-- second index. A day's blocks form a list from its head backwards, so a load costs its tail and not the history.
-- Never deleted: the last block's position is the counter of positions.
CREATE TABLE block (
    -- Of the block's last record. Every record has a position of its own; those of a block have no gap.
    position          INTEGER PRIMARY KEY,
    -- Of the last record of the day's block before; 0 if there is none.
    previous_position INTEGER NOT NULL,
    -- Doctor (16 bytes) and date (4 bytes), as they sort.
    day               BLOB NOT NULL,
    first_sequence    INTEGER NOT NULL,
    record_count      INTEGER NOT NULL,
    -- A record: epoch (4 bytes), length of the body (4 bytes), link of the chain (16 bytes), body. Integers big-endian.
    body              BLOB NOT NULL
) STRICT;

-- Where each day's log ends. Numbered in the order of the days' first records: days that are published together are
-- booked together, so that a batch of bookings dirties few pages even if there are millions of days.
CREATE TABLE head (
    number       INTEGER PRIMARY KEY,
    day          BLOB NOT NULL UNIQUE,
    epoch        INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    hash         BLOB NOT NULL,
    position     INTEGER NOT NULL,
    -- UTC milliseconds of the day's earliest work of its own; NULL if it has none.
    next_work_at INTEGER
) STRICT;

CREATE INDEX head_by_next_work ON head (next_work_at) WHERE next_work_at IS NOT NULL;

-- The newest packed state of each day, and after which record it stands.
CREATE TABLE snapshot (
    day      BLOB PRIMARY KEY,
    epoch    INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    -- Over day, record and body, so that a damaged state is never loaded.
    checksum BLOB NOT NULL,
    body     BLOB NOT NULL
) STRICT;
