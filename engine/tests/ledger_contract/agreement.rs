//! Two ledgers that share no rule, the same histories in the same random batches: the same verdicts, rows and answers.
//! Must not know: what is right. What both are wrong about, the rest of the suite must find.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use booking_core::{AppointmentId, DayKey, Status, UtcMillis};
use engine::journal::ReadError;
use engine::ledger::memory::MemoryLedger;
use engine::ledger::{AppliedRecord, ApplyError, AppointmentQuery, AppointmentScope, Ledger};
use engine::ownership::ShardSet;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::mischief::{self, Mischief};
use crate::story::{SLOT_MILLIS, Story, date, start};
use crate::tables::{self, Tables};
use crate::wild::{COMMANDS, DAYS, PATIENTS, SLOTS, Wish, nobody, wild_day, wild_patient, wild_story};
use crate::{Backend, Database, Sqlite};

/// SQLite is asked in microseconds, PostgreSQL in milliseconds.
const CASES: u128 = 72;
const CASES_OF_POSTGRES: u128 = 16;
/// Cases in one pair of ledgers: so many that others' rows are in the way, so few that all rows can be compared often.
const CASES_TOGETHER: u128 = 8;

/// One batch: how far it reaches beyond the last, how much of what was applied it brings again, and a number that
/// chooses what else happens before it.
type Cut = (usize, usize, u64);

/// Of a filter and a page.
type Asked = (u128, u8, Option<usize>, Option<usize>, Option<u64>, usize, usize);

/// A database whose rows can be looked at past its ledger.
#[async_trait::async_trait]
trait Place: Backend {
    async fn tables(&self) -> Tables;
}

#[async_trait::async_trait]
impl Place for Sqlite {
    async fn tables(&self) -> Tables {
        tables::in_file(self.directory.path()).await
    }
}

#[async_trait::async_trait]
impl Place for Database {
    async fn tables(&self) -> Tables {
        tables::in_database(&self.url).await
    }
}

/// The two ledgers: one in a database, one in memory.
struct Both<P> {
    stored: Arc<dyn Ledger>,
    memory: MemoryLedger,
    place: P,
}

/// What an outcome comes to, without its words.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Verdict<T> {
    Done(T),
    Refused,
    Away,
    Damaged,
}

fn verdict<T>(outcome: Result<T, &ApplyError>) -> Verdict<T> {
    match outcome {
        Ok(value) => Verdict::Done(value),
        Err(ApplyError::Refused(_)) => Verdict::Refused,
        Err(ApplyError::Unavailable(_)) => Verdict::Away,
    }
}

fn answer<T>(outcome: Result<T, &ReadError>) -> Verdict<T> {
    match outcome {
        Ok(value) => Verdict::Done(value),
        Err(ReadError::Unavailable(_)) => Verdict::Away,
        Err(ReadError::Damaged(_)) => Verdict::Damaged,
    }
}

/// Asks both the same, which must agree; tells what the one in memory says.
macro_rules! agreed {
    ($both:expr, $kind:ident, $call:ident($($argument:expr),*)) => {{
        let (stored, memory) = ($both.stored.$call($($argument),*).await, $both.memory.$call($($argument),*).await);
        assert!(
            $kind(stored.as_ref()) == $kind(memory.as_ref()),
            "{} of {:?}: stored {stored:?}, memory {memory:?}", stringify!($call), ($(&$argument,)*)
        );
        memory
    }};
}

impl<P: Place> Both<P> {
    async fn new(place: P) -> Self {
        Self { stored: place.open().await.ledger, memory: MemoryLedger::default(), place }
    }

    async fn apply(&self, records: &[AppliedRecord], position: u64) -> Result<(), ApplyError> {
        agreed!(self, verdict, apply(records, position))
    }

    /// Every row is the same.
    async fn assert_same_tables(&self, when: &str) {
        let (stored, memory) = (self.place.tables().await, tables::in_memory(&self.memory.contents()));
        for ((table, rows), (_, in_memory)) in stored.iter().zip(&memory) {
            assert_eq!(rows, in_memory, "left stored, right memory: {table} {when}");
        }
        assert_eq!(stored.len(), memory.len());
    }

    async fn assert_same_days(&self, case: u128) {
        for number in 0..=DAYS {
            let day = wild_day(case, number);
            drop(agreed!(self, answer, time_zone(day)));
            drop(agreed!(self, answer, applied_sequence(day)));
        }
        drop(agreed!(self, answer, applied_position()));
        drop(agreed!(self, answer, parked()));
    }

    async fn assert_same_appointments(&self, story: &Story) {
        let known = story.rows().into_iter().map(|(_, row)| row.id);
        for id in known.chain([nobody()]) {
            drop(agreed!(self, answer, appointment(id)));
            drop(agreed!(self, answer, history(id)));
        }
    }

