-- How many bytes a booking takes in PostgreSQL: the ledger's tables of migrations/sqlite/ in PostgreSQL's types, a
-- journal of blocks as in migrations/journal-sqlite/, and the claims of patients' time, filled and weighed.
-- A stand-in for migrations/postgres/: once those are there, weigh them instead; the queries at the end stay.
--
--   psql -X -v bookings=1000000 -f deploy/capacity/row-sizes.sql DATABASE      (an empty database; a minute or two)
--
-- Bookings come in the order of time, 20 a day, patients and ids at random: so ids and patients fill their indexes as
-- scattered as in life. Records have the body that was measured in an embedded journal (116 bytes).
\set ON_ERROR_STOP on
\if :{?bookings}
\else
  \set bookings 1000000
\endif
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE appointment (
    id uuid PRIMARY KEY, doctor uuid NOT NULL, date date NOT NULL, patient uuid NOT NULL, start_ms bigint NOT NULL,
    end_ms bigint NOT NULL, place integer NOT NULL, status text NOT NULL, hold_expires_ms bigint, reason_key bigint,
    reason bytea, created_ms bigint NOT NULL, updated_ms bigint NOT NULL, version bigint NOT NULL);
CREATE INDEX appointment_by_patient ON appointment (patient, start_ms, id);
CREATE INDEX appointment_by_date
    ON appointment (date, doctor, start_ms, id, status, end_ms, patient, hold_expires_ms, version);
CREATE TABLE appointment_history (
    appointment uuid NOT NULL, version bigint NOT NULL, at_ms bigint NOT NULL, actor uuid NOT NULL, role text NOT NULL,
    request uuid NOT NULL, from_status text, to_status text NOT NULL, reason_key bigint, reason bytea,
    PRIMARY KEY (appointment, version));
CREATE TABLE doctor_day (
    doctor uuid NOT NULL, date date NOT NULL, time_zone text NOT NULL, time_zone_database text NOT NULL,
    first_start_ms bigint NOT NULL, last_end_ms bigint NOT NULL, slots integer NOT NULL, capacity bigint NOT NULL,
    first_release_ms bigint NOT NULL, releases integer NOT NULL, closed_ms bigint, closed_reason_key bigint,
    closed_reason bytea, epoch bigint NOT NULL, sequence bigint NOT NULL, PRIMARY KEY (doctor, date));
CREATE TABLE seat (
    doctor uuid NOT NULL, date date NOT NULL, start_ms bigint NOT NULL, place integer NOT NULL, appointment uuid NOT NULL,
    PRIMARY KEY (doctor, date, start_ms, place));
CREATE TABLE applied_day (
    doctor uuid NOT NULL, date date NOT NULL, epoch bigint NOT NULL, sequence bigint NOT NULL, PRIMARY KEY (doctor, date));
CREATE TABLE won_key (
    until_date date NOT NULL, doctor uuid NOT NULL, date date NOT NULL, digest bytea NOT NULL,
    PRIMARY KEY (until_date, doctor, date, digest));
CREATE TABLE block (
    shard integer NOT NULL, position bigint NOT NULL, previous_position bigint NOT NULL, doctor uuid NOT NULL,
    date date NOT NULL, first_sequence bigint NOT NULL, record_count integer NOT NULL, body bytea NOT NULL,
    PRIMARY KEY (shard, position));
CREATE TABLE head (
    doctor uuid NOT NULL, date date NOT NULL, epoch bigint NOT NULL, sequence bigint NOT NULL, hash bytea NOT NULL,
    position bigint NOT NULL, next_work_at bigint, PRIMARY KEY (doctor, date));
CREATE TABLE patient_claim (
    id uuid NOT NULL, patient uuid NOT NULL, appointment uuid NOT NULL, doctor uuid NOT NULL, date date NOT NULL,
    during int8range NOT NULL, shard integer NOT NULL, epoch bigint NOT NULL, PRIMARY KEY (id),
    EXCLUDE USING gist (patient WITH =, during WITH &&, appointment WITH <>));
CREATE TABLE patient (
    id uuid PRIMARY KEY, name_key bigint NOT NULL, name bytea NOT NULL, phone_key bigint, phone bytea, email_key bigint,
    email bytea, telegram_key bigint, telegram bytea, language text, time_zone text, channels text,
    created_ms bigint NOT NULL, updated_ms bigint NOT NULL);
CREATE TABLE doctor (
    id uuid PRIMARY KEY, name text NOT NULL, time_zone text NOT NULL, location_name text NOT NULL, city text NOT NULL,
    city_folded text NOT NULL, latitude double precision NOT NULL, longitude double precision NOT NULL, bio text,
    specialties text NOT NULL, languages text NOT NULL, clinic uuid, created_ms bigint NOT NULL, updated_ms bigint NOT NULL);
