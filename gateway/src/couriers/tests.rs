//! Messages about visits on the days on which clocks are set, north and south, by an hour and by half of one: out once, at their instant,
//! in the words of the local time. From the rows in a file, over the product's sender, into the file channel, in virtual time.
//! Must not know: how instants are reckoned.

use std::path::Path;
use std::sync::OnceLock;

use booking_core::{AppointmentId, Date, DayKey};
use engine::config::ReminderSettings;
use engine::ledger::registry::{DoctorProfile, Location, Policies};
use engine::ledger::reminders::PolicyScope;
use engine::testing::{SendingHouse, VirtualTime};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use messages::FileSettings;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

/// When everything is booked.
const BEGAN: &str = "2027-03-20T12:00:00Z";
/// A message of a machine that is up is out within a second.
const LATE_MILLIS: i64 = 1_000;
const DAY: u64 = 86_400;
const TWO_HOURS: u64 = 7_200;

/// A visit, what its messages must say of its time, and when its reminders must go out, by their offsets.
struct Visit {
    zone: &'static str,
    start: &'static str,
    says: &'static str,
    quiet: Option<[&'static str; 2]>,
    due: &'static [(u64, &'static str)],
}

const BERLIN: &str = "Europe/Berlin";
const LORD_HOWE: &str = "Australia/Lord_Howe";
const SANTIAGO: &str = "America/Santiago";
const NIGHT: Option<[&str; 2]> = Some(["21:00", "07:00"]);
/// Ends by a time that clocks show never, or twice.
const HALF_THE_NIGHT: Option<[&str; 2]> = Some(["21:00", "02:30"]);

const fn visit(
    zone: &'static str,
    start: &'static str,
    says: &'static str,
    due: &'static [(u64, &'static str)],
) -> Visit {
    Visit { zone, start, says, quiet: None, due }
}