    async fn assert_same_pages(&self, case: u128, story: &Story, asked: &[Asked]) -> usize {
        let mut rows = 0;
        for asked in asked {
            let query = query_of(case, story, *asked);
            rows += agreed!(self, answer, appointments(&query)).map_or(0, |page| page.len());
        }
        rows
    }

    /// What is asked at a start.
    async fn assert_same_start(&self) {
        for slot in 0..=SLOTS {
            for now in [start(slot).0 - 1, start(slot).0] {
                let (mut stored, mut memory) = (Vec::new(), Vec::new());
                let now = UtcMillis(now);
                self.stored.live_appointments(&ShardSet::ALL, now, &mut |live| stored.push(live)).await.expect("read");
                self.memory.live_appointments(&ShardSet::ALL, now, &mut |live| memory.push(live)).await.expect("read");
                stored.sort_unstable_by_key(|live| live.id);
                memory.sort_unstable_by_key(|live| live.id);
                assert_eq!(stored, memory, "left stored, right memory: live at {now:?}");
            }
        }
        for from in -1..4 {
            let (mut stored, mut memory) = (Vec::new(), Vec::new());
            let from = date(from);
            self.stored
                .won_keys(&ShardSet::ALL, from, &mut |key, day, until| stored.push((until, day, key)))
                .await
                .expect("read");
            self.memory
                .won_keys(&ShardSet::ALL, from, &mut |key, day, until| memory.push((until, day, key)))
                .await
                .expect("read");
            assert!(stored.is_sorted_by_key(|(until, ..)| *until) && memory.is_sorted_by_key(|(until, ..)| *until));
            stored.sort_unstable();
            memory.sort_unstable();
            assert_eq!(stored, memory, "left stored, right memory: keys from {from}");
        }
    }
}

fn query_of(case: u128, story: &Story, asked: Asked) -> AppointmentQuery {
    let (whose, statuses, from, to, after, limit, now) = asked;
    let scope = if whose < PATIENTS {
        AppointmentScope::Patient(wild_patient(case, whose))
    } else {
        AppointmentScope::Day(wild_day(case, (whose - PATIENTS) % (DAYS + 1)))
    };
    let rows = story.rows();
    // After a row that is there, or after an instant and an id that are not.
    let after = after.map(|choice| match rows.get(choice as usize % (rows.len() + 1)) {
        Some((_, row)) => (row.start, row.id),
        None => (start(choice as usize % SLOTS), AppointmentId(uuid::Uuid::from_u128(u128::from(choice) << 64))),
    });
    let chosen = Status::ALL.into_iter().enumerate().filter(|(bit, _)| statuses & 1 << bit != 0);
    AppointmentQuery {
        scope,
        statuses: chosen.map(|(_, status)| status).collect(),
        from: from.map(start),
        to: to.map(start),
        after,
        limit,
        now: UtcMillis(start(0).0 + now as i64 * (SLOT_MILLIS / 2)),
    }
}

/// Applies `story` in `cuts`, with mischief and parked days; false if a mischief was taken by both, so that the story
/// cannot go on.
async fn apply_in_cuts(both: &Both<impl Place>, case: u128, story: &Story, cuts: &[Cut], told: &mut Told) -> bool {
    let records = &story.records;
    let mut parked: BTreeSet<DayKey> = BTreeSet::new();
    let mut applied = 0;
    for (further, again, choice) in cuts.iter().cycle() {
        let to = (applied + further).min(records.len());
        let from = applied.saturating_sub(*again);
        let batch = &records[from..to];
        let position = records[to - 1].position;
        if let Some(bad) = mischief::of(Mischief::chosen(*choice), &records[..to], applied, from, case) {
            told.mischiefs += 1;
            let before = both.memory.contents();
            let outcome = both.apply(&bad, position).await;
            both.assert_same_tables("after mischief").await;
            if outcome.is_ok() {
                told.spoiled += 1;
                return false;
            }
            told.refused += 1;
            assert!(
                matches!(outcome, Err(ApplyError::Refused(_))) && both.memory.contents() == before,
                "without a trace"
            );
        }
        if choice % 7 == 0 {
            let day = wild_day(case, u128::from(choice / 7) % DAYS);
            let next = records[applied..].iter().find(|record| record.day == day);
            if let Some(next) = next.filter(|_| !parked.contains(&day)) {
                agreed!(both, verdict, park(day, next.version, "as the test wants it")).expect("parked");
                agreed!(both, verdict, park(day, next.version, "once more")).expect("the first mark stays");
                parked.insert(day);
                told.parked += 1;
            }
        }
        both.apply(batch, position).await.expect("an honest batch is applied");
        applied = to;
        both.assert_same_days(case).await;
        if choice % 5 == 0 {
            both.assert_same_tables("after a batch").await;
            both.assert_same_appointments(story).await;
            unpark(both, story, applied, parked.pop_first()).await;
        }
        if applied == records.len() {
            break;
        }
    }
    while let Some(day) = parked.pop_first() {
        unpark(both, story, applied, Some(day)).await;
    }
    true
}

