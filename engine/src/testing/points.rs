//! Every crash point, by a stable name: each stands where durable state, or what somebody outside was told, changes.
//! Must not know: how a process is killed, who sweeps. Depends on nothing, as the black-box tests compile this table too.

/// Declares the points: what is the case there, the variant, its name.
macro_rules! points {
    ($($(#[doc = $what:literal])+ $point:ident = $name:literal,)+) => {
        /// A place where a test can kill the process. See `crash_point!`.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Point {
            $($(#[doc = $what])+ $point,)+
        }

        impl Point {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$point,)+];

            /// Its name, which stays when the code around it moves.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }

            /// The inverse of [`Point::name`].
            pub fn of_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|point| point.name() == name)
            }
        }
    };
}

points! {
    // The start, in this order.
    /// A new key of tokens is whole in a file of another name.
    KeyBeforeLink = "key.before_link",
    /// It has its name, and still the other one too.
    KeyLinked = "key.linked",
    /// The data directory is this process's.
    DirectoryLocked = "directory.locked",
    /// The journal's WAL has been brought into its file: at each start before and after the epoch is raised, and at a clean stop.
    JournalWalEmptied = "journal.wal_emptied",
    /// The journal's schema is up to date.
    JournalMigrated = "journal.migrated",
    /// The journal has a new epoch.
    JournalEpochRaised = "journal.epoch_raised",
    /// The journal is open.
    JournalOpened = "journal.opened",
    /// The ledger is open, its schema perhaps old.
    LedgerBeforeMigrate = "ledger.before_migrate",
    /// The ledger's schema is up to date.
    LedgerMigrated = "ledger.migrated",
    /// The ledger has everything the journal has.
    StartCaughtUp = "start.caught_up",
    /// The claims are as the ledger says.
    StartClaimsRestored = "start.claims_restored",
    /// The engine is put together; nobody has asked yet.
    StartAssembled = "start.assembled",
    /// The ledger has been told that old keys will be forgotten, and has them still.
    LedgerForgetTold = "ledger.forget.told",
    /// Everything runs; nobody has been told the address.
    StartBeforeFirstLine = "start.before_first_line",

    // A command on its way: decided, submitted, appended, published, answered.
    /// A day has decided records, and told nobody.
    DayBeforeSubmit = "day.before_submit",
    /// They are the committer's.
    DaySubmitted = "day.submitted",
    /// The committer has taken a batch.
    CommitterBeforeAppend = "committer.before_append",
    /// The batch is checked inside its transaction, and nothing of it is written.
    JournalAppendBeforeCommit = "journal.append.before_commit",
    /// The batch is durable, and nobody knows.
    JournalAppendAfterCommit = "journal.append.after_commit",
    /// The committer knows, and no day does.
    CommitterBeforeTell = "committer.before_tell",
    /// One day of the batch has been told.
    CommitterToldDay = "committer.told_day",
    /// A day has been told, and has published nothing.
    DayBeforePublish = "day.before_publish",
    /// Readers of appointments see the records.
    DayOverlayPublished = "day.overlay_published",
    /// What they claimed across days is live, what they freed is free.
    DayClaimsSettled = "day.claims_settled",
    /// Their keys have won.
    DayKeysWon = "day.keys_won",
    /// Readers of the day see the records.
    DayPicturePublished = "day.picture_published",
    /// Everything is published, and nobody answered.
    DayBeforeReplies = "day.before_replies",
    /// One answer has left the day.
    ReplyReleased = "day.reply_released",
    /// All answers have, and no watcher knows.
    DayAfterReplies = "day.after_replies",
    /// An answer of HTTP is whole, and not yet on its way.
    HttpBeforeAnswer = "http.before_answer",
    /// A hold that was due is expired by the day's own decision, which is not submitted.
    ExpiryDecided = "expiry.decided",

    // What a doctor does.
    /// A publication overlaps no neighbour, and is not submitted.
    PublishBeforeSubmit = "publish.before_submit",
    /// A publication has its outcome; its lane is not free yet.
    PublishBeforeReply = "publish.before_reply",
    /// A day is closed, and whoever closed it does not know.
    CloseBeforeReply = "close.before_reply",
    /// A row of the registry is written inside its transaction.
    RegistryBeforeCommit = "registry.before_commit",
    /// It is durable, and nobody knows.
    RegistryAfterCommit = "registry.after_commit",

    // A move to another day.
    /// The day of departure lets the appointment go.
    MovePrepared = "move.prepared",
    /// The day of arrival keeps a place, durably.
    MoveHeld = "move.held",
    /// The day of departure has committed, durably, and nobody was told.
    MoveCommitted = "move.committed",
    /// The caller was told; the day of arrival was not.
    MoveTold = "move.told",
    /// The day of arrival has taken the appointment in.
    MoveAccepted = "move.accepted",
    /// A move that nobody drives has been found committed.
    MoveFoundCommitted = "move.found_committed",
    /// A move that nobody drives has been found to come to nothing.
    MoveFoundAborted = "move.found_aborted",
    /// The place kept for it is given back.
    MoveDropped = "move.dropped",

    // Behind the journal.
    /// The applier has read records that the ledger lacks.
    LedgerBulkRead = "ledger.bulk_read",
    /// They are written inside the ledger's transaction, and so is the cursor.
    LedgerApplyBeforeCommit = "ledger.apply.before_commit",
    /// The ledger has them, and the applier does not know.
    LedgerApplyAfterCommit = "ledger.apply.after_commit",
    /// The applier knows; the overlay has them still.
    LedgerBeforeEvict = "ledger.before_evict",
    /// The overlay has them no more.
    LedgerEvicted = "ledger.evicted",
    /// Any transaction of the ledger is about to commit: also a parked day's, and that of forgetting.
    LedgerTransactionBeforeCommit = "ledger.transaction.before_commit",
    /// It has committed.
    LedgerTransactionAfterCommit = "ledger.transaction.after_commit",
    /// A checkpoint of the journal begins beside the writer.
    CheckpointBegun = "checkpoint.begun",
    /// Its first part is done; the writer waits.
    CheckpointBesideWriterDone = "checkpoint.beside_writer_done",
    /// It is done.
    CheckpointDone = "checkpoint.done",

    // Messages to patients and doctors.
    /// Messages are claimed, and none is checked or sent.
    ReminderClaimed = "reminder.claimed",
    /// They are sent, and nobody has recorded it.
    ReminderBeforeRecord = "reminder.before_record",
    /// What became of them is durable.
    ReminderRecorded = "reminder.recorded",

    // Days that sleep.
    /// A day has its state, from packed bytes or from the journal, and nobody sees it yet.
    DayRead = "day.read",
    /// A day's packed state waits to be saved.
    SnapshotQueued = "snapshot.queued",
    /// The journal's writer is taken for snapshots.
    SnapshotBeforeSave = "snapshot.before_save",
    /// They are saved.
    SnapshotAfterSave = "snapshot.after_save",
    /// A day is about to sleep.
    DayBeforeSleep = "day.before_sleep",
    /// Its packed bytes are put down; the day is awake still.
    DayPutDown = "day.put_down",
    /// It sleeps, or somebody was at the door.
    DayAsleep = "day.asleep",
    /// It has been asked for again; its packed bytes are taken away.
    DayWoken = "day.woken",

    // The stop, in this order.
    /// The process has been asked to end.
    StopAsked = "stop.asked",
    /// No request is answered any more.
    StopServersEnded = "stop.servers_ended",
    /// No command is in flight.
    StopDrained = "stop.drained",
    /// Nothing will be appended any more.
    StopCommitterEnded = "stop.committer_ended",
    /// The ledger has everything the journal has.
    StopApplierEnded = "stop.applier_ended",
    /// The ledger is closed.
    StopLedgerClosed = "stop.ledger_closed",
    /// The journal's readers are gone, its WAL is not brought in.
    JournalCloseBegun = "journal.close_begun",
    /// The journal is closed; the directory is locked still.
    JournalClosed = "journal.closed",
    /// Everything is closed; the process has not said that it went well.
    StopDone = "stop.done",
}
