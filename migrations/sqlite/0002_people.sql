-- Patients and clinics: ordinary rows, written here alone. Nothing else refers to them: a patient may book without a
-- row, and a doctor may name a clinic that has none.

-- What a patient says of itself. Personal text is two columns, see migrations/README.md, rule 7.
CREATE TABLE patient (
    id           BLOB    NOT NULL PRIMARY KEY,
    name_key     INTEGER NOT NULL,
    name         BLOB    NOT NULL,
    phone_key    INTEGER,
    phone        BLOB,
    email_key    INTEGER,
    email        BLOB,
    telegram_key INTEGER,
    telegram     BLOB,
    language     TEXT,
    time_zone    TEXT,
    -- JSON array of words, in the order given; NULL: not said.
    channels     TEXT,
    created_ms   INTEGER NOT NULL,
    updated_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE clinic (
    id         BLOB    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    time_zone  TEXT,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