/// First with a gap, if there is enough for one; then with everything.
async fn unpark(both: &Both<impl Place>, story: &Story, applied: usize, day: Option<DayKey>) {
    let Some(day) = day else { return };
    let mark = both.memory.contents().parked[&day].clone();
    let records = story.records[..applied].iter().filter(|record| record.day == day);
    let missing: Vec<_> = records.filter(|record| record.position > mark.position).cloned().collect();
    if missing.len() > 1 {
        let gap = agreed!(both, verdict, unpark(day, &missing[1..]));
        assert!(matches!(gap, Err(ApplyError::Refused(_))), "{gap:?}");
        assert!(both.memory.contents().parked.contains_key(&day));
    }
    agreed!(both, verdict, unpark(day, &missing)).expect("everything that was missing");
    both.assert_same_tables("after an unpark").await;
}

/// How much was put to the test.
#[derive(Default, Debug)]
struct Told {
    mischiefs: usize,
    refused: usize,
    spoiled: usize,
    parked: usize,
    rows: usize,
    whole: usize,
    /// What was recorded, by the name of its fact.
    facts: BTreeMap<String, usize>,
}

impl Told {
    fn count_facts(&mut self, story: &Story) {
        for record in &story.records {
            let fact = format!("{:?}", record.event.fact);
            let name = fact.split([' ', '(']).next().unwrap_or_default();
            *self.facts.entry(name.to_owned()).or_default() += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ledgers_agree_on_everything() {
    let told = agree(CASES, Sqlite::new).await;
    // The test is worth nothing if little happens in it.
    assert!(told.refused > 50 && told.parked > 20 && told.rows > 1_000 && told.whole > 50, "{told:?}");
    assert!(told.facts.len() == 13 && told.facts.values().all(|count| *count >= 5), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_agrees_on_everything() {
    let told = agree(CASES_OF_POSTGRES, Database::new).await;
    assert!(told.refused > 10 && told.parked > 4 && told.rows > 200 && told.whole > 10, "{told:?}");
    assert!(told.facts.len() == 13, "{told:?}");
}

/// Tells random histories to both, in random batches.
async fn agree<P: Place>(cases_max: u128, place: impl AsyncFn() -> P) -> Told {
    let mut both = Both::new(place().await).await;
    let wishes = prop::collection::vec((0..COMMANDS, 0..DAYS, 0..PATIENTS, 0..12_usize), 20..200);
    let cuts = prop::collection::vec((1..30_usize, 0..12_usize, 0..1_000_u64), 1..12);
    let slots = || prop::option::of(0..=SLOTS);
    let now = 0..2 * SLOTS + 2;
    let asked = (0..PATIENTS + DAYS + 4, 0..64_u8, slots(), slots(), prop::option::of(any::<u64>()), 0..12_usize, now);
    let cases = (wishes, cuts, prop::collection::vec(asked, 40));
    let mut runner = TestRunner::deterministic();
    let mut told = Told::default();
    let mut total = 0;
    for case in 1..=cases_max {
        let (wishes, cuts, asked): (Vec<Wish>, Vec<Cut>, Vec<Asked>) =
            cases.new_tree(&mut runner).expect("a case").current();
        // New days and patients for every case; positions go on.
        if case % CASES_TOGETHER == 0 {
            (both, total) = (Both::new(place().await).await, 0);
        }
        let mut story = wild_story(case, &wishes);
        for record in &mut story.records {
            record.position += total;
        }
        total = story.position();
        told.count_facts(&story);
        if apply_in_cuts(&both, case, &story, &cuts, &mut told).await {
            crate::ledger::assert_same_rows(&both.memory, &story).await;
            told.whole += 1;
        }
        both.assert_same_tables("at the end of a case").await;
        both.assert_same_days(case).await;
        both.assert_same_appointments(&story).await;
        told.rows += both.assert_same_pages(case, &story, &asked).await;
        both.assert_same_start().await;
        if case % 4 == 0 {
            agreed!(both, verdict, forget_won_keys(date(case as i32 % 3))).expect("forgotten");
            both.assert_same_tables("after keys were forgotten").await;
        }
    }
    told
}
