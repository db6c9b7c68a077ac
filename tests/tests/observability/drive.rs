//! Everything that people do, a little of each, so that every figure moves.
//! Must not know: which figures there are.

use std::time::Duration;

use blackbox::cluster::Doors;
use blackbox::{Client, Day, Plan, Wish, at_once, codes, eventually, fresh_id, next_whole_second, wall_clock_reaches};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// A hold of a second has expired, and that is recorded, by then.
const EXPIRY_DEADLINE: Duration = Duration::from_secs(15);
/// Long enough for a few looks before the release, also on a busy machine.
const RELEASE_AHEAD: SignedDuration = SignedDuration::from_secs(6);

/// A patient at that node.
fn patient(doors: &Doors, door: usize) -> Client {
    let id = fresh_id();
    doors.client(door, &id, &doors.token("patient", &id))
}

async fn doctor(doors: &Doors) -> String {
    let body = json!({
        "name": "Dr. Vera Lind", "specialties": ["dermatology"], "time_zone": "UTC",
        "location": {"name": "Clinic at the Park", "city": "Utrecht", "lat": 52.09, "lon": 5.12},
    });
    doors.admin(0).create_doctor(&body).await.expect(201).text_of("id")
}

async fn publish(doors: &Doors, doctor: &str, plan: &Plan) -> Day {
    let day = plan.day_of(doctor);
    doors.admin(1).put_day(doctor, &day.date, &plan.body()).await.expect(201);
    day
}

/// A day that will be released soon, and at what instant.
pub(super) async fn announce(doors: &Doors) -> (Day, Timestamp) {
    let release = next_whole_second(RELEASE_AHEAD);
    let day = publish(doors, &doctor(doors).await, &Plan::quarters_of(4, 2).released_at(release)).await;
    patient(doors, 0).book(&Wish::any(&day)).await.problem(409, "not_released");
    (day, release)
}

/// Its release: everybody at once, through every door.
pub(super) async fn rush(doors: &Doors, day: &Day, release: Timestamp) {
    wall_clock_reaches(release + SignedDuration::from_millis(50)).await;
    let wish = Wish::any(day);
    let replies = at_once(40, |number| {
        let (someone, wish) = (patient(doors, number), wish.clone());
        async move { someone.book(&wish).await }
    })
    .await;
    let won = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(won, day.capacity, "{:?}", codes(&replies));
}

/// One round of everything on a new doctor's days.
pub(super) async fn round(doors: &Doors, number: usize) {
    let doctor = doctor(doors).await;
    let day = publish(doors, &doctor, &Plan::quarters_of(2, 2)).await;
    let other = publish(doors, &doctor, &Plan::quarters_of(2, 2).later(1)).await;
    let path = format!("/v1/doctors/{doctor}/days/{}/stream", day.date);
    let mut stream = doors.stream(number, &path).await;
    assert!(stream.chunk().await.expect("a stream").is_some(), "a first event");
    book_and_lose(doors, &day, number).await;
    hold(doors, &other, number).await;
    change(doors, &day, &other, number).await;
    assert!(stream.chunk().await.expect("a stream").is_some(), "the day has changed");
    doors.admin(number).day_appointments(&doctor, &day.date).await.expect(200);
    patient(doors, number).get("/v1/appointments/nothing").await.problem(400, "invalid_request");
}

/// Somebody asks far more often than anybody may.
pub(super) async fn insist(doors: &Doors) {
    let somebody = patient(doors, 0);
    let replies = at_once(200, |_| {
        let call = somebody.own_appointments("limit=1");
        async move { call.await }
    })
    .await;
    assert_eq!(codes(&replies), ["rate_limited"]);
}

async fn book_and_lose(doors: &Doors, day: &Day, number: usize) {
    let first = patient(doors, number);
    let key = fresh_id();
    let booked = first.book(&Wish::slot(day, 0)).key(&key).await.expect(201);
    first.book(&Wish::slot(day, 0)).key(&key).await.expect(201);
    first.book(&Wish::any(day)).await.problem(409, "already_booked");
    for other in 1..4 {
        patient(doors, number + other).book(&Wish::any(day)).await.expect(201);
    }
    patient(doors, number + 1).book(&Wish::slot(day, 0)).await.problem(409, "slot_taken");
    for other in 0..4 {
        patient(doors, other).book(&Wish::any(day)).await.problem(409, "sold_out");
    }
    let id = booked.text_of("id");
    first.appointment(&id).await.expect(200);
    first.history(&id).await.expect(200);
    first.cancel(&id).await.expect(200);
}

/// One hold is confirmed, one runs out.
async fn hold(doors: &Doors, day: &Day, number: usize) {
    let keeper = patient(doors, number);
    let held = keeper.hold(&Wish::slot(day, 0)).await.expect(201).text_of("id");
    keeper.confirm(&held).await.expect(200);
    let late = patient(doors, number + 1);
    let held = late.hold(&Wish::slot(day, 0).ttl(1)).await.expect(201).text_of("id");
    eventually("the hold has expired", EXPIRY_DEADLINE, async || {
        (late.appointment(&held).await.expect(200).text_of("status") == "expired").then_some(())
    })
    .await;
}

/// An appointment moves to another day.
async fn change(doors: &Doors, day: &Day, other: &Day, number: usize) {
    let mover = patient(doors, number + 2);
    let id = mover.book(&Wish::any(day)).await.expect(201).text_of("id");
    mover.reschedule(&id, &Wish::slot(other, 1)).await.expect(200);
    mover.own_appointments("limit=10").await.expect(200);
}
