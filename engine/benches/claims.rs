//! What a claim costs a winner, and what the index costs for every live appointment: `cargo bench -p engine --bench claims`.
//! Must not know: days, journals. Figures are printed, not judged: they belong into the notes of whoever ran it.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use booking_core::{AppointmentId, Date, DayKey, DoctorId, Fingerprint, PatientId, RequestKey, SubjectId, UtcMillis};
use engine::claims::{Claimed, Claims, Visit, Waiter, Wish};
use uuid::Uuid;

/// Live appointments in the index.
const APPOINTMENTS: u64 = 1_000_000;
const HOUR: i64 = 3_600_000;

struct Nobody;

impl Waiter for Nobody {
    fn settled(&self) {}
}

/// Sixteen bytes that look random (splitmix64, twice).
fn id(number: u64, kind: u64) -> Uuid {
    let mix = |mut value: u64| {
        value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    Uuid::from_u64_pair(mix(number * 8 + kind), mix(number * 8 + kind + 4))
}

fn day(number: u64) -> DayKey {
    DayKey { doctor: DoctorId(id(number % 2_000, 1)), date: Date::from_days(20_000).expect("a date") }
}

fn visit(number: u64) -> Visit {
    let start = UtcMillis(HOUR * (1 + (number % 8) as i64));
    let end = start.plus_millis(HOUR);
    let (patient, appointment) = (PatientId(id(number, 2)), AppointmentId(id(number, 3)));
    Visit { patient, appointment, start, end, hold_expires_at: None }
}

fn key(number: u64) -> RequestKey {
    let subject = SubjectId(id(number, 2));
    RequestKey { subject, key: id(number, 0).to_string().into(), fingerprint: Fingerprint([0; 16]) }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn timed(what: &str, mut each: impl FnMut(u64)) {
    let begun = Instant::now();
    (0..APPOINTMENTS).for_each(&mut each);
    let nanos = begun.elapsed().as_nanos() as f64 / APPOINTMENTS as f64;
    println!("{what}: {nanos:.0} ns each");
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number") * 4_096
}

fn main() {
    let waiter: Arc<dyn Waiter> = Arc::new(Nobody);
    let date = Date::from_days(20_000).expect("a date");
    let now = UtcMillis(0);
    timed("making the ids alone (subtract)", |number| {
        black_box((visit(number), day(number), key(number)));
    });
    let claims = Claims::default();
    let before = resident();
    timed("claim of a patient's time", |number| {
        let wish = Wish { day: day(number), sequence: 1, visit: Some(visit(number)), key: None, now };
        assert!(matches!(claims.claim(&wish, &waiter), Claimed::Granted));
    });
    timed("settling it when it is durable", |number| {
        let visit = visit(number);
        claims.settle(visit.patient, visit.appointment, day(number), 1, Some(visit));
    });
    println!("index of visits: {} bytes a live appointment", (resident() - before) / APPOINTMENTS);
    let before = resident();
    timed("claim of a key", |number| {
        let key = key(number);
        let wish = Wish { day: day(number), sequence: 1, visit: None, key: Some((&key, date)), now };
        assert!(matches!(claims.claim(&wish, &waiter), Claimed::Granted));
    });
    timed("settling it when it is durable", |number| claims.key_won(&key(number), day(number), date));
    println!("index of keys: {} bytes a remembered key", (resident() - before) / APPOINTMENTS);
    timed("a loser's look at where its patient is", |number| {
        let visit = visit(number);
        black_box(claims.busy(visit.patient, day(number + 1), AppointmentId(Uuid::nil()), now));
    });
}