const VISITS: [Visit; 14] = [
    // At ten in the morning after the night in which the clocks are set: a day before is nine, or eleven, on the clock, or half an hour off.
    visit(
        BERLIN,
        "2027-03-28T08:00:00Z",
        "10:00 (UTC+2)",
        &[(DAY, "2027-03-27T08:00:00Z"), (TWO_HOURS, "2027-03-28T06:00:00Z")],
    ),
    visit(
        BERLIN,
        "2027-10-31T09:00:00Z",
        "10:00 (UTC+1)",
        &[(DAY, "2027-10-30T09:00:00Z"), (TWO_HOURS, "2027-10-31T07:00:00Z")],
    ),
    visit(
        LORD_HOWE,
        "2027-04-03T23:30:00Z",
        "10:00 (UTC+10:30)",
        &[(DAY, "2027-04-02T23:30:00Z"), (TWO_HOURS, "2027-04-03T21:30:00Z")],
    ),
    visit(
        LORD_HOWE,
        "2027-10-02T23:00:00Z",
        "10:00 (UTC+11)",
        &[(DAY, "2027-10-01T23:00:00Z"), (TWO_HOURS, "2027-10-02T21:00:00Z")],
    ),
    visit(
        SANTIAGO,
        "2027-04-04T14:00:00Z",
        "10:00 (UTC-4)",
        &[(DAY, "2027-04-03T14:00:00Z"), (TWO_HOURS, "2027-04-04T12:00:00Z")],
    ),
    visit(
        SANTIAGO,
        "2027-09-05T13:00:00Z",
        "10:00 (UTC-3)",
        &[(DAY, "2027-09-04T13:00:00Z"), (TWO_HOURS, "2027-09-05T11:00:00Z")],
    ),
    // The hour that comes twice: both visits begin at half past two.
    visit(
        BERLIN,
        "2027-10-31T00:30:00Z",
        "02:30 (UTC+2)",
        &[(DAY, "2027-10-30T00:30:00Z"), (TWO_HOURS, "2027-10-30T22:30:00Z")],
    ),
    visit(
        BERLIN,
        "2027-10-31T01:30:00Z",
        "02:30 (UTC+1)",
        &[(DAY, "2027-10-30T01:30:00Z"), (TWO_HOURS, "2027-10-30T23:30:00Z")],
    ),
    // At half past eight, two hours before is in the night: it waits for seven o'clock, by the new clock.
    Visit {
        quiet: NIGHT,
        ..visit(
            BERLIN,
            "2027-03-28T06:30:00Z",
            "08:30 (UTC+2)",
            &[(DAY, "2027-03-27T06:30:00Z"), (TWO_HOURS, "2027-03-28T05:00:00Z")],
        )
    },
    Visit {
        quiet: NIGHT,
        ..visit(
            BERLIN,
            "2027-10-31T07:30:00Z",
            "08:30 (UTC+1)",
            &[(DAY, "2027-10-30T07:30:00Z"), (TWO_HOURS, "2027-10-31T06:00:00Z")],
        )
    },
    Visit {
        quiet: NIGHT,
        ..visit(
            LORD_HOWE,
            "2027-10-02T21:30:00Z",
            "08:30 (UTC+11)",
            &[(DAY, "2027-10-01T21:30:00Z"), (TWO_HOURS, "2027-10-02T20:00:00Z")],
        )
    },
    // An end of the night that the clocks skip is later by what they skip.
    Visit {
        quiet: HALF_THE_NIGHT,
        ..visit(
            BERLIN,
            "2027-03-28T02:45:00Z",
            "04:45 (UTC+2)",
            &[(DAY, "2027-03-27T02:45:00Z"), (TWO_HOURS, "2027-03-28T01:30:00Z")],
        )
    },
    // One that they show twice is the one after the message was due: the first for who was due before it.
    Visit {
        quiet: HALF_THE_NIGHT,
        ..visit(
            BERLIN,
            "2027-10-31T02:15:00Z",
            "03:15 (UTC+1)",
            &[(DAY, "2027-10-30T02:15:00Z"), (TWO_HOURS, "2027-10-31T00:30:00Z")],
        )
    },
    Visit {
        quiet: HALF_THE_NIGHT,
        ..visit(
            BERLIN,
            "2027-10-31T03:00:00Z",
            "04:00 (UTC+1)",
            &[(DAY, "2027-10-30T03:00:00Z"), (TWO_HOURS, "2027-10-31T01:30:00Z")],
        )
    },
];

/// The product's couriers, while whose calls time stands: they write into a file and ask a file.
struct Standing {
    couriers: Couriers,
    time: Arc<OnceLock<VirtualTime>>,
}

struct StandingCourier {
    courier: Arc<dyn Courier>,
    time: Arc<OnceLock<VirtualTime>>,
}

#[async_trait]
impl Courier for StandingCourier {
    fn channel(&self) -> Channel {
        self.courier.channel()
    }

    fn capacity(&self) -> Capacity {
        self.courier.capacity()
    }

    async fn send(&self, letters: &[Letter]) -> Vec<Delivered> {
        let _busy = self.time.get().map(VirtualTime::busy);
        self.courier.send(letters).await
    }
}

impl OpenCouriers for Standing {
    fn open(&self, registry: &Arc<dyn Registry>, clock: &Arc<dyn Clock>) -> Result<Ways, String> {
        let standing = |courier| Arc::new(StandingCourier { courier, time: Arc::clone(&self.time) }) as _;
        let Ways { couriers, alarms } = self.couriers.open(registry, clock)?;
        Ok(Ways { couriers: couriers.into_iter().map(standing).collect(), alarms })
    }
}

fn instant(text: &str) -> UtcMillis {
    UtcMillis(text.parse::<Timestamp>().expect(text).as_millisecond())
}

/// A machine that sends into a file of `directory`.
async fn house(directory: &Path) -> SendingHouse {
    let time = Arc::new(OnceLock::new());
    let settings =
        Settings { file: Some(FileSettings { path: directory.join("outbox.jsonl") }), ..Settings::default() };
    let couriers = Standing { couriers: Couriers { settings, alerts: Vec::new() }, time: Arc::clone(&time) };
    let mut house =
        SendingHouse::open(directory, ReminderSettings::default(), Arc::new(couriers), instant(BEGAN)).await;
    assert!(time.set(house.time.clone()).is_ok(), "it begins once");
    house.start();
    house
}

