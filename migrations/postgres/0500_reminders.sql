-- Messages about visits, written by the applier together with the appointment, and what has become of each, written by
-- whoever sends. What was sent cannot be built again from the journal: never emptied with the projections.

SET LOCAL lock_timeout = '10s';

-- Every row is updated twice or more, until it is over.
CREATE TABLE reminder (
    appointment    uuid     NOT NULL,
    due_ms         bigint   NOT NULL,
    -- When it is looked at next: NULL once it is over.
    next_ms        bigint,
    version        integer  NOT NULL,
    -- Before the start; 0 unless it is a reminder.
    offset_seconds integer  NOT NULL,
    attempts       integer  NOT NULL,
    -- 0 reminder, 1 confirmation, 2 change, 3 cancellation.
    kind           smallint NOT NULL,
    -- 0 file, 1 email, 2 sms, 3 telegram, 4 webhook.
    channel        smallint NOT NULL,
    -- 0 patient, 1 doctor. Their addresses are read when it is sent.
    recipient      smallint NOT NULL,
    -- Of the day on which the appointment stands at that version: whose owner sends.
    shard          smallint NOT NULL,
    status         text     NOT NULL,
    -- The start of the process that sends it.
    claimer        uuid,
    last_error     text,
    sent_ms        bigint,
    -- Numbers of the channels to try next, in order; NULL: none.
    fallback       text,
    -- Its id, while it is dead: how an operator finds it.
    message        uuid,
    PRIMARY KEY (appointment, version, kind, offset_seconds, channel, recipient)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

-- What is over costs these indexes nothing.
CREATE INDEX reminder_due ON reminder (next_ms) INCLUDE (shard) WHERE next_ms IS NOT NULL;
CREATE INDEX reminder_dead ON reminder (due_ms, message) WHERE message IS NOT NULL;
CREATE INDEX reminder_dead_by_message ON reminder (message) WHERE message IS NOT NULL;

-- Ordinary rows, written here alone. `scope` is `clinic` or `doctor`; a policy is a JSON document.
CREATE TABLE reminder_policy (
    scope      text   NOT NULL,
    id         uuid   NOT NULL,
    policy     text   NOT NULL,
    updated_ms bigint NOT NULL,
    PRIMARY KEY (scope, id)
);

-- What messages say, by a name that policies use; a template is a JSON document.
CREATE TABLE message_template (
    name       text COLLATE "C" NOT NULL PRIMARY KEY,
    template   text             NOT NULL,
    updated_ms bigint           NOT NULL
);
