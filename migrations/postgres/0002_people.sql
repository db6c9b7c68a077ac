-- Patients and clinics: ordinary rows, written here alone. Nothing else refers to them: a patient may book without a
-- row, and a doctor may name a clinic that has none.

-- What a patient says of itself. Personal text is two columns, see migrations/README.md, rule 7.
CREATE TABLE patient (
    id           uuid   NOT NULL PRIMARY KEY,
    name_key     bigint NOT NULL,
    name         bytea  NOT NULL,
    phone_key    bigint,
    phone        bytea,
    email_key    bigint,
    email        bytea,
    telegram_key bigint,
    telegram     bytea,
    language     text,
    time_zone    text,
    -- JSON array of words, in the order given; NULL: not said.
    channels     text,
    created_ms   bigint NOT NULL,
    updated_ms   bigint NOT NULL
);

CREATE TABLE clinic (
    id         uuid   NOT NULL PRIMARY KEY,
    name       text   NOT NULL,
    time_zone  text,
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL
);
