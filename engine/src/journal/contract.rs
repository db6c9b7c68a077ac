//! What every journal must do, as tests that any implementation can run.
//! Must not know: which store is under test.

use std::sync::Arc;

use async_trait::async_trait;
use booking_core::{Date, DayKey, DoctorId, UtcMillis};

use super::{ChainHash, DayAppend, DayOutcome, Head, Journal, LogKind, ReadError, StoredSnapshot, chain};

mod owners;

/// Makes the journals of one kind.
#[async_trait]
pub trait JournalFactory: Send + Sync {
    /// A journal over a store that nobody has written.
    async fn empty(&self) -> Arc<dyn Journal>;

    /// Closes `journal` and opens the same store again, as the next process would.
    async fn reopen(&self, journal: Arc<dyn Journal>) -> Arc<dyn Journal>;

    /// Changes one bit in the body of the stored record at `position`, as a bad disk would, and opens the store again.
    async fn damage(&self, journal: Arc<dyn Journal>, position: u64) -> Arc<dyn Journal>;

    /// Another process over the store of `journal`, which goes on believing what it believes: the other has taken `shards` over
    /// under newer epochs, and nothing else. `None` where a store has one process at a time.
    async fn take_over(&self, journal: &Arc<dyn Journal>, shards: &[u16]) -> Option<Arc<dyn Journal>> {
        let _ = (journal, shards);
        None
    }

    /// Has the appends of `journal` stop half-way in the store from now on. `None` where the store is in this process.
    async fn stall(&self, journal: &Arc<dyn Journal>) -> Option<Box<dyn Stall>> {
        let _ = journal;
        None
    }
}

/// Appends stop half-way while this lives.
#[async_trait]
pub trait Stall: Send {
    /// Becomes ready when an append has stopped.
    async fn reached(&self);

    /// Lets go what still stands there.
    async fn end(self: Box<Self>);
}

/// Runs the whole suite, each test over a store of its own.
pub async fn run(factory: &dyn JournalFactory) {
    appended_records_are_loaded(factory.empty().await).await;
    a_stale_head_is_a_conflict(factory.empty().await).await;
    another_epoch_is_stale(factory.empty().await).await;
    a_batch_leaves_out_the_conflicting_day_only(factory.empty().await).await;
    positions_rise_and_are_read_in_order(factory.empty().await).await;
    the_tail_continues_the_snapshot(factory.empty().await).await;
    a_malformed_entry_is_refused(factory.empty().await).await;
    days_are_listed_by_date(factory.empty().await).await;
    open_work_comes_earliest_first_and_goes(factory.empty().await).await;
    a_barrier_leaves_what_is_durable(factory.empty().await).await;
    a_reopened_store_keeps_everything_under_a_new_epoch(factory).await;
    damage_is_told_with_its_place(factory).await;
    owners::run(factory).await;
}

/// Day `number` of one doctor.
pub fn day(number: i32) -> DayKey {
    DayKey { doctor: DoctorId::from_bytes([0xd0; 16]), date: Date::from_days(20_000 + number).unwrap_or_else(far) }
}

fn far() -> Date {
    unreachable!("the tests' dates are near the year 2024")
}

/// An append of `bodies` to `day` after `expected`, under `epoch`, without work of its own; and the head after it.
pub fn append_of(day: DayKey, epoch: u32, expected: Head, bodies: &[&[u8]]) -> (DayAppend, Head) {
    let mut head = expected;
    let mut records = Vec::new();
    for body in bodies {
        let record = chain::next_record(head, day, epoch, Arc::from(*body));
        head = Head { version: record.version, hash: record.hash };
        records.push(record);
    }
    (DayAppend { day, epoch, expected, records, next_work_at: None }, head)
}

/// Appends `bodies` to `day` and wants it to succeed; the head after it.
async fn grow(journal: &dyn Journal, day: DayKey, expected: Head, bodies: &[&[u8]]) -> Head {
    let (append, head) = append_of(day, journal.epoch(), expected, bodies);
    let outcomes = journal.append(&[append]).await.expect("the journal writes");
    assert!(matches!(outcomes[..], [DayOutcome::Appended { .. }]), "{day} after {expected:?}: {outcomes:?}");
    head
}

async fn bodies(journal: &dyn Journal, day: DayKey) -> Vec<Vec<u8>> {
    let loaded = journal.load(day).await.expect("a load").expect("a written day");
    loaded.tail.iter().map(|record| record.body.to_vec()).collect()
}