CREATE INDEX doctor_by_name ON doctor (name, id);
CREATE INDEX doctor_by_city ON doctor (city_folded, name, id);

CREATE TEMP TABLE booking AS
    SELECT gen_random_uuid() AS id, gen_random_uuid() AS patient, n, n / 20 AS day_number, n % 20 AS slot
    FROM generate_series(0, :bookings - 1) AS n;
CREATE TEMP TABLE day AS
    SELECT day_number, gen_random_uuid() AS doctor, date '2027-01-01' + (day_number / 2000) AS date
    FROM generate_series(0, (:bookings - 1) / 20) AS day_number;
CREATE TEMP VIEW made AS
    SELECT b.*, d.doctor, d.date, extract(epoch FROM d.date)::bigint * 1000 + 32400000 + b.slot * 1200000 AS start_ms
    FROM booking AS b JOIN day AS d USING (day_number) ORDER BY b.n;
SELECT pg_current_wal_lsn() AS wal_before \gset
INSERT INTO block SELECT day_number % 1024, n + 1, greatest(n - 1, 0), doctor, date, slot + 2, 1,
    substr(decode(md5(n::text) || md5((n + 1)::text) || md5((n + 2)::text) || md5((n + 3)::text) || md5((n + 4)::text)
        || md5((n + 5)::text) || md5((n + 6)::text) || md5((n + 7)::text) || md5((n + 8)::text), 'hex'), 1, 140)
    FROM made;
INSERT INTO head SELECT doctor, date, 1, 21, decode(md5(day_number::text), 'hex'), day_number * 20 + 20, NULL FROM day;
INSERT INTO patient_claim SELECT gen_random_uuid(), patient, id, doctor, date, int8range(start_ms, start_ms + 1200000),
    day_number % 1024, 1 FROM made;
SELECT pg_current_wal_lsn() AS wal_journal \gset
INSERT INTO appointment SELECT id, doctor, date, patient, start_ms, start_ms + 1200000, 0, 'booked', NULL, NULL, NULL,
    start_ms - 86400000, start_ms - 86400000, 4294967296 + slot + 2 FROM made;
INSERT INTO appointment_history SELECT id, 4294967296 + slot + 2, start_ms - 86400000, patient, 'patient',
    gen_random_uuid(), NULL, 'booked', NULL, NULL FROM made;
INSERT INTO seat SELECT doctor, date, start_ms, 0, id FROM made;
INSERT INTO won_key SELECT date, doctor, date, decode(md5(n::text), 'hex') FROM made;
INSERT INTO applied_day SELECT doctor, date, 1, 21 FROM day;
INSERT INTO doctor_day SELECT doctor, date, 'Europe/Berlin', '2026a', 0, 0, 20, 20, 0, 1, NULL, NULL, NULL, 1, 1 FROM day;
SELECT pg_current_wal_lsn() AS wal_ledger \gset
INSERT INTO patient SELECT patient, 7, sha256(patient::text::bytea), 7, substr(sha256(patient::text::bytea), 1, 28), 7,
    sha256(id::text::bytea), NULL, NULL, 'de', 'Europe/Berlin', '["email"]', 1, 1 FROM booking;
INSERT INTO doctor SELECT doctor, 'Dr ' || substr(md5(doctor::text), 1, 16), 'Europe/Berlin', 'Practice on the Square',
    'Berlin', 'berlin', 52.52, 13.40, NULL, '["dermatology"]', '["de", "en"]', NULL, 1, 1 FROM day;
VACUUM (ANALYZE, FREEZE);

-- Bytes a row with its indexes, and bytes a booking, of each table.
SELECT relname AS "table", n_live_tup AS rows, round(pg_table_size(relid) / n_live_tup::numeric) AS table_bytes_a_row,
    round(pg_indexes_size(relid) / n_live_tup::numeric) AS index_bytes_a_row,
    round(pg_total_relation_size(relid) / n_live_tup::numeric) AS bytes_a_row,
    round(pg_total_relation_size(relid) / (:bookings)::numeric) AS bytes_a_booking
FROM pg_stat_user_tables WHERE n_live_tup > 0 AND schemaname = 'public' ORDER BY relname;

-- Bytes of write-ahead log a booking, without full-page images of a running system.
SELECT round(pg_wal_lsn_diff(:'wal_journal', :'wal_before') / (:bookings)::numeric) AS journal_wal_bytes_a_booking,
    round(pg_wal_lsn_diff(:'wal_ledger', :'wal_journal') / (:bookings)::numeric) AS ledger_wal_bytes_a_booking;
