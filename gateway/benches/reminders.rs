//! A million pending reminders, ten thousand of them due in one second, over the SQLite store and the file channel:
//! `cargo bench -p gateway --features testing --bench reminders [-- PENDING DUE]`.
//! Must not know: how they are found and sent. Figures are printed, not judged: they belong into the notes of whoever
//! ran it.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use booking_core::{DoctorId, UtcMillis};
use engine::ledger::registry::{Doctor, DoctorProfile, Location, Registry};
use engine::ledger::sqlite::SqliteLedger;
use engine::{Engine, EngineConfig};
use hotslot::probes::file_couriers;
use metrics_exporter_prometheus::PrometheusBuilder;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Row, SqliteConnection};
use uuid::Uuid;

const DOCTORS: i64 = 100;
/// How long after the fill the burst comes: everything is read by then.
const LEAD_MILLIS: i64 = 90_000;
/// How far behind the burst everything else is due at least.
const REST_MILLIS: i64 = 120_000;
const OFFSET_SECONDS: i64 = 7_200;

/// Visits with an open reminder each: the first `$1` are due within one second from `$2` on, the rest evenly until two
/// hours from `$3`.
const FILL: &str = "
    CREATE TEMP TABLE filled AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $4)
        SELECT randomblob(16) AS id, randomblob(16) AS patient, i % 100 AS doctor,
               CASE WHEN i < $1 THEN $2 + i % 1000 ELSE $3 + (i * 7919) % 6600000 END AS due FROM n;
";

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> UtcMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    UtcMillis(i64::try_from(since.as_millis()).expect("before the year 292278994"))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn stopwatch() -> Instant {
    Instant::now()
}

/// Resident memory of this process, in bytes.
fn resident() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<i64>().ok()).expect("a number") * 4_096
}

/// Seconds of processor time of this process.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks: f64 = [11, 12].iter().map(|at| fields[*at].parse::<f64>().expect("a number")).sum();
    ticks / 100.0
}

fn doctor(number: i64) -> DoctorId {
    DoctorId(Uuid::from_u128(0xd0c_0000 + number as u128))
}

