-- The ledger: what the journal says, as rows that can be asked. Everything but `doctor`, `doctor_specialty`, `patient`,
-- `clinic` and `request_key` is written by the appliers alone and can be built again from the journal. The tables are those
-- of `sqlite/`, up to its newest number, so that a statement means the same in both.
--
-- Dates are days since 1970-01-01 (`DATE '1970-01-01' + date` reads them), `_ms` are UTC milliseconds since 1970-01-01. A text
-- that a person wrote about a person is two columns: the number of the key that seals it (0: not sealed) and the bytes.
-- `shard` is the virtual shard of the day that the row belongs to: its owner alone writes it. Texts that are put in order have
-- the collation "C", so that a page is the same whatever the locale of the server.

-- An appointment as of its newest version. Most are written twice or more: room is left, so that a new version that changes no
-- indexed column stays on its page.
CREATE TABLE appointment (
    id              uuid     NOT NULL PRIMARY KEY,
    doctor          uuid     NOT NULL,
    date            integer  NOT NULL,
    shard           smallint NOT NULL,
    patient         uuid     NOT NULL,
    start_ms        bigint   NOT NULL,
    end_ms          bigint   NOT NULL,
    place           bigint   NOT NULL,
    -- `completed` is never stored: it follows from `booked` and the clock.
    status          text     NOT NULL,
    hold_expires_ms bigint,
    reason_key      bigint,
    reason          bytea,
    created_ms      bigint   NOT NULL,
    updated_ms      bigint   NOT NULL,
    version         bigint   NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX appointment_by_patient ON appointment (patient, start_ms, id);
-- For the pages of a day, and for who takes shards over: everybody's appointments to come.
CREATE INDEX appointment_by_date ON appointment (date, doctor, start_ms, id) INCLUDE (shard);

-- Every step of every appointment. `actor` is the nil UUID where the engine itself acted.
CREATE TABLE appointment_history (
    appointment uuid   NOT NULL,
    version     bigint NOT NULL,
    at_ms       bigint NOT NULL,
    actor       uuid   NOT NULL,
    role        text   NOT NULL,
    request     uuid   NOT NULL,
    from_status text,
    to_status   text   NOT NULL,
    reason_key  bigint,
    reason      bytea,
    PRIMARY KEY (appointment, version)
);

-- A day as it was published and closed last.
CREATE TABLE doctor_day (
    doctor             uuid    NOT NULL,
    date               integer NOT NULL,
    time_zone          text    NOT NULL,
    -- Version of the zone database that placed the slots; empty if unknown.
    time_zone_database text    NOT NULL,
    first_start_ms     bigint  NOT NULL,
    last_end_ms        bigint  NOT NULL,
    slots              bigint  NOT NULL,
    capacity           bigint  NOT NULL,
    first_release_ms   bigint  NOT NULL,
    releases           bigint  NOT NULL,
    closed_ms          bigint,
    closed_reason_key  bigint,
    closed_reason      bytea,
    -- The record that published or closed it last.
    epoch              bigint  NOT NULL,
    sequence           bigint  NOT NULL,
    PRIMARY KEY (doctor, date)
) WITH (fillfactor = 80);

-- Who sits where: the second guard against selling a place twice, independent of the engine's own. Written with plain
-- inserts, vacated first and occupied second; a violation is an alarm and never swallowed.
CREATE TABLE seat (
    doctor      uuid    NOT NULL,
    date        integer NOT NULL,
    start_ms    bigint  NOT NULL,
    place       bigint  NOT NULL,
    appointment uuid    NOT NULL,
    PRIMARY KEY (doctor, date, start_ms, place)
);

-- How far each day is applied: what makes applying twice harmless. Updated with every batch that touches the day.
CREATE TABLE applied_day (
    doctor   uuid    NOT NULL,
    date     integer NOT NULL,
    epoch    bigint  NOT NULL,
    sequence bigint  NOT NULL,
    PRIMARY KEY (doctor, date)
) WITH (fillfactor = 50);

-- How far each shard of the journal is applied, parked days aside: the epoch of the record and its position in its owner's log.
CREATE TABLE applied_shard (
    shard    smallint NOT NULL PRIMARY KEY,
    epoch    bigint   NOT NULL DEFAULT 0,
    position bigint   NOT NULL
) WITH (fillfactor = 10);

-- Days with a record that could not be applied: from `sequence` on they are missing here. `position` is how far the
-- journal was applied then: every missing record comes after it.
CREATE TABLE parked_day (
    doctor   uuid    NOT NULL,
    date     integer NOT NULL,
    epoch    bigint  NOT NULL,
    sequence bigint  NOT NULL,
    position bigint  NOT NULL,
    reason   text    NOT NULL,
    PRIMARY KEY (doctor, date)
);

-- Doctors. `_folded` columns are what a search compares: without regard to case, beyond ASCII too.
CREATE TABLE doctor (
    id            uuid             NOT NULL PRIMARY KEY,
    name          text COLLATE "C" NOT NULL,
    time_zone     text             NOT NULL,
    location_name text             NOT NULL,
    city          text             NOT NULL,
    city_folded   text COLLATE "C" NOT NULL,
    latitude      double precision NOT NULL,
    longitude     double precision NOT NULL,
    bio           text,
    -- JSON arrays of strings, in the order given.
    specialties   text             NOT NULL,
    languages     text             NOT NULL,
    clinic        uuid,
    created_ms    bigint           NOT NULL,
    updated_ms    bigint           NOT NULL
);

CREATE INDEX doctor_by_name ON doctor (name, id);
CREATE INDEX doctor_by_city ON doctor (city_folded, name, id);

CREATE TABLE doctor_specialty (
    doctor           uuid             NOT NULL REFERENCES doctor (id) ON DELETE CASCADE,
    specialty_folded text COLLATE "C" NOT NULL,
    PRIMARY KEY (specialty_folded, doctor)
);

CREATE INDEX doctor_specialty_by_doctor ON doctor_specialty (doctor);

-- Idempotency keys of requests that write rows here, with their first answer.
CREATE TABLE request_key (
    subject     uuid             NOT NULL,
    key         text COLLATE "C" NOT NULL,
    fingerprint uuid             NOT NULL,
    response    text             NOT NULL,
    created_ms  bigint           NOT NULL,
    PRIMARY KEY (subject, key)
);