async fn appended_records_are_loaded(journal: Arc<dyn Journal>) {
    assert!(journal.load(day(1)).await.expect("a load").is_none());
    let first = grow(&*journal, day(1), Head::default(), &[b"one", b"two"]).await;
    let second = grow(&*journal, day(1), first, &[b"", &[7; 5000]]).await;
    let loaded = journal.load(day(1)).await.expect("a load").expect("a written day");
    assert_eq!(loaded.head, second);
    assert!(loaded.snapshot.is_none());
    let sequences: Vec<_> = loaded.tail.iter().map(|record| record.version.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4]);
    assert!(loaded.tail.iter().all(|record| record.shard == day(1).shard() && record.day == day(1)));
    assert_eq!(bodies(&*journal, day(1)).await, [b"one".to_vec(), b"two".to_vec(), vec![], vec![7; 5000]]);
}

async fn a_stale_head_is_a_conflict(journal: Arc<dyn Journal>) {
    let head = grow(&*journal, day(1), Head::default(), &[b"one", b"two"]).await;
    let one_back = Head { version: booking_core::DayVersion { sequence: 1, ..head.version }, ..head };
    let other_hash = Head { hash: ChainHash([9; 16]), ..head };
    let other_epoch =
        Head { version: booking_core::DayVersion { epoch: head.version.epoch + 1, ..head.version }, ..head };
    for expected in [Head::default(), one_back, other_hash, other_epoch] {
        let (append, _) = append_of(day(1), journal.epoch(), expected, &[b"late"]);
        let outcomes = journal.append(&[append]).await.expect("the journal answers");
        assert_eq!(outcomes, [DayOutcome::Conflict { actual: head }], "after {expected:?}");
    }
    let (append, _) = append_of(day(2), journal.epoch(), head, &[b"late"]);
    let outcomes = journal.append(&[append]).await.expect("the journal answers");
    assert_eq!(outcomes, [DayOutcome::Conflict { actual: Head::default() }], "a day that was never written");
    assert_eq!(bodies(&*journal, day(1)).await.len(), 2);
    assert_eq!(journal.last_position().await.expect("a read"), 2);
}

async fn another_epoch_is_stale(journal: Arc<dyn Journal>) {
    let current = journal.epoch();
    for epoch in [current - 1, current + 1] {
        let (stale, _) = append_of(day(1), epoch, Head::default(), &[b"one"]);
        let (good, _) = append_of(day(i32::try_from(epoch).unwrap_or(0) + 2), current, Head::default(), &[b"one"]);
        let outcomes = journal.append(&[stale, good]).await.expect("the journal answers");
        assert_eq!(outcomes[0], DayOutcome::StaleEpoch { current });
        assert!(matches!(outcomes[1], DayOutcome::Appended { .. }), "{outcomes:?}");
    }
    assert!(journal.load(day(1)).await.expect("a load").is_none());
}

async fn a_batch_leaves_out_the_conflicting_day_only(journal: Arc<dyn Journal>) {
    let head = grow(&*journal, day(2), Head::default(), &[b"one"]).await;
    let epoch = journal.epoch();
    let batch: Vec<_> = [1, 2, 3].map(|number| append_of(day(number), epoch, Head::default(), &[b"x", b"y"]).0).into();
    let outcomes = journal.append(&batch).await.expect("the journal answers");
    let [DayOutcome::Appended { position: 3 }, DayOutcome::Conflict { actual }, DayOutcome::Appended { position }] =
        outcomes[..]
    else {
        panic!("{outcomes:?}");
    };
    // An owner that numbers its records itself has given the refused ones numbers too.
    let is_next = position == 5 || (journal.log() == LogKind::OfThisProcess && position > 5);
    assert!(actual == head && is_next, "{outcomes:?}");
    assert_eq!(bodies(&*journal, day(1)).await.len(), 2);
    assert_eq!(bodies(&*journal, day(2)).await, [b"one"]);
    assert_eq!(bodies(&*journal, day(3)).await.len(), 2);
    assert_eq!(journal.append(&[]).await.expect("nothing to do"), []);
}

