//! The applier with a sound journal: it catches up, follows, waits and stops.
//! Must not know: records that cannot be applied (see `faults.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::journal::{Journal, ReadError};
use engine::ledger::Ledger;
use engine::ledger::applier::{Applier, ApplyLoop, Progress, TurnOutcome};
use engine::ledger::overlay::Overlay;
use engine::ledger::reader::Reader;

use crate::Backend;
use crate::journal::{ListJournal, MoodyLedger, TickingClock};
use crate::ledger::assert_same_rows;
use crate::reader::publish;
use crate::story::{Story, day};

/// Everything that an applier is made of.
pub(crate) struct Bench {
    pub(crate) journal: Arc<ListJournal>,
    pub(crate) ledger: Arc<MoodyLedger>,
    pub(crate) overlay: Arc<Overlay>,
    pub(crate) progress: Arc<Progress>,
}

impl Bench {
    pub(crate) async fn new(backend: &impl Backend) -> Self {
        let ledger = MoodyLedger::new(backend.open().await.ledger);
        Self { journal: Arc::default(), ledger, overlay: Arc::default(), progress: Arc::default() }
    }

    /// The same stores after a restart: nothing but what is on disk is left.
    pub(crate) fn restarted(&self) -> Self {
        let (journal, ledger) = (self.journal.clone(), self.ledger.clone());
        Self { journal, ledger, overlay: Arc::default(), progress: Arc::default() }
    }

    pub(crate) async fn open(&self) -> Result<ApplyLoop, ReadError> {
        let (journal, ledger) = (self.journal.clone(), self.ledger.clone());
        ApplyLoop::open(journal, ledger, self.overlay.clone(), self.clock(), self.progress.clone()).await
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::new(self.ledger.clone(), self.overlay.clone())
    }

    async fn start(&self) -> Result<Applier, ReadError> {
        let spawn = engine::spawn::TokioSpawn(tokio::runtime::Handle::current());
        Applier::start(self.journal.clone(), self.ledger.clone(), self.overlay.clone(), self.clock(), 500_000, &spawn)
            .await
    }

    fn clock(&self) -> Arc<TickingClock> {
        Arc::default()
    }
}

/// Turns until there is nothing to do.
pub(crate) async fn turn_until_idle(apply_loop: &mut ApplyLoop) {
    loop {
        match apply_loop.turn().await {
            TurnOutcome::Applied { .. } => {}
            TurnOutcome::Idle => return,
            TurnOutcome::Retry { reason, .. } => panic!("{reason}"),
        }
    }
}

