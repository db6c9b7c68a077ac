//! What one append costs, by store and by how many days it serves at once: `cargo bench -p engine --features testing --bench journal`.
//! Must not know: actors, ledgers. Figures are told, not judged.

use std::sync::Arc;
use std::time::Duration;

use booking_core::{Date, DayKey, DoctorId};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::clock::SystemClock;
use engine::journal::memory::MemoryJournal;
use engine::journal::postgres::PostgresJournal;
use engine::journal::redis::{RedisJournal, RedisSettings};
use engine::journal::sqlite::SqliteJournal;
use engine::journal::{DayAppend, DayOutcome, Head, Journal, chain};
use engine::ownership::{Node, Ownership, PostgresOwnership, Tenures};
use servers::{AppendFsync, Postgres, PostgresOptions, Redis, RedisOptions};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Days that one append serves, with one record each.
const BATCHES: [usize; 4] = [1, 16, 128, 1_024];
/// About as long as the record of a win.
const BODY_BYTES: usize = 160;
/// A store is replaced once it has so many records, so that a fast one does not fill the memory.
const RECORDS_MAX: usize = 200_000;

/// Opens a new, empty store.
type Open<'a> = &'a dyn Fn() -> Arc<dyn Journal>;

/// Writes the next record of each of its days, again and again.
struct Writer<'a> {
    open: Open<'a>,
    journal: Arc<dyn Journal>,
    heads: Vec<(DayKey, Head)>,
    body: Arc<[u8]>,
    written: usize,
}

impl<'a> Writer<'a> {
    fn new(open: Open<'a>, days: usize) -> Self {
        let date = Date::from_days(20_000).expect("a date");
        let day = |number| DayKey { doctor: DoctorId(Uuid::from_u64_pair(number as u64, 7)), date };
        let heads = (0..days).map(|number| (day(number), Head::default())).collect();
        Self { open, journal: open(), heads, body: vec![7; BODY_BYTES].into(), written: 0 }
    }

    /// The next append, which takes for granted that the one before was written.
    fn next(&mut self) -> (Arc<dyn Journal>, Vec<DayAppend>) {
        if self.written > RECORDS_MAX {
            self.journal = (self.open)();
            self.heads.iter_mut().for_each(|(_, head)| *head = Head::default());
            self.written = 0;
        }
        self.written += self.heads.len();
        let epoch = self.journal.epoch();
        let append = |(day, head): &mut (DayKey, Head)| {
            let record = chain::next_record(*head, *day, epoch, Arc::clone(&self.body));
            let expected = *head;
            *head = Head { version: record.version, hash: record.hash };
            DayAppend { day: *day, epoch, expected, records: vec![record], next_work_at: None }
        };
        (Arc::clone(&self.journal), self.heads.iter_mut().map(append).collect())
    }
}

/// Appends and hands back what need not be dropped on the clock.
fn append(
    runtime: &Runtime,
    (journal, batch): (Arc<dyn Journal>, Vec<DayAppend>),
) -> (Arc<dyn Journal>, Vec<DayAppend>) {
    let outcomes = runtime.block_on(journal.append(&batch)).expect("it is written");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, DayOutcome::Appended { .. })), "{outcomes:?}");
    (journal, batch)
}

/// A new database whose shards are all ours.
async fn open_postgres(server: &Postgres) -> Arc<dyn Journal> {
    let url = server.create_database().await;
    let options = engine::postgres::options(&url).expect("a good address");
    engine::postgres::migrate(&options).await.expect("the schema comes up to date");
    let ownership = PostgresOwnership::open(&url).await.expect("it opens");
    let node = Node { incarnation: Uuid::from_u128(1), address: "here:1".to_owned(), is_live: true };
    ownership.join(&node, 3_600_000).await.expect("it joins");
    let wanted: Vec<_> = (0..booking_core::SHARD_COUNT).map(|shard| (shard, 0)).collect();
    let claimed = ownership.claim(node.incarnation, &wanted).await.expect("an answer");
    assert_eq!(claimed.len(), wanted.len());
    ownership.close().await;
    Arc::new(PostgresJournal::open(&url, Arc::new(Tenures::sole(1)), false).await.expect("it opens"))
}

