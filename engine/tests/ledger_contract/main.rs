//! What every ledger, registry, reader and applier must do, whatever the database: one suite, run on each backend.
//! Must not know: SQL, files other than the backend's own.

mod agreement;
mod applier;
mod faults;
mod fence;
mod in_bulk;
mod journal;
mod ledger;
mod lost;
mod mischief;
mod moves;
mod people;
mod policies;
mod properties;
mod raw;
mod reader;
mod registry;
mod registry_agreement;
mod reminders;
mod seats;
mod sending;
mod sharded;
mod start;
mod story;
mod tables;
mod wild;

use std::sync::Arc;

use async_trait::async_trait;
use engine::config::ReminderSettings;
use engine::ledger::Ledger;
use engine::ledger::memory::MemoryLedger;
use engine::ledger::postgres::PostgresLedger;
use engine::ledger::registry::Registry;
use engine::ledger::reminders::ReminderStore;
use engine::ledger::sqlite::SqliteLedger;
use engine::ownership::Tenures;

/// Both stores of one database.
pub(crate) struct Stores {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) reminders: Arc<dyn ReminderStore>,
}

impl Stores {
    pub(crate) fn of<L: Ledger + Registry + ReminderStore>(ledger: L) -> Self {
        let ledger = Arc::new(ledger);
        Self { ledger: ledger.clone(), registry: ledger.clone(), reminders: ledger }
    }
}

/// A database that is empty at first. Opening it again finds what was written before.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    async fn open_with(&self, reminders: &ReminderSettings) -> Stores;

    /// With the usual reminders.
    async fn open(&self) -> Stores {
        self.open_with(&ReminderSettings::default()).await
    }
}

/// SQLite in a directory of its own.
struct Sqlite {
    directory: tempfile::TempDir,
}

impl Sqlite {
    async fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }
}

#[async_trait]
impl Backend for Sqlite {
    async fn open_with(&self, reminders: &ReminderSettings) -> Stores {
        let ledger = SqliteLedger::open(self.directory.path()).await.expect("the ledger opens");
        Stores::of(ledger.with_reminders(reminders))
    }
}

/// The same behind a journal that may forget its end.
struct Forgetful {
    directory: tempfile::TempDir,
}

impl Forgetful {
    async fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }
}

#[async_trait]
impl Backend for Forgetful {
    async fn open_with(&self, reminders: &ReminderSettings) -> Stores {
        let opened = SqliteLedger::open_behind_forgetful(self.directory.path()).await;
        Stores::of(opened.expect("the ledger opens").with_reminders(reminders))
    }
}

/// Rows in memory, opened again by the next process.
struct Memory {
    ledger: MemoryLedger,
}

impl Memory {
    async fn new() -> Self {
        Self { ledger: MemoryLedger::default() }
    }
}

#[async_trait]
impl Backend for Memory {
    async fn open_with(&self, reminders: &ReminderSettings) -> Stores {
        Stores::of(self.ledger.reopen().with_reminders(reminders))
    }
}

/// PostgreSQL: a server of its own, and a database that this process owns wholly. Records are kept as they were in the journal.
pub(crate) struct Database {
    server: servers::Postgres,
    url: String,
}

impl Database {
    /// The epoch of every shard.
    pub(crate) const EPOCH: u32 = 3;

    pub(crate) async fn new() -> Self {
        let server = servers::Postgres::start().await;
        let url = server.url();
        drop(Self::ledger(&url, Tenures::none()).await);
        server.execute(&format!("UPDATE shard_owner SET epoch = {}", Self::EPOCH)).await;
        Self { server, url }
    }

    pub(crate) async fn ledger(url: &str, tenures: Tenures) -> PostgresLedger {
        PostgresLedger::open(url, Arc::new(tenures), true).await.expect("the ledger opens")
    }
}

#[async_trait]
impl Backend for Database {
    async fn open_with(&self, reminders: &ReminderSettings) -> Stores {
        let ledger = Self::ledger(&self.url, Tenures::sole(Self::EPOCH)).await;
        Stores::of(ledger.with_reminders(reminders))
    }
}

/// One test a name on one backend.
macro_rules! contract {
    ($backend:ident in $module:ident: $($suite:ident :: { $($test:ident),* $(,)? }),* $(,)?) => {
        mod $module {
            $(mod $suite {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::$suite::$test(&crate::$backend::new().await).await;
                })*
            })*
        }
    };
}

/// The same tests on every backend; a later database adds a line.
macro_rules! on_each_backend {
    ($($suites:tt)*) => {
        contract!(Sqlite in sqlite: $($suites)*);
        contract!(Memory in memory: $($suites)*);
        contract!(Database in postgres: $($suites)*);
    };
}