/// Waits until the applier has everything. The condition is watched; nothing depends on how long it takes.
async fn caught_up(applier: &Applier) {
    while applier.lag_records() > 0 {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn brings_the_ledger_up_and_follows(backend: &impl Backend) {
    let bench = Bench::new(backend).await;
    let mut story = Story::of_day(day(1), 20, 1);
    for slot in 0..10 {
        story.book(day(1), slot as u128, slot);
    }
    bench.journal.push(&story.news());
    let applier = bench.start().await.expect("starts");
    assert_eq!(applier.lag_records(), 0);
    assert_same_rows(&*bench.ledger, &story).await;

    for slot in 10..20 {
        let id = story.hold(day(1), slot as u128, slot);
        assert!(story.confirm(day(1), id));
        let news = story.news();
        bench.journal.push(&news);
        publish(&bench.overlay, &news);
        applier.advanced(story.position());
    }
    caught_up(&applier).await;
    assert_same_rows(&*bench.ledger, &story).await;
    applier.stop().await;
    assert!(bench.overlay.is_empty(), "what the ledger has is evicted");
}

pub(crate) async fn stop_applies_all_that_was_told(backend: &impl Backend) {
    let bench = Bench::new(backend).await;
    let applier = bench.start().await.expect("starts");
    let mut story = Story::of_day(day(1), 200, 4);
    for number in 0..800 {
        story.book(day(1), number, number as usize % 200);
    }
    bench.journal.push(&story.news());
    applier.advanced(story.position());
    applier.stop().await;
    assert_eq!(bench.ledger.applied_position().await.expect("read"), story.position());
    applier.stop().await;
    // A ledger that stays away does not keep a stop waiting for ever.
    let applier = bench.restarted().start().await.expect("starts");
    bench.ledger.away.store(usize::MAX, Ordering::SeqCst);
    story.publish(day(2), 1, 1);
    bench.journal.push(&story.news());
    applier.advanced(story.position());
    applier.stop().await;
    assert!(applier.lag_records() > 0);
}

pub(crate) async fn waits_while_the_ledger_is_away(backend: &impl Backend) {
    let bench = Bench::new(backend).await;
    let mut apply_loop = bench.open().await.expect("opens");
    assert_eq!(apply_loop.turn().await, TurnOutcome::Idle);
    let mut story = Story::of_day(day(1), 4, 1);
    story.book(day(1), 1, 0);
    let news = story.news();
    bench.journal.push(&news);
    publish(&bench.overlay, &news);
    bench.progress.advanced(story.position());
    bench.ledger.away.store(12, Ordering::SeqCst);
    let mut pauses = Vec::new();
    while let TurnOutcome::Retry { after_millis, failures, .. } = apply_loop.turn().await {
        pauses.push(after_millis);
        assert_eq!(failures as usize, pauses.len());
        assert_eq!(bench.overlay.len(), 1, "nothing is evicted that the ledger does not have");
        assert_eq!(bench.progress.lag_records(), story.position());
    }
    assert_eq!(pauses.len(), 12);
    assert!(pauses.is_sorted() && pauses[0] < pauses[4] && pauses[11] == 1_000, "{pauses:?}");
    assert_eq!(bench.progress.lag_records(), 0);
    assert!(bench.overlay.is_empty());
    assert_same_rows(&*bench.ledger, &story).await;
    // The journal told more than it shows: a pause, not an end.
    bench.progress.advanced(story.position() + 1);
    assert!(matches!(apply_loop.turn().await, TurnOutcome::Retry { failures: 1, .. }));
}

pub(crate) async fn does_not_start_behind_its_ledger(backend: &impl Backend) {
    let bench = Bench::new(backend).await;
    bench.ledger.apply(&[], 7).await.expect("applied");
    assert_eq!(bench.journal.last_position().await.expect("read"), 0);
    let outcome = bench.start().await.err();
    assert!(matches!(&outcome, Some(ReadError::Damaged(reason)) if reason.contains('7')), "{outcome:?}");
}

pub(crate) async fn own_writes_are_seen_while_it_runs(backend: &impl Backend) {
    let bench = Bench::new(backend).await;
    let applier = bench.start().await.expect("starts");
    let reader = bench.reader();
    let done = Arc::new(AtomicBool::new(false));
    let mut story = Story::of_day(day(1), 200, 1);
    let evicting = {
        // A second source of wake-ups, so that the applier turns as often as it can.
        let (applier, done) = (applier.clone(), done.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::SeqCst) {
                applier.advanced(0);
                tokio::task::yield_now().await;
            }
        })
    };
    for slot in 0..200 {
        let id = story.hold(day(1), slot as u128, slot);
        if slot % 2 == 0 {
            assert!(story.confirm(day(1), id));
        }
        let news = story.news();
        // Durable, known to the applier, published, answered: in this order, and the first two may be far ahead.
        bench.journal.push(&news);
        applier.advanced(story.position());
        publish(&bench.overlay, &news);
        let seen = reader.appointment(id).await.expect("read").expect("an own write");
        assert_eq!(seen.appointment, story.row(day(1), id));
        assert_eq!(reader.history(id).await.expect("read").len(), seen.appointment.version as usize);
    }
    done.store(true, Ordering::SeqCst);
    evicting.await.expect("no panic");
    applier.stop().await;
    assert!(bench.overlay.is_empty());
    assert_same_rows(&*bench.ledger, &story).await;
}