fn appending(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let memory = || Arc::new(MemoryJournal::default()) as Arc<dyn Journal>;
    let sqlite = || {
        let fresh = tempfile::tempdir_in(directory.path()).expect("a directory").keep();
        Arc::new(runtime.block_on(SqliteJournal::open(&fresh)).expect("it opens")) as Arc<dyn Journal>
    };
    // With fsync, as SQLite here; both files are on the same disk.
    let server = runtime.block_on(Postgres::start_with(PostgresOptions { fsync: true, ..PostgresOptions::default() }));
    let postgres = || runtime.block_on(open_postgres(&server));
    let servers = [AppendFsync::Always, AppendFsync::EverySecond].map(|append_fsync| {
        runtime.block_on(Redis::start_with(RedisOptions { append_fsync, ..RedisOptions::default() }))
    });
    let [always, every_second] = &servers;
    let redis_always = || open_redis(&runtime, always);
    let redis_every_second = || open_redis(&runtime, every_second);
    let stores: [(&str, Open<'_>); 5] = [
        ("memory", &memory),
        ("sqlite", &sqlite),
        ("postgres", &postgres),
        ("redis, always", &redis_always),
        ("redis, every second", &redis_every_second),
    ];
    for (name, open) in stores {
        let mut group = criterion.benchmark_group(format!("append/{name}"));
        for days in BATCHES {
            let mut writer = Writer::new(open, days);
            group.throughput(Throughput::Elements(days as u64));
            group.bench_function(format!("{days} days"), |bencher| {
                bencher.iter_batched(|| writer.next(), |next| append(&runtime, next), BatchSize::PerIteration);
            });
            runtime.block_on(writer.journal.close());
        }
        group.finish();
    }
    tell_redis_memory(&runtime, every_second);
}

/// Empties the server and takes it.
fn open_redis(runtime: &Runtime, server: &Redis) -> Arc<dyn Journal> {
    runtime.block_on(async {
        let () = server.call(&["FLUSHALL"]).await;
        let settings = RedisSettings::new(vec![server.url()], Uuid::from_u128(1));
        let tenures = Arc::new(Tenures::none());
        let journal = RedisJournal::open(settings, tenures, Arc::new(SystemClock::start())).await.expect("it opens");
        journal.claim_alone().await.expect("it is ours");
        Arc::new(journal)
    })
}

/// Bytes of the server's memory for a record, and how much of its processor an append of a record takes, by days of one append.
fn tell_redis_memory(runtime: &Runtime, server: &Redis) {
    let told = |name: &str| -> f64 {
        let info: String = runtime.block_on(server.call(&["INFO"]));
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|value| value.trim().parse().ok()).expect("a number")
    };
    for days in BATCHES {
        let open = || open_redis(runtime, server);
        let mut writer = Writer::new(&open, days);
        let processor = || told("used_cpu_user") + told("used_cpu_sys");
        let (memory, before) = (told("used_memory"), processor());
        let rounds = 20_480 / days.max(4);
        (0..rounds).for_each(|_| drop(append(runtime, writer.next())));
        let records = (rounds * days) as f64;
        let (bytes, seconds) = ((told("used_memory") - memory) / records, processor() - before);
        eprintln!(
            "redis, {days} days: {bytes:.0} bytes and {:.1} us of its processor a record",
            seconds * 1e6 / records
        );
        runtime.block_on(writer.journal.close());
    }
}

/// A quarter of a minute in all.
fn bounded() -> Criterion {
    let criterion = Criterion::default().warm_up_time(Duration::from_millis(300));
    criterion.measurement_time(Duration::from_secs(1)).sample_size(20)
}

criterion_group! { name = benches; config = bounded(); targets = appending }
criterion_main!(benches);