on_each_backend!(
    ledger::{
        rows_are_those_of_the_core,
        applying_again_changes_nothing,
        history_is_complete,
        gaps_and_forks_are_refused,
        cursor_moves_with_its_batch,
        parked_days_are_skipped,
        unparking_is_all_or_nothing,
        pages_are_stable,
        statuses_are_told_at_now,
        a_restart_forgets_nothing,
    },
    seats::{
        a_place_taken_twice_is_refused_without_trace,
        collapsing_a_batch_hides_no_violation,
        places_change_hands_within_a_batch,
        only_the_holder_gives_a_place_back,
    },
    moves::{
        a_move_is_one_step_and_one_row,
        every_step_is_seen_before_and_after_the_ledger,
        one_record_a_batch_or_all_in_one,
        an_arrival_has_its_seat_from_the_first_step,
        a_parked_day_of_departure_shows_the_new_home,
        a_home_without_a_row_is_shown, a_home_that_another_process_has_yet_to_apply_is_shown,
    },
    start::{
        live_appointments_are_those_that_are_not_over,
        many_live_appointments_come_once_each,
        appointments_of_a_day_that_is_parked_from_its_first_record_count,
        won_keys_follow_the_days_of_their_answers,
        many_keys_are_forgotten_in_batches,
    },
    reader::{
        own_writes_are_seen_before_the_ledger_has_them,
        the_higher_version_wins,
        nothing_slips_between_the_two_reads,
        filters_apply_to_the_merged_rows,
        pages_are_full_however_much_waits,
    },
    people::{
        a_patient_is_put_read_and_replaced,
        puts_keep_the_first_instant_and_never_go_back,
        sealed_text_stays_sealed,
        clinics_are_put_read_and_replaced,
    },
    policies::{
        a_policy_is_put_read_and_taken_away,
        a_doctors_policy_stands_before_its_clinics,
        templates_are_put_read_and_listed,
    },
    reminders::{
        rows_follow_the_life_of_an_appointment,
        a_move_to_another_day_takes_its_reminders_along,
        what_is_not_booked_has_none,
        rows_are_the_same_however_records_come,
        policies_and_patients_are_heeded,
        a_large_batch_has_every_row,
        applying_again_leaves_what_was_sent,
    },
    in_bulk::{
        due_rows_come_in_pages,
        many_are_read_at_once,
    },
    sending::{
        due_rows_come_by_instant,
        a_claim_that_came_to_nothing_is_no_attempt,
        one_of_two_claims_wins,
        a_claim_lapses,
        the_next_start_takes_over_what_the_last_one_claimed,
        an_outcome_is_recorded_once,
        a_channel_that_gives_up_hands_on,
        what_is_void_while_it_is_sent_is_not_tried_again,
        dead_letters_are_listed_driven_again_and_discarded,
    },
    registry::{
        a_key_answers_once,
        coordinates_are_replayed_to_the_last_digit,
        twins_in_flight_write_once,
        updates_replace_the_profile,
        filters_fold_case_and_combine,
        pages_follow_name_and_id,
    },
    applier::{
        brings_the_ledger_up_and_follows,
        stop_applies_all_that_was_told,
        waits_while_the_ledger_is_away,
        does_not_start_behind_its_ledger,
        own_writes_are_seen_while_it_runs,
    },
    faults::{
        a_poison_row_parks_one_day_only,
        an_undecodable_record_parks_its_day,
        a_parked_day_is_tried_again_at_start,
        a_parked_day_is_tried_again_each_minute_where_shards_change_hands,
        a_parked_day_follows_its_journal,
    },
    properties::{ any_cut_of_the_journal_gives_the_same_rows },
    sharded::{
        only_the_shards_that_are_asked_for_are_told,
        an_appointment_that_moves_is_told_by_its_new_shard,
        a_new_owner_goes_on_where_the_shard_is,
    },
);

/// Behind a journal that may forget its end.
macro_rules! on_each_that_keeps_records {
    ($($suites:tt)*) => {
        contract!(Forgetful in sqlite_behind_forgetful: $($suites)*);
        contract!(Database in postgres_behind_forgetful: $($suites)*);
    };
}

on_each_that_keeps_records!(raw::{
    records_are_kept_until_their_day_is_over,
    records_of_a_parked_day_are_kept_too,
    another_record_in_the_place_of_a_kept_one_is_a_fork,
}, lost::{
    lost_records_wait_until_they_are_settled,
    lost_records_are_kept_until_their_day_is_over,
});

#[tokio::test]
async fn migrate_says_what_it_did() {
    let backend = Sqlite::new().await;
    let first = SqliteLedger::migrate(backend.directory.path()).await.expect("migrates");
    let again = SqliteLedger::migrate(backend.directory.path()).await.expect("migrates again");
    assert!(first.contains("run, the schema is at version"), "{first}");
    assert!(again.contains("nothing to do"), "{again}");
}

#[tokio::test]
async fn a_file_that_is_no_ledger_is_refused_in_words() {
    let backend = Sqlite::new().await;
    std::fs::write(backend.directory.path().join("ledger.db"), vec![7; 8_192]).expect("writes");
    let error = SqliteLedger::open(backend.directory.path()).await.err().expect("no ledger");
    assert!(error.to_string().contains("ledger.db"), "{error}");
}
