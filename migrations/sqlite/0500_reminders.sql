-- Messages about visits, written by the applier together with the appointment, and what has become of each, written by
-- whoever sends. What was sent cannot be built again from the journal: never emptied with the projections.

CREATE TABLE reminder (
    -- The key, which rises with the ids of appointments. 0 reminder, 1 confirmation, 2 change, 3 cancellation.
    appointment    BLOB    NOT NULL,
    version        INTEGER NOT NULL,
    kind           INTEGER NOT NULL,
    -- Before the start; 0 unless it is a reminder.
    offset_seconds INTEGER NOT NULL,
    -- 0 file, 1 email, 2 sms, 3 telegram, 4 webhook.
    channel        INTEGER NOT NULL,
    -- 0 patient, 1 doctor. Their addresses are read when it is sent.
    recipient      INTEGER NOT NULL,
    due_ms         INTEGER NOT NULL,
    -- When it is looked at next: NULL once it is over.
    next_ms        INTEGER,
    status         TEXT    NOT NULL,
    attempts       INTEGER NOT NULL,
    -- The start of the process that sends it.
    claimer        BLOB,
    last_error     TEXT,
    sent_ms        INTEGER,
    -- Numbers of the channels to try next, in order; NULL: none.
    fallback       TEXT,
    -- Its id, while it is dead: how an operator finds it.
    message        BLOB,
    PRIMARY KEY (appointment, version, kind, offset_seconds, channel, recipient)
) STRICT, WITHOUT ROWID;

-- What is over costs these indexes nothing.
CREATE INDEX reminder_due ON reminder (next_ms) WHERE next_ms IS NOT NULL;
CREATE INDEX reminder_dead ON reminder (due_ms, message) WHERE message IS NOT NULL;
CREATE INDEX reminder_dead_by_message ON reminder (message) WHERE message IS NOT NULL;

-- Ordinary rows, written here alone. `scope` is `clinic` or `doctor`; a policy is a JSON document.
CREATE TABLE reminder_policy (
    scope      TEXT    NOT NULL,
    id         BLOB    NOT NULL,
    policy     TEXT    NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (scope, id)
) STRICT, WITHOUT ROWID;

-- What messages say, by a name that policies use; a template is a JSON document.
CREATE TABLE message_template (
    name       TEXT    NOT NULL PRIMARY KEY,
    template   TEXT    NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
