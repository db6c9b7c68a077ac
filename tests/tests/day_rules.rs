//! Which days may not be put, and on which date a day lies when its doctor lives elsewhere.
//! Must not know: what a published day does.

use blackbox::{Plan, Reply, Server, Wish, days_ahead, fresh_id, instant, instant_of, text_of};
use jiff::SignedDuration;
use serde_json::{Value, json};

/// One doctor, and days put for it.
struct Desk {
    server: Server,
    doctor: String,
}

impl Desk {
    async fn open_in(time_zone: &str) -> Self {
        let server = Server::start().await;
        let doctor = server.new_doctor_in(time_zone).await;
        Self { server, doctor }
    }

    async fn put(&self, date: &str, body: &Value) -> Reply {
        self.server.admin().put_day(&self.doctor, date, body).await
    }

    /// Puts the body and expects a complaint about these places of it.
    async fn refuses(&self, body: &Value, pointers: &[&str]) {
        let reply = self.put(&days_ahead(3).to_string(), body).await;
        assert_eq!(reply.pointers(), pointers, "of {}", shortened(body));
    }
}

fn shortened(body: &Value) -> String {
    body.to_string().chars().take(300).collect()
}

fn edited(edit: impl FnOnce(&mut Value)) -> Value {
    let mut body = Plan::quarters(3).body();
    edit(&mut body);
    body
}

#[tokio::test]
async fn a_body_of_the_wrong_shape_is_pointed_at() {
    let desk = Desk::open_in("UTC").await;
    let release = text_of(instant(days_ahead(2), "08:00"));
    desk.refuses(&json!({}), &["/slots"]).await;
    desk.refuses(&json!({"slots": []}), &["/slots"]).await;
    desk.refuses(&json!({"slots": "none"}), &["/slots"]).await;
    desk.refuses(&edited(|body| body["slots"][1]["capcity"] = json!(2)), &["/slots/1/capcity"]).await;
    desk.refuses(&edited(|body| body["sluts"] = json!([])), &["/sluts"]).await;
    desk.refuses(&edited(|body| body["slots"][2]["start"] = json!("soon")), &["/slots/2/start"]).await;
    desk.refuses(&edited(|body| body["slots"][2]["end"] = json!(17)), &["/slots/2/end"]).await;
    desk.refuses(
        &edited(|body| drop(body["slots"][0].as_object_mut().map(|slot| slot.remove("end")))),
        &["/slots/0/end"],
    )
    .await;
    for capacity in [json!(0), json!(-1), json!(100_001), json!(1.5), json!("2"), json!(1e30)] {
        desk.refuses(&edited(|body| body["slots"][1]["capacity"] = capacity), &["/slots/1/capacity"]).await;
    }
    let both = edited(|body| {
        body["release_at"] = json!(release);
        body["releases"] = json!([{"at": release}]);
    });
    let complaint = desk.put(&days_ahead(3).to_string(), &both).await;
    assert!(!complaint.pointers().is_empty());
    desk.refuses(&edited(|body| body["releases"] = json!([{"at": release, "place": 3}])), &["/releases/0/place"]).await;
    desk.refuses(&edited(|body| body["releases"] = json!([{"places": 3}])), &["/releases/0/at"]).await;
    desk.refuses(&edited(|body| body["releases"] = json!([{"at": release, "places": 0}])), &["/releases/0/places"])
        .await;
}

#[tokio::test]
async fn slots_that_overlap_or_end_before_they_start_are_refused() {
    let desk = Desk::open_in("UTC").await;
    let date = days_ahead(3).to_string();
    let mut overlapping = Plan::quarters(3);
    overlapping.slots[0].1 += SignedDuration::from_secs(1);
    let pointers = desk.put(&date, &overlapping.body()).await.pointers();
    assert!(pointers.iter().all(|pointer| pointer.starts_with("/slots/")), "{pointers:?}");
    let mut twice = Plan::quarters(2);
    twice.slots.push(twice.slots[0]);
    assert!(!desk.put(&date, &twice.body()).await.pointers().is_empty());
    for seconds in [0, -60] {
        let mut inverted = Plan::quarters(1);
        inverted.slots[0].1 = inverted.slots[0].0 + SignedDuration::from_secs(seconds);
        desk.refuses(&inverted.body(), &["/slots/0/end"]).await;
    }
    let mut fraction = Plan::quarters(1);
    fraction.slots[0].0 += SignedDuration::from_millis(500);
    desk.refuses(&fraction.body(), &["/slots/0/start"]).await;
    desk.put(&date, &Plan::quarters(3).body()).await.expect(201);
}

#[tokio::test]
async fn a_day_has_at_most_five_hundred_slots_and_thirty_six_hours() {
    let desk = Desk::open_in("UTC").await;
    let first = instant(days_ahead(3), "08:00");
    let minutes = |slots| Plan::grid(first, slots, SignedDuration::from_mins(1), 1);
    desk.refuses(&minutes(501).body(), &["/slots"]).await;
    desk.put(&days_ahead(3).to_string(), &minutes(500).body()).await.expect(201);

    let mut long = Plan::grid(instant(days_ahead(5), "08:00"), 2, SignedDuration::from_hours(18), 1);
    let date = days_ahead(5).to_string();
    long.slots[1].1 += SignedDuration::from_secs(1);
    assert!(!desk.put(&date, &long.body()).await.pointers().is_empty(), "36 h and a second");
    long.slots[1].1 -= SignedDuration::from_secs(1);
    desk.put(&date, &long.body()).await.expect(201);
    let crowded = Plan::grid(instant(days_ahead(9), "08:00"), 1, SignedDuration::from_hours(1), 100_000);
    desk.put(&days_ahead(9).to_string(), &crowded.body()).await.expect(201);
}

