-- What days of several nodes claim across each other: a patient's time, and an idempotency key. A claim comes before its record; one
-- without a record is an orphan, and whoever meets it asks its day (`day`: the doctor's sixteen bytes, then the days since 1970).
-- On one day the day's own state decides, and an appointment that moves never stands in its own way.

SET LOCAL lock_timeout = '10s';

CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE patient_claim (
    id uuid PRIMARY KEY,
    patient uuid NOT NULL,
    appointment uuid NOT NULL,
    day bytea NOT NULL,
    during tstzrange NOT NULL,
    shard smallint NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    -- Raised when an attempt whose outcome was unknown is repeated: a write, so that its commit waits for what the first one wrote.
    attempt smallint NOT NULL DEFAULT 0,
    CONSTRAINT one_place_at_a_time
        EXCLUDE USING gist (patient WITH =, during WITH &&, appointment WITH <>, day WITH <>)
) WITH (fillfactor = 90);

CREATE INDEX patient_claim_appointment ON patient_claim (appointment);
CREATE INDEX patient_claim_over ON patient_claim (upper(during));

CREATE TABLE key_claim (
    digest bytea PRIMARY KEY,
    id uuid NOT NULL,
    day bytea NOT NULL,
    until_date date NOT NULL,
    shard smallint NOT NULL,
    epoch bigint NOT NULL,
    attempt smallint NOT NULL DEFAULT 0
) WITH (fillfactor = 90);

CREATE INDEX key_claim_id ON key_claim (id);
CREATE INDEX key_claim_over ON key_claim (until_date);
