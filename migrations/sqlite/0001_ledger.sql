-- The ledger: what the journal says, as rows that can be asked. Everything but `doctor`, `doctor_specialty` and
-- `request_key` is written by the applier alone and can be built again from the journal.
--
-- Ids are 16 bytes (UUID), dates are days since 1970-01-01 (`date(date * 86400, 'unixepoch')` reads them), `_ms` are
-- UTC milliseconds since 1970-01-01. A text that a person wrote about a person is two columns: the number of the key
-- that seals it (0: not sealed) and the bytes.

-- An appointment as of its newest version.
CREATE TABLE appointment (
    id              BLOB    NOT NULL PRIMARY KEY,
    doctor          BLOB    NOT NULL,
    date            INTEGER NOT NULL,
    patient         BLOB    NOT NULL,
    start_ms        INTEGER NOT NULL,
    end_ms          INTEGER NOT NULL,
    place           INTEGER NOT NULL,
    -- `completed` is never stored: it follows from `booked` and the clock.
    status          TEXT    NOT NULL,
    hold_expires_ms INTEGER,
    reason_key      INTEGER,
    reason          BLOB,
    created_ms      INTEGER NOT NULL,
    updated_ms      INTEGER NOT NULL,
    version         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX appointment_by_patient ON appointment (patient, start_ms, id);
CREATE INDEX appointment_by_day ON appointment (doctor, date, start_ms, id);

-- Every step of every appointment. `actor` is the nil UUID where the engine itself acted.
CREATE TABLE appointment_history (
    appointment BLOB    NOT NULL,
    version     INTEGER NOT NULL,
    at_ms       INTEGER NOT NULL,
    actor       BLOB    NOT NULL,
    role        TEXT    NOT NULL,
    request     BLOB    NOT NULL,
    from_status TEXT,
    to_status   TEXT    NOT NULL,
    reason_key  INTEGER,
    reason      BLOB,
    PRIMARY KEY (appointment, version)
) STRICT, WITHOUT ROWID;

-- A day as it was published and closed last.
CREATE TABLE doctor_day (
    doctor             BLOB    NOT NULL,
    date               INTEGER NOT NULL,
    time_zone          TEXT    NOT NULL,
    -- Version of the zone database that placed the slots; empty if unknown.
    time_zone_database TEXT    NOT NULL,
    first_start_ms     INTEGER NOT NULL,
    last_end_ms        INTEGER NOT NULL,
    slots              INTEGER NOT NULL,
    capacity           INTEGER NOT NULL,
    first_release_ms   INTEGER NOT NULL,
    releases           INTEGER NOT NULL,
    closed_ms          INTEGER,
    closed_reason_key  INTEGER,
    closed_reason      BLOB,
    -- The record that published or closed it last.
    epoch              INTEGER NOT NULL,
    sequence           INTEGER NOT NULL,
    PRIMARY KEY (doctor, date)
) STRICT, WITHOUT ROWID;

-- Who sits where: the second guard against selling a place twice, independent of the engine's own. Written with plain
-- inserts, vacated first and occupied second; a violation is an alarm and never swallowed.
CREATE TABLE seat (
    doctor      BLOB    NOT NULL,
    date        INTEGER NOT NULL,
    start_ms    INTEGER NOT NULL,
    place       INTEGER NOT NULL,
    appointment BLOB    NOT NULL,
    PRIMARY KEY (doctor, date, start_ms, place)
) STRICT, WITHOUT ROWID;

-- How far each day is applied: what makes applying twice harmless.
CREATE TABLE applied_day (
    doctor   BLOB    NOT NULL,
    date     INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (doctor, date)
) STRICT, WITHOUT ROWID;

-- How far each shard of the journal is applied, parked days aside. Positions of an embedded journal rise over all
-- shards, so that one resumes at the highest.
CREATE TABLE applied_shard (
    shard    INTEGER NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT;

-- Days with a record that could not be applied: from `sequence` on they are missing here. `position` is how far the
-- journal was applied then: every missing record comes after it.
CREATE TABLE parked_day (
    doctor   BLOB    NOT NULL,
    date     INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    position INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    PRIMARY KEY (doctor, date)
) STRICT, WITHOUT ROWID;

-- Doctors. `_folded` columns are what a search compares: without regard to case, beyond ASCII too.
CREATE TABLE doctor (
    id            BLOB    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    time_zone     TEXT    NOT NULL,
    location_name TEXT    NOT NULL,
    city          TEXT    NOT NULL,
    city_folded   TEXT    NOT NULL,
    latitude      REAL    NOT NULL,
    longitude     REAL    NOT NULL,
    bio           TEXT,
    -- JSON arrays of strings, in the order given.
    specialties   TEXT    NOT NULL,
    languages     TEXT    NOT NULL,
    clinic        BLOB,
    created_ms    INTEGER NOT NULL,
    updated_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX doctor_by_name ON doctor (name, id);
CREATE INDEX doctor_by_city ON doctor (city_folded, name, id);

CREATE TABLE doctor_specialty (
    doctor           BLOB NOT NULL REFERENCES doctor (id) ON DELETE CASCADE,
    specialty_folded TEXT NOT NULL,
    PRIMARY KEY (specialty_folded, doctor)
) STRICT, WITHOUT ROWID;

CREATE INDEX doctor_specialty_by_doctor ON doctor_specialty (doctor);

-- Idempotency keys of requests that write rows here, with their first answer.
CREATE TABLE request_key (
    subject     BLOB    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    response    TEXT    NOT NULL,
    created_ms  INTEGER NOT NULL,
    PRIMARY KEY (subject, key)
) STRICT, WITHOUT ROWID;
