-- The journal. `journal_record` is the truth: one row a record, chained by hashes within its day, never rewritten. A head says
-- where a day's log ends and when the day next has work by itself; a snapshot is a packed state, and losing one costs time only.
-- Positions begin with 1 in each process and rise in the order in which records became durable.

SET LOCAL lock_timeout = '10s';

CREATE TABLE journal_record (
    doctor uuid NOT NULL,
    date date NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    shard smallint NOT NULL,
    epoch bigint NOT NULL,
    position bigint NOT NULL,
    hash bytea NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (doctor, date, sequence)
);
CREATE UNIQUE INDEX journal_record_by_position ON journal_record (shard, epoch, position);
-- Bodies are short and packed already: neither compressed nor moved away while they fit a page.
ALTER TABLE journal_record ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE journal_head (
    doctor uuid NOT NULL,
    date date NOT NULL,
    shard smallint NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    next_work_ms bigint,
    PRIMARY KEY (doctor, date)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX journal_head_by_next_work ON journal_head (shard, next_work_ms) WHERE next_work_ms IS NOT NULL;

CREATE TABLE journal_snapshot (
    doctor uuid NOT NULL,
    date date NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    checksum bytea NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (doctor, date)
);
ALTER TABLE journal_snapshot ALTER COLUMN body SET STORAGE EXTERNAL;

-- Appends entries of days, each wholly or not at all, under the epochs of their shards. `shards` are those concerned, once each and
-- rising. `entry_…` arrays have one element a day, `record_…` one a record; records of a day follow each other, days in the order
-- of the entries. Places in arrays count from 1, dates are days since 1970-01-01. `base` is the last position of the caller's log:
-- what is written gets the positions after it without a gap.
--
-- Outcomes, one row an entry: 0 appended (or found just as it was to be appended), with its last position as `sequence`; 1 conflict,
-- with the actual head; 2 a newer owner, with its epoch. READ COMMITTED: each statement sees what was committed before it began,
-- so that what follows the locks on the ownership rows sees everything that an older owner has written, as a claim waits for them.
CREATE FUNCTION journal_append(
    base bigint, own_generation bigint, shards smallint[],
    entry_doctors uuid[], entry_dates integer[], entry_shards integer[], entry_epochs bigint[],
    expected_epochs bigint[], expected_sequences bigint[], expected_hashes bytea[],
    record_counts bigint[], last_hashes bytea[], next_works bigint[],
    record_entries integer[], record_sequences bigint[], record_hashes bytea[], record_bodies bytea[])
RETURNS TABLE (outcome smallint, epoch bigint, sequence bigint, hash bytea)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    epoch_start CONSTANT date := '1970-01-01';
    no_hash CONSTANT bytea := '\x00000000000000000000000000000000';
    entry_count CONSTANT integer := cardinality(entry_doctors);
    -- By place in `shards`.
    owner_epochs bigint[];
    generations bigint[];
    updated bigint;
    inserted bigint;
    -- By entry: what to add to a record's place in `record_bodies` for its position; NULL if the entry is not written.
    shifts bigint[];
    skipped bigint := 0;
    written bigint := base;
    stored record;
BEGIN
    -- 1. The fence: no claim and no barrier goes past these locks until this transaction has ended.
    WITH locked AS MATERIALIZED (
        SELECT owner.shard, owner.epoch, owner.generation FROM shard_owner AS owner
        WHERE owner.shard = ANY (shards) ORDER BY owner.shard FOR SHARE)
    SELECT array_agg(locked.epoch ORDER BY locked.shard), array_agg(locked.generation ORDER BY locked.shard)
        INTO owner_epochs, generations FROM locked;
    IF cardinality(owner_epochs) IS DISTINCT FROM cardinality(shards) THEN
        RAISE EXCEPTION 'the table shard_owner is not whole' USING ERRCODE = 'data_corrupted';
    END IF;
    IF own_generation < ANY (generations) THEN
        FOR number IN 1 .. entry_count LOOP
            IF generations[entry_shards[number]] > own_generation
                    AND owner_epochs[entry_shards[number]] = entry_epochs[number] THEN
                RAISE EXCEPTION 'a barrier has gone past this append' USING ERRCODE = 'object_not_in_prerequisite_state';
            END IF;
        END LOOP;
    END IF;

    -- 2. The heads, if they are as expected: a row that is being changed is waited for and looked at again.
    WITH changed AS (
        UPDATE journal_head AS head SET epoch = entry.epoch, sequence = head.sequence + entry.record_count,
            hash = entry.last_hash, next_work_ms = entry.next_work
        FROM unnest(entry_doctors, entry_dates, entry_shards, entry_epochs, expected_epochs, expected_sequences, expected_hashes,
                record_counts, last_hashes, next_works)
            AS entry(doctor, date, shard, epoch, expected_epoch, expected_sequence, expected_hash, record_count, last_hash, next_work)
        WHERE entry.expected_sequence > 0 AND owner_epochs[entry.shard] = entry.epoch
            AND head.doctor = entry.doctor AND head.date = epoch_start + entry.date
            AND head.sequence = entry.expected_sequence AND head.epoch = entry.expected_epoch AND head.hash = entry.expected_hash
        RETURNING 1)
    SELECT count(*) INTO updated FROM changed;
    inserted := 0;
    IF 0 = ANY (expected_sequences) THEN
        WITH made AS (
            INSERT INTO journal_head (doctor, date, shard, epoch, sequence, hash, next_work_ms)
            SELECT entry.doctor, epoch_start + entry.date, shards[entry.shard], entry.epoch, entry.record_count, entry.last_hash,
                entry.next_work
            FROM unnest(entry_doctors, entry_dates, entry_shards, entry_epochs, expected_epochs, expected_sequences,
                    expected_hashes, record_counts, last_hashes, next_works)
                AS entry(doctor, date, shard, epoch, expected_epoch, expected_sequence, expected_hash, record_count, last_hash,
                    next_work)
            WHERE entry.expected_sequence = 0 AND entry.expected_epoch = 0 AND entry.expected_hash = no_hash
                AND owner_epochs[entry.shard] = entry.epoch
            ON CONFLICT DO NOTHING
            RETURNING 1)
        SELECT count(*) INTO inserted FROM made;
    END IF;

    -- 3. The records: mostly all of them.
    IF updated + inserted = entry_count THEN
        INSERT INTO journal_record (doctor, date, sequence, shard, epoch, position, hash, body)
        SELECT entry_doctors[item.entry], epoch_start + entry_dates[item.entry], item.sequence, shards[entry_shards[item.entry]],
            entry_epochs[item.entry], base + item.place, item.hash, item.body
        FROM unnest(record_entries, record_sequences, record_hashes, record_bodies) WITH ORDINALITY
            AS item(entry, sequence, hash, body, place);
        outcome := 0; epoch := 0; sequence := base; hash := NULL;
        FOR number IN 1 .. entry_count LOOP
            sequence := sequence + record_counts[number];
            RETURN NEXT;
        END LOOP;
        RETURN;
    END IF;
    FOR number IN 1 .. entry_count LOOP
        outcome := 2; epoch := owner_epochs[entry_shards[number]]; sequence := 0; hash := NULL;
        IF epoch = entry_epochs[number] THEN
            SELECT head.epoch, head.sequence, head.hash, head.xmin = pg_current_xact_id()::xid AS is_mine INTO stored
                FROM journal_head AS head
                WHERE head.doctor = entry_doctors[number] AND head.date = epoch_start + entry_dates[number];
            IF stored.is_mine THEN
                written := written + record_counts[number];
                outcome := 0; sequence := written;
                shifts[number] := base - skipped;
            ELSE
                -- The same append again, after its outcome was lost: it stands there.
                SELECT item.position INTO sequence FROM journal_record AS item
                    WHERE item.doctor = entry_doctors[number] AND item.date = epoch_start + entry_dates[number]
                    AND item.sequence = expected_sequences[number] + record_counts[number] AND item.hash = last_hashes[number];
                IF FOUND THEN
                    outcome := 0;
                ELSE
                    outcome := 1; epoch := coalesce(stored.epoch, 0); sequence := coalesce(stored.sequence, 0);
                    hash := coalesce(stored.hash, no_hash);
                END IF;
            END IF;
        END IF;
        IF shifts[number] IS NULL THEN
            skipped := skipped + record_counts[number];
        END IF;
        RETURN NEXT;
    END LOOP;
    INSERT INTO journal_record (doctor, date, sequence, shard, epoch, position, hash, body)
    SELECT entry_doctors[item.entry], epoch_start + entry_dates[item.entry], item.sequence, shards[entry_shards[item.entry]],
        entry_epochs[item.entry], item.place + shifts[item.entry], item.hash, item.body
    FROM unnest(record_entries, record_sequences, record_hashes, record_bodies) WITH ORDINALITY
        AS item(entry, sequence, hash, body, place)
    WHERE shifts[item.entry] IS NOT NULL;
END
$$;