async fn positions_rise_and_are_read_in_order(journal: Arc<dyn Journal>) {
    assert_eq!(journal.last_position().await.expect("a read"), 0);
    assert!(journal.read_after(0, 10).await.expect("a read").is_empty());
    let mut heads = [Head::default(); 2];
    for round in 0..3_u8 {
        for (number, head) in heads.iter_mut().enumerate() {
            *head = grow(&*journal, day(number as i32), *head, &[&[round], &[round, 1], &[round, 2]]).await;
        }
    }
    let all = journal.read_after(0, 100).await.expect("a read");
    assert_eq!(all.iter().map(|record| record.position).collect::<Vec<_>>(), (1..=18).collect::<Vec<_>>());
    assert_eq!(journal.last_position().await.expect("a read"), 18);
    for (after, limit) in [(0, 1), (0, 4), (1, 1), (4, 7), (17, 5), (18, 5), (0, 0), (500, 3), (u64::MAX, 3)] {
        let some = journal.read_after(after, limit).await.expect("a read");
        let wanted = all.iter().filter(|record| record.position > after).take(limit);
        let name = |record: &super::StoredRecord| (record.position, record.day, record.version, record.body.clone());
        assert_eq!(some.iter().map(name).collect::<Vec<_>>(), wanted.map(name).collect::<Vec<_>>(), "{after} {limit}");
    }
}

async fn the_tail_continues_the_snapshot(journal: Arc<dyn Journal>) {
    let first = grow(&*journal, day(1), Head::default(), &[b"1", b"2"]).await;
    let (append, last) = append_of(day(1), journal.epoch(), first, &[b"3", b"4", b"5"]);
    let inside = Head { version: append.records[1].version, hash: append.records[1].hash };
    journal.append(&[append]).await.expect("the journal writes");
    for (head, bytes, tail) in [(first, "two", 3), (inside, "four", 1), (first, "late", 1), (last, "five", 0)] {
        let snapshot = StoredSnapshot { day: day(1), head, bytes: Arc::from(bytes.as_bytes()) };
        journal.save_snapshots(&[snapshot]).await.expect("it is kept");
        let loaded = journal.load(day(1)).await.expect("a load").expect("a written day");
        assert_eq!((loaded.tail.len(), loaded.head), (tail, last), "after snapshot {bytes}");
        let kept = loaded.snapshot.expect("a snapshot");
        let wanted = if bytes == "late" { inside } else { head };
        assert_eq!(kept.head, wanted, "an older snapshot is ignored");
    }
    let after = grow(&*journal, day(1), last, &[b"6"]).await;
    let loaded = journal.load(day(1)).await.expect("a load").expect("a written day");
    assert_eq!((loaded.tail.len(), loaded.head), (1, after));
    let stranger = StoredSnapshot { day: day(1), head: Head { hash: ChainHash([3; 16]), ..after }, bytes: [1].into() };
    journal.save_snapshots(&[stranger]).await.expect("it is kept");
    assert!(matches!(journal.load(day(1)).await, Err(ReadError::Damaged(_))), "a snapshot of another history");
}

async fn a_malformed_entry_is_refused(journal: Arc<dyn Journal>) {
    let epoch = journal.epoch();
    let (whole, _) = append_of(day(1), epoch, Head::default(), &[b"1", b"2", b"3"]);
    let mut empty = whole.clone();
    empty.records.clear();
    let mut gap = whole.clone();
    gap.records.remove(1);
    for batch in [vec![empty], vec![gap], vec![whole.clone(), whole]] {
        let refused = journal.append(&batch).await;
        assert!(matches!(refused, Err(super::AppendError::Failed(_))), "{refused:?}");
    }
    assert_eq!(journal.last_position().await.expect("a read"), 0);
}

async fn days_are_listed_by_date(journal: Arc<dyn Journal>) {
    for number in [5, 1, 3, 9] {
        grow(&*journal, day(number), Head::default(), &[b"x"]).await;
    }
    let other = DayKey { doctor: DoctorId::from_bytes([0xd1; 16]), date: day(3).date };
    grow(&*journal, other, Head::default(), &[b"x"]).await;
    let doctor = day(0).doctor;
    let listed = journal.days_of(doctor, day(1).date, day(5).date).await.expect("a read");
    assert_eq!(listed, [day(1), day(3), day(5)]);
    assert!(journal.days_of(doctor, day(6).date, day(8).date).await.expect("a read").is_empty());
    assert!(journal.days_of(doctor, day(5).date, day(1).date).await.expect("a read").is_empty());
    assert_eq!(journal.days_of(other.doctor, day(0).date, day(9).date).await.expect("a read"), [other]);
}