async fn fill(directory: &Path, pending: i64, due: i64) -> UtcMillis {
    let ledger = SqliteLedger::open(directory).await.expect("it opens");
    for number in 0..DOCTORS {
        let profile = DoctorProfile {
            name: format!("Dr. Number {number}"),
            specialties: Vec::new(),
            time_zone: "Europe/Berlin".to_owned(),
            location: Location { name: "House".to_owned(), city: "Berlin".to_owned(), latitude: 52.5, longitude: 13.4 },
            bio: None,
            languages: vec!["de".to_owned()],
            clinic: None,
        };
        let (id, at) = (doctor(number), UtcMillis(0));
        ledger.create_doctor(&Doctor { id, profile, created_at: at, updated_at: at }, None).await.expect("it is kept");
    }
    engine::ledger::Ledger::close(&ledger).await;
    let options = SqliteConnectOptions::new().filename(directory.join("ledger.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.expect("it opens");
    let burst = now().plus_millis(LEAD_MILLIS + pending / 20);
    let fill = sqlx::query(FILL).bind(due).bind(burst.0).bind(burst.0 + REST_MILLIS).bind(pending);
    fill.execute(&mut connection).await.expect("it is filled");
    let date = burst.0.div_euclid(86_400_000);
    sqlx::query("BEGIN").execute(&mut connection).await.expect("a transaction");
    for number in 0..DOCTORS {
        let day = "INSERT INTO doctor_day (doctor, date, time_zone, time_zone_database, first_start_ms, last_end_ms, slots, \
                   capacity, first_release_ms, releases, epoch, sequence) VALUES ($1, $2, 'Europe/Berlin', '', 0, 0, 1, 1, 0, 1, 1, 1)";
        let day = sqlx::query(day).bind(doctor(number).0).bind(date);
        day.execute(&mut connection).await.expect("a day");
    }
    for text in [
        "INSERT INTO appointment (id, doctor, date, patient, start_ms, end_ms, place, status, created_ms, updated_ms, version) \
         SELECT f.id, d.id, $1, f.patient, f.due + $2 * 1000, f.due + $2 * 1000 + 600000, 0, 'booked', 0, 0, 1 FROM filled f \
         JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM doctor) d ON d.number = f.doctor ORDER BY f.id",
        "INSERT INTO reminder (appointment, version, kind, offset_seconds, channel, recipient, due_ms, next_ms, status, attempts) \
         SELECT f.id, 1, 0, $2, 0, 0, f.due, f.due, 'pending', 0 FROM filled f WHERE $1 IS NOT NULL ORDER BY f.id",
        "INSERT INTO patient (id, name_key, name, language, created_ms, updated_ms) \
         SELECT patient, 0, CAST('Ada Lovelace' AS BLOB), 'de', 0, 0 FROM filled WHERE $1 IS NOT NULL AND $2 IS NOT NULL ORDER BY patient",
    ] {
        sqlx::query(text).bind(date).bind(OFFSET_SECONDS).execute(&mut connection).await.expect("rows");
    }
    sqlx::query("COMMIT").execute(&mut connection).await.expect("a transaction");
    connection.close().await.expect("it closes");
    burst
}

/// How late each of those that are sent was, in milliseconds, sorted: until what became of it was durable.
async fn lateness(directory: &Path) -> Vec<i64> {
    let options = SqliteConnectOptions::new().filename(directory.join("ledger.db")).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("it opens");
    let text = "SELECT sent_ms - due_ms AS late FROM reminder WHERE status = 'sent' ORDER BY late";
    let rows = sqlx::query(text).fetch_all(&mut connection).await.expect("rows");
    rows.iter().map(|row| row.get("late")).collect()
}

async fn run(pending: i64, due: i64) {
    let recorder = PrometheusBuilder::new().install_recorder().expect("the first recorder");
    let gauge = |name: &str| {
        let text = recorder.render();
        let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.rsplit(' ').next());
        line.and_then(|number| number.parse::<f64>().ok()).unwrap_or(0.0) as i64
    };
    let directory = tempfile::tempdir().expect("a directory");
    let begun = stopwatch();
    let burst = fill(directory.path(), pending, due).await;
    println!("{pending} visits with a pending reminder each, filled in {:.1} s", begun.elapsed().as_secs_f64());

    let config = EngineConfig::embedded(directory.path().to_owned());
    let couriers = file_couriers(directory.path());
    let begun = stopwatch();
    let engine = Engine::start_sending(config, None, Some(couriers)).await.expect("it starts");
    println!("started in {:.1} s", begun.elapsed().as_secs_f64());
    let (memory, processor, begun) = (resident(), processor_seconds(), stopwatch());
    let mut pause = tokio::time::interval(Duration::from_millis(100));
    while gauge("hotslot_reminders_in_wheel") < pending && now() < burst {
        pause.tick().await;
    }
    let timers = gauge("hotslot_reminders_in_wheel").max(1);
    let (seconds, grown) = (begun.elapsed().as_secs_f64(), resident() - memory);
    println!(
        "{timers} timers in memory after {seconds:.1} s, {} bytes and {:.1} µs of processor each",
        grown / timers,
        (processor_seconds() - processor) * 1e6 / timers as f64
    );

    while now() < burst.plus_millis(-200) {
        pause.tick().await;
    }
    let processor = processor_seconds();
    while lateness(directory.path()).await.len() < due as usize && now() < burst.plus_millis(60_000) {
        pause.tick().await;
    }
    let spent = processor_seconds() - processor;
    let late = lateness(directory.path()).await;
    let at = |percent: usize| {
        late.get((late.len() * percent / 100).min(late.len().saturating_sub(1))).copied().unwrap_or(-1)
    };
    println!(
        "{} of {due} due within one second are sent and recorded; lateness p50 {} ms, p99 {} ms, max {} ms",
        late.len(),
        at(50),
        at(99),
        at(100)
    );
    println!(
        "{:.0} µs of processor each, this benchmark's looks included; resident {} MiB",
        spent * 1e6 / late.len().max(1) as f64,
        resident() >> 20
    );
    let lines = std::fs::read_to_string(directory.path().join("outbox.jsonl")).expect("the outbox").lines().count();
    println!("{lines} lines in the outbox");
    let begun = stopwatch();
    engine.stop().await;
    println!("stopped in {:.2} s", begun.elapsed().as_secs_f64());
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<i64>().ok());
    let (pending, due) = (numbers.next().unwrap_or(1_000_000), numbers.next().unwrap_or(10_000));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(pending, due));
}