/// A doctor with the policy of the visit, and the visit.
async fn book(house: &SendingHouse, number: u128, visit: &Visit) -> AppointmentId {
    let (now, start) = (house.now(), instant(visit.start));
    let profile = DoctorProfile {
        name: "Dr. Vera Lind".to_owned(),
        specialties: Vec::new(),
        time_zone: visit.zone.to_owned(),
        location: Location { name: "House".to_owned(), city: "Town".to_owned(), latitude: 52.5, longitude: 13.4 },
        bio: None,
        languages: Vec::new(),
        clinic: None,
    };
    let id = DoctorId(Uuid::from_u128(0xD0C << 96 | number));
    let doctor = Doctor { id, profile, created_at: now, updated_at: now };
    house.registry().create_doctor(&doctor, None).await.expect("a doctor");
    let quiet = visit.quiet.map(|[from, to]| json!({"from": from, "to": to}));
    let policy = json!({"offsets": [{"before_seconds": DAY}, {"before_seconds": TWO_HOURS}], "quiet_hours": quiet});
    let policy: ReminderPolicy = serde_json::from_value(policy).expect("a policy");
    house.registry().put_policy(PolicyScope::Doctor(id), Some(&policy), now).await.expect("it is put");
    let local =
        Timestamp::from_millisecond(start.0).expect("an instant").to_zoned(TimeZone::get(visit.zone).expect("a zone"));
    let [month, day] = [local.month(), local.day()].map(i8::unsigned_abs).map(u32::from);
    let date = Date::from_civil(local.year().into(), month, day).expect("a date");
    let day = DayKey { doctor: id, date };
    house.books.with(|diary| {
        diary.publish(day, visit.zone, &[start], 1, now);
        diary.book(day, PatientId(Uuid::from_u128(0xA71 << 96 | number)), start, now)
    })
}

fn lines(directory: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(directory.join("outbox.jsonl")).expect("the file");
    text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect()
}

#[tokio::test]
async fn on_days_on_which_clocks_are_set_every_message_goes_out_once_at_its_instant_in_local_words() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let house = house(directory).await;
    let mut expected: Vec<(UtcMillis, String, u64, &str)> = Vec::new();
    for (number, visit) in VISITS.iter().enumerate() {
        let id = book(&house, number as u128, visit).await.to_string();
        expected.extend(visit.due.iter().map(|(offset, due)| (instant(due), id.clone(), *offset, visit.says)));
        expected.push((instant(BEGAN), id, 0, visit.says));
    }
    expected.sort();
    house.applying().apply().await;
    house.time.pass(2_000).await;
    let mut read = VISITS.len();
    assert_eq!(lines(directory).len(), read, "the confirmations");
    let instants: std::collections::BTreeSet<UtcMillis> = expected.iter().map(|it| it.0).skip(VISITS.len()).collect();
    for at in instants {
        house.sleep_until(at.plus_millis(-1)).await;
        assert_eq!(lines(directory).len(), read, "before {at:?}");
        house.time.pass(LATE_MILLIS).await;
        read += expected.iter().filter(|it| it.0 == at).count();
        assert_eq!(lines(directory).len(), read, "at {at:?}");
    }
    house.time.jump(30 * 86_400_000).await;
    let mut found = Vec::new();
    for line in lines(directory) {
        let text = |name: &str| line[name].as_str().expect("text").to_owned();
        let sent = instant(&text("sent_at"));
        let (id, offset) = (text("appointment_id"), line["offset_seconds"].as_u64().expect("a number"));
        let (due, _, _, says) = expected.iter().find(|it| (&it.1, it.2) == (&id, offset)).expect("it is expected");
        assert!((0..LATE_MILLIS).contains(&sent.millis_since(*due)), "{due:?}: {line}");
        assert!(text("text").contains(says), "{says}: {line}");
        found.push((*due, id, offset, *says));
    }
    found.sort();
    assert_eq!(found, expected, "each once");
}
