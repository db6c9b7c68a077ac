//! Tests of the group commit over a journal in memory that fails as it is told.

use std::sync::Arc;

use futures_util::FutureExt;
use parking_lot::Mutex;

use super::*;
use crate::clock::SystemClock;
use crate::journal::contract::{append_of, day};
use crate::journal::memory::{Fault, MemoryJournal};

/// What was told, in the order in which it was told.
#[derive(Default)]
struct Heard {
    told: Mutex<Vec<(&'static str, Told)>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Told {
    Committed { sequence: u64, position: u64 },
    Failed(&'static str),
}

struct Listener {
    name: &'static str,
    heard: Arc<Heard>,
}

impl CommitListener for Listener {
    fn committed(&self, _generation: u64, last: DayVersion, position: u64) {
        self.heard.told.lock().push((self.name, Told::Committed { sequence: last.sequence, position }));
    }

    fn failed(&self, _generation: u64, failure: CommitFailure) {
        let kind = match failure {
            CommitFailure::Failed(_) => "failed",
            CommitFailure::Unknown(_) => "unknown",
            CommitFailure::Poisoned(_) => "poisoned",
            CommitFailure::Conflict { .. } => "conflict",
            CommitFailure::StaleEpoch => "stale_epoch",
            CommitFailure::Blocked(_) => "blocked",
        };
        self.heard.told.lock().push((self.name, Told::Failed(kind)));
    }
}

/// A day that decides under one generation after another.
struct Writer {
    day: DayKey,
    generation: u64,
    head: Head,
}

struct Bench {
    journal: MemoryJournal,
    committer: Committer,
    heard: Arc<Heard>,
}

impl Bench {
    fn with_loop() -> (Self, CommitLoop) {
        let journal = MemoryJournal::default();
        let (committer, commit_loop) = Committer::with_loop(Arc::new(journal.clone()), Arc::new(SystemClock::start()));
        (Self { journal, committer, heard: Arc::default() }, commit_loop)
    }

    fn start() -> Self {
        let (bench, commit_loop) = Self::with_loop();
        tokio::spawn(commit_loop.run());
        bench
    }

    fn submit(&self, name: &'static str, writer: &mut Writer, records: usize) {
        let bodies = vec![name.as_bytes(); records];
        let (append, head) = append_of(writer.day, self.journal.epoch(), writer.head, &bodies);
        writer.head = head;
        let listener = Arc::new(Listener { name, heard: Arc::clone(&self.heard) });
        self.committer.submit(Submission {
            generation: writer.generation,
            append,
            claims: Vec::new(),
            traces: Vec::new(),
            listener,
        });
    }

    fn told(&self) -> Vec<(&'static str, Told)> {
        std::mem::take(&mut *self.heard.told.lock())
    }

    async fn durable(&self, day: DayKey) -> Vec<String> {
        let loaded = self.journal.load(day).await.expect("a load");
        let text = |record: &crate::journal::StoredRecord| String::from_utf8_lossy(&record.body).into_owned();
        loaded.map(|loaded| loaded.tail.iter().map(text).collect()).unwrap_or_default()
    }
}

fn writer(number: i32) -> Writer {
    Writer { day: day(number), generation: 1, head: Head::default() }
}

fn committed(sequence: u64, position: u64) -> Told {
    Told::Committed { sequence, position }
}

#[tokio::test]
async fn everything_that_waits_goes_together_and_is_told_in_order() {
    let (bench, mut commit_loop) = Bench::with_loop();
    assert_eq!(commit_loop.turn().await, Turn::Idle);
    let (mut one, mut two) = (writer(1), writer(2));
    bench.submit("a", &mut one, 2);
    bench.submit("b", &mut two, 1);
    bench.submit("c", &mut one, 1);
    bench.submit("d", &mut one, 3);
    assert_eq!(commit_loop.turn().await, Turn::Settled);
    assert_eq!(bench.journal.batches(), [2], "one append with one entry a day");
    let wanted = [("a", committed(2, 2)), ("c", committed(3, 3)), ("d", committed(6, 6)), ("b", committed(1, 7))];
    assert_eq!(bench.told(), wanted);
    assert_eq!(bench.durable(day(1)).await, ["a", "a", "c", "d", "d", "d"]);
    for (position, body) in [(3, "c"), (6, "d"), (7, "b")] {
        let stored = bench.journal.read_after(position - 1, 1).await.expect("a read");
        assert_eq!(&stored[0].body[..], body.as_bytes(), "the position told is the submission's own");
    }
    assert_eq!(commit_loop.turn().await, Turn::Idle);
}

#[tokio::test]
async fn the_next_batch_is_what_came_meanwhile_up_to_the_cap() {
    let bench = Bench::start();
    let mut one = writer(1);
    bench.journal.hold();
    bench.submit("first", &mut one, 1);
    bench.journal.held(1).await;
    let mut many: Vec<_> = (2..=4).map(writer).collect();
    for writer in &mut many {
        bench.submit("many", writer, batch::BATCH_RECORDS_MAX / 2);
    }
    bench.submit("large", &mut one, batch::BATCH_RECORDS_MAX * 2);
    bench.journal.release();
    bench.committer.stop().await;
    assert_eq!(bench.journal.batches(), [1, 2, 1, 1], "a submission is never cut");
    assert_eq!(bench.told().len(), 5);
}

#[tokio::test]
async fn after_a_failure_the_rest_of_the_generation_is_dropped_without_a_word() {
    let (bench, mut commit_loop) = Bench::with_loop();
    let (mut one, mut two) = (writer(1), writer(2));
    bench.journal.fail_next(Fault::Failed);
    bench.submit("a", &mut one, batch::BATCH_RECORDS_MAX);
    bench.submit("b", &mut one, 1);
    bench.submit("c", &mut two, 1);
    commit_loop.turn().await;
    bench.submit("d", &mut one, 1);
    assert_eq!(bench.told(), [("a", Told::Failed("failed"))]);
    let mut again = Writer { generation: 2, ..writer(1) };
    bench.submit("e", &mut again, 1);
    commit_loop.turn().await;
    assert_eq!(commit_loop.turn().await, Turn::Idle);
    assert_eq!(bench.told(), [("c", committed(1, 1)), ("e", committed(1, 2))], "other days and generations go on");
    bench.submit("f", &mut one, 1);
    assert_eq!(commit_loop.turn().await, Turn::Idle, "the old generation stays closed");
    assert_eq!(bench.durable(day(1)).await, ["e"]);
}

#[tokio::test]
async fn a_conflict_and_a_stale_epoch_hit_their_day_alone() {
    let (bench, mut commit_loop) = Bench::with_loop();
    let (mut one, mut two, mut three) = (writer(1), writer(2), writer(3));
    bench.submit("first", &mut one, 1);
    commit_loop.turn().await;
    bench.told();

    let mut behind = writer(1);
    bench.submit("behind", &mut behind, 1);
    bench.submit("two", &mut two, 1);
    let (append, _) = append_of(day(3), bench.journal.epoch() + 1, three.head, &[b"x"]);
    let listener = Arc::new(Listener { name: "stale", heard: Arc::clone(&bench.heard) });
    bench.committer.submit(Submission { generation: 1, append, claims: Vec::new(), traces: Vec::new(), listener });
    bench.submit("never", &mut three, 1);
    commit_loop.turn().await;
    let wanted =
        [("behind", Told::Failed("conflict")), ("two", committed(1, 2)), ("stale", Told::Failed("stale_epoch"))];
    assert_eq!(bench.told(), wanted);
    assert_eq!(commit_loop.turn().await, Turn::Idle, "what followed the stale one is dropped");
    assert_eq!(bench.durable(day(1)).await, ["first"]);
}

#[tokio::test]
async fn submissions_that_do_not_continue_wait_for_their_own_batch() {
    let (bench, mut commit_loop) = Bench::with_loop();
    let mut one = writer(1);
    bench.submit("a", &mut one, 1);
    let mut other = Writer { generation: 2, day: day(1), head: one.head };
    bench.submit("b", &mut other, 1);
    bench.submit("c", &mut other, 1);
    let mut two = writer(2);
    bench.submit("d", &mut two, 1);
    commit_loop.turn().await;
    assert_eq!(bench.told(), [("a", committed(1, 1)), ("d", committed(1, 2))]);
    commit_loop.turn().await;
    assert_eq!(bench.told(), [("b", committed(2, 3)), ("c", committed(3, 4))]);
    assert_eq!(bench.journal.batches(), [2, 1]);
}

/// Reads the journal at the moment at which it hears of an unknown outcome, as a day's replay might.
struct Reader {
    journal: MemoryJournal,
    last_positions: Mutex<Vec<Option<u64>>>,
}

impl CommitListener for Reader {
    fn committed(&self, _generation: u64, _last: DayVersion, _position: u64) {}

    fn failed(&self, _generation: u64, failure: CommitFailure) {
        assert!(matches!(failure, CommitFailure::Unknown(_)), "{failure:?}");
        let read = self.journal.last_position().now_or_never().and_then(Result::ok);
        self.last_positions.lock().push(read);
    }
}

#[tokio::test]
async fn unknown_is_told_after_the_barrier_only_so_that_a_re_read_is_true() {
    for (fault, wanted) in [(Fault::UnknownBefore, 0), (Fault::UnknownAfter, 1), (Fault::UnknownLate, 1)] {
        let (bench, mut commit_loop) = Bench::with_loop();
        bench.journal.fail_next(fault);
        bench.journal.fail_barriers(3);
        let reader = Arc::new(Reader { journal: bench.journal.clone(), last_positions: Mutex::default() });
        let (append, _) = append_of(day(1), bench.journal.epoch(), Head::default(), &[b"a"]);
        let listener = Arc::clone(&reader);
        bench.committer.submit(Submission { generation: 1, append, claims: Vec::new(), traces: Vec::new(), listener });
        commit_loop.turn().await;
        assert_eq!(*reader.last_positions.lock(), [Some(wanted)], "{fault:?}");
        assert_eq!(bench.journal.last_position().await.expect("a read"), wanted, "{fault:?}: and it stays so");
    }
}

#[tokio::test]
async fn a_poisoned_journal_fails_everything_now_and_later() {
    let bench = Bench::start();
    let (mut one, mut two, mut three) = (writer(1), writer(2), writer(3));
    bench.journal.hold();
    bench.journal.fail_next(Fault::Poisoned);
    bench.submit("a", &mut one, 1);
    bench.journal.held(1).await;
    bench.submit("b", &mut two, 1);
    bench.journal.release();
    bench.journal.poisoned().await;
    bench.submit("c", &mut three, 1);
    bench.committer.stop().await;
    let poisoned = Told::Failed("poisoned");
    assert_eq!(bench.told(), [("a", poisoned.clone()), ("b", poisoned.clone()), ("c", poisoned)]);
    let mut late = writer(4);
    bench.submit("late", &mut late, 1);
    assert_eq!(bench.told(), [("late", Told::Failed("failed"))], "after the stop it fails on the spot");
}

#[tokio::test]
async fn a_fence_drops_what_waits_and_waits_for_what_is_in_flight() {
    let bench = Bench::start();
    let (mut one, mut two) = (writer(1), writer(2));
    bench.journal.hold();
    bench.submit("flying", &mut one, 1);
    bench.journal.held(1).await;
    bench.submit("waiting", &mut one, 1);
    bench.submit("other", &mut two, 1);

    bench.committer.fence(day(2), 0).await;
    bench.committer.fence(day(3), 9).await;
    let mut fence = Box::pin(bench.committer.fence(day(1), 1));
    assert!(futures_util::poll!(&mut fence).is_pending(), "the append is still under way");
    bench.submit("after", &mut one, 1);
    bench.journal.release();
    fence.await;
    assert_eq!(bench.durable(day(1)).await, ["flying"], "a load sees all that became durable");

    let mut next = Writer { generation: 2, day: day(1), head: first_head(&bench).await };
    bench.submit("next", &mut next, 1);
    bench.committer.stop().await;
    assert_eq!(bench.durable(day(1)).await, ["flying", "next"]);
    let names: Vec<_> = bench.told().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["flying", "other", "next"], "what was fenced off hears nothing");
}

async fn first_head(bench: &Bench) -> Head {
    bench.journal.load(day(1)).await.expect("a load").expect("a written day").head
}

#[tokio::test]
async fn a_stop_settles_what_was_submitted_before() {
    let bench = Bench::start();
    bench.journal.hold();
    let mut writers: Vec<_> = (0..50).map(writer).collect();
    for writer in &mut writers {
        bench.submit("x", writer, 1);
    }
    bench.journal.held(1).await;
    let mut stop = Box::pin(bench.committer.stop());
    assert!(futures_util::poll!(&mut stop).is_pending());
    bench.journal.release();
    stop.await;
    assert_eq!(bench.told().len(), 50);
    assert_eq!(bench.journal.last_position().await.expect("a read"), 50);
    bench.committer.stop().await;
}

#[tokio::test]
async fn a_dropped_loop_fails_what_waits() {
    let (bench, commit_loop) = Bench::with_loop();
    let mut one = writer(1);
    bench.submit("a", &mut one, 1);
    drop(commit_loop);
    assert_eq!(bench.told(), [("a", Told::Failed("failed"))]);
    bench.committer.stop().await;
}