async fn open_work_comes_earliest_first_and_goes(journal: Arc<dyn Journal>) {
    let mut heads = Vec::new();
    for (number, at) in [(1, Some(300)), (2, Some(-100)), (3, None), (4, Some(200))] {
        let (mut append, head) = append_of(day(number), journal.epoch(), Head::default(), &[b"x"]);
        append.next_work_at = at.map(UtcMillis);
        journal.append(&[append]).await.expect("the journal writes");
        heads.push(head);
    }
    let work = |until, limit| {
        let journal = Arc::clone(&journal);
        async move { journal.open_work(UtcMillis(until), limit).await.expect("a read") }
    };
    let (two, four, one) = ((day(2), UtcMillis(-100)), (day(4), UtcMillis(200)), (day(1), UtcMillis(300)));
    assert_eq!(work(300, 10).await, [two, four, one]);
    assert_eq!(work(299, 10).await, [two, four]);
    assert_eq!(work(300, 1).await, [two]);
    grow(&*journal, day(2), heads[1], &[b"done"]).await;
    let (mut append, _) = append_of(day(4), journal.epoch(), heads[3], &[b"later"]);
    append.next_work_at = Some(UtcMillis(400));
    journal.append(&[append]).await.expect("the journal writes");
    assert_eq!(work(1_000, 10).await, [one, (day(4), UtcMillis(400))]);
}

async fn a_barrier_leaves_what_is_durable(journal: Arc<dyn Journal>) {
    let head = grow(&*journal, day(1), Head::default(), &[b"one"]).await;
    journal.barrier().await.expect("a barrier");
    grow(&*journal, day(1), head, &[b"two"]).await;
    journal.barrier().await.expect("a barrier");
    assert_eq!(bodies(&*journal, day(1)).await, [b"one", b"two"]);
}

async fn a_reopened_store_keeps_everything_under_a_new_epoch(factory: &dyn JournalFactory) {
    let journal = factory.empty().await;
    let first = grow(&*journal, day(1), Head::default(), &[b"one", b"two"]).await;
    let snapshot = StoredSnapshot { day: day(1), head: first, bytes: Arc::from(&b"packed"[..]) };
    journal.save_snapshots(&[snapshot]).await.expect("it is kept");
    let (mut append, second) = append_of(day(1), journal.epoch(), first, &[b"three"]);
    append.next_work_at = Some(UtcMillis(77));
    journal.append(&[append]).await.expect("the journal writes");
    let epoch = journal.epoch();

    let journal = factory.reopen(journal).await;
    assert!(journal.epoch() > epoch);
    let loaded = journal.load(day(1)).await.expect("a load").expect("a written day");
    assert_eq!((loaded.head, loaded.tail.len()), (second, 1));
    assert_eq!(loaded.snapshot.map(|snapshot| snapshot.bytes.to_vec()), Some(b"packed".to_vec()));
    assert_eq!(journal.open_work(UtcMillis(77), 5).await.expect("a read"), [(day(1), UtcMillis(77))]);
    // A log of one process begins anew with it.
    let before = if journal.log() == LogKind::Lasting { 3 } else { 0 };
    assert_eq!(journal.read_after(0, 10).await.expect("a read").len() as u64, before);
    let (stale, _) = append_of(day(1), epoch, second, &[b"stale"]);
    let outcomes = journal.append(&[stale]).await.expect("the journal answers");
    assert_eq!(outcomes, [DayOutcome::StaleEpoch { current: journal.epoch() }]);
    grow(&*journal, day(1), second, &[b"four"]).await;
    assert_eq!(journal.last_position().await.expect("a read"), before + 1);
}

async fn damage_is_told_with_its_place(factory: &dyn JournalFactory) {
    let journal = factory.empty().await;
    let head = grow(&*journal, day(1), Head::default(), &[b"one", b"two"]).await;
    grow(&*journal, day(2), Head::default(), &[b"other"]).await;
    grow(&*journal, day(1), head, &[b"three"]).await;
    let journal = factory.damage(journal, 2).await;
    match journal.load(day(1)).await {
        Err(ReadError::Damaged(words)) => {
            let place = [day(1).to_string(), "sequence 2".to_owned(), "position 2".to_owned()];
            assert!(place.iter().all(|part| words.contains(part)), "says where: {words}");
        }
        other => panic!("expected damage, got {other:?}"),
    }
    assert_eq!(bodies(&*journal, day(2)).await, [b"other"], "another day is not concerned");
}