#[tokio::test]
async fn a_release_must_not_lie_after_the_last_start() {
    let desk = Desk::open_in("UTC").await;
    let last = Plan::quarters(3).slots[2].0;
    let late = text_of(last + SignedDuration::from_secs(1));
    desk.refuses(&edited(|body| body["release_at"] = json!(late)), &["/release_at"]).await;
    let releases = json!([{"at": text_of(last), "places": 1}, {"at": late}]);
    desk.refuses(&edited(|body| body["releases"] = releases), &["/releases/1/at"]).await;
    desk.refuses(&edited(|body| body["release_at"] = json!("tomorrow")), &["/release_at"]).await;
    let at_last_start = edited(|body| body["release_at"] = json!(text_of(last)));
    desk.put(&days_ahead(3).to_string(), &at_last_start).await.expect(201);
}

#[tokio::test]
async fn the_first_start_lies_on_the_date_of_the_doctors_zone() {
    // Tokyo is nine hours ahead of UTC, Los Angeles seven or eight behind, the whole year.
    for (time_zone, utc_start, on_the_day_before) in
        [("Asia/Tokyo", "16:30", false), ("America/Los_Angeles", "03:00", true), ("UTC", "12:00", true)]
    {
        let desk = Desk::open_in(time_zone).await;
        let plan = Plan::grid(instant(days_ahead(4), utc_start), 2, SignedDuration::from_mins(30), 1);
        let date = match time_zone {
            "Asia/Tokyo" => days_ahead(5),
            "America/Los_Angeles" => days_ahead(3),
            _ => days_ahead(4),
        };
        let wrong = if on_the_day_before { days_ahead(5) } else { days_ahead(4) };
        let pointers = desk.put(&wrong.to_string(), &plan.body()).await.pointers();
        assert_eq!(pointers, ["/slots/0/start"], "{time_zone}");
        let made = desk.put(&date.to_string(), &plan.body()).await.expect(201).json();
        assert_eq!((&made["time_zone"], &made["date"]), (&json!(time_zone), &json!(date.to_string())));
        let mut day = plan.day_of(&desk.doctor);
        day.date = date.to_string();
        let booked = desk.server.patient().book(&Wish::any(&day)).await.expect(201).json();
        assert_eq!((&booked["time_zone"], &booked["date"]), (&json!(time_zone), &json!(date.to_string())));
        assert_eq!(instant_of(&booked["start"]), plan.slots[0].0);
    }
}

#[tokio::test]
async fn a_shift_may_run_past_midnight_and_stays_one_day() {
    let desk = Desk::open_in("UTC").await;
    let night = Plan::grid(instant(days_ahead(3), "22:00"), 8, SignedDuration::from_mins(30), 1);
    let date = days_ahead(3).to_string();
    desk.put(&date, &night.body()).await.expect(201);
    let day = night.day_of(&desk.doctor);
    let after_midnight = desk.server.patient().book(&Wish::slot(&day, 6)).await.expect(201).json();
    assert_eq!(after_midnight["date"], json!(date), "the slot belongs to the day on which the shift starts");
    assert_eq!(instant_of(&after_midnight["start"]), instant(days_ahead(4), "01:00"));
    desk.server.anyone().day(&desk.doctor, &days_ahead(4).to_string()).await.problem(404, "not_found");

    let morning = Plan::grid(instant(days_ahead(4), "01:30"), 2, SignedDuration::from_mins(30), 1);
    desk.put(&days_ahead(4).to_string(), &morning.body()).await.problem(409, "overlaps_other_day");
    let later = Plan::grid(instant(days_ahead(4), "02:00"), 2, SignedDuration::from_mins(30), 1);
    desk.put(&days_ahead(4).to_string(), &later.body()).await.expect(201);
    let longer = Plan::grid(instant(days_ahead(3), "22:00"), 9, SignedDuration::from_mins(30), 1);
    desk.put(&date, &longer.body()).await.problem(409, "overlaps_other_day");
    let colleague = desk.server.new_doctor().await;
    desk.server.publish_for(&colleague, &morning).await;
}

#[tokio::test]
async fn a_day_needs_a_doctor_and_a_date() {
    let desk = Desk::open_in("UTC").await;
    let body = Plan::quarters(1).body();
    let date = days_ahead(3).to_string();
    let admin = desk.server.admin();
    admin.put_day(&fresh_id(), &date, &body).await.problem(404, "not_found");
    for wrong in ["2026-02-30", "2026-13-01", "tomorrow", "20260301", "2026-3-1"] {
        desk.put(wrong, &body).await.problem(400, "invalid_request");
        admin.close_day(&desk.doctor, wrong).await.problem(400, "invalid_request");
        desk.server.anyone().day(&desk.doctor, wrong).await.problem(400, "invalid_request");
    }
    desk.server.anyone().day("not-a-uuid", &date).await.problem(400, "invalid_request");
    admin.close_day(&desk.doctor, &date).await.problem(404, "not_found");
    desk.server.patient().put_day(&desk.doctor, &date, &body).await.problem(403, "forbidden");
    desk.server.doctor(&fresh_id()).put_day(&desk.doctor, &date, &body).await.problem(403, "forbidden");
    desk.server.doctor(&desk.doctor).put_day(&desk.doctor, &date, &body).await.expect(201);
}
