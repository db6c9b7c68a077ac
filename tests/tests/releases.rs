//! Do places open at their instants, for those they are meant for, and not a moment earlier?
//! Must not know: how a release is brought about.

use blackbox::places::server_clock_reaches;
use blackbox::{
    Day, Plan, Server, Wish, at_once, codes, count_of, instant_of, next_whole_second, now, text_of, wall_clock_reaches,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

async fn seen(server: &Server, day: &Day) -> Value {
    server.anyone().day(&day.doctor, &day.date).await.expect(200).json()
}

fn remaining(day: &Value) -> Value {
    json!(day["slots"].as_array().expect("slots").iter().map(|slot| &slot["remaining"]).collect::<Vec<_>>())
}

#[tokio::test]
async fn a_day_is_scheduled_then_open_then_sold_out() {
    let server = Server::start().await;
    let witness = server.publish(&Plan::quarters(1)).await;
    let release = next_whole_second(SignedDuration::from_secs(2));
    let day = server.publish(&Plan::quarters(2).released_at(release)).await;
    let before = seen(&server, &day).await;
    assert_eq!((&before["state"], remaining(&before)), (&json!("scheduled"), json!([0, 0])));
    assert_eq!(instant_of(&before["release_at"]), release);
    for wish in [Wish::any(&day), Wish::slot(&day, 1)] {
        let refusal = server.patient().book(&wish).await;
        let problem = refusal.problem(409, "not_released");
        assert_eq!(instant_of(&problem["release_at"]), release);
        let seconds: i64 = refusal.header("retry-after").expect("Retry-After").parse().expect("whole seconds");
        assert!((1..=4).contains(&seconds), "rounded up, and never longer than it takes: {seconds}");
        assert!(now() + SignedDuration::from_secs(seconds) >= release, "whoever waits that long is not too early");
    }
    server_clock_reaches(&server, &witness, release).await;
    let first = server.patient().book(&Wish::any(&day)).await.expect(201).json();
    assert!(instant_of(&first["created_at"]) >= release);
    let open = seen(&server, &day).await;
    assert_eq!((&open["state"], &open["release_at"], remaining(&open)), (&json!("open"), &Value::Null, json!([0, 1])));
    server.patient().book(&Wish::any(&day)).await.expect(201);
    assert_eq!(seen(&server, &day).await["state"], "sold_out");
}

#[tokio::test]
async fn a_crowd_at_the_release_gets_exactly_the_places_and_none_before_it() {
    let server = Server::start().await;
    let release = next_whole_second(SignedDuration::from_secs(2));
    let day = server.publish(&Plan::quarters(20).released_at(release)).await;
    let replies = at_once(200, |number| {
        let booking = server.patient().book(&Wish::any(&day));
        let moment = release + SignedDuration::from_millis(number as i64 - 100);
        async move {
            wall_clock_reaches(moment).await;
            booking.await
        }
    })
    .await;
    assert_eq!(count_of(&replies, 201), 20, "a hundred came after the release");
    let told = codes(&replies);
    assert!(told.iter().all(|code| ["not_released", "sold_out"].contains(&code.as_str())), "{told:?}");
    for reply in replies.iter().filter(|reply| reply.status == 201) {
        assert!(instant_of(&reply.field("created_at")) >= release, "{}", reply.text());
    }
    assert_eq!(seen(&server, &day).await["state"], "sold_out");
}

#[tokio::test]
async fn the_first_places_open_now_and_the_rest_later() {
    let mut server = Server::start().await;
    let witness = server.publish(&Plan::quarters(1)).await;
    let later = next_whole_second(SignedDuration::from_secs(3));
    let releases = json!([{"at": text_of(now() - SignedDuration::from_hours(1)), "places": 3}, {"at": text_of(later)}]);
    let day = server.publish(&Plan::quarters(5).with("releases", releases)).await;
    let staged = seen(&server, &day).await;
    assert_eq!((&staged["state"], remaining(&staged)), (&json!("open"), json!([1, 1, 1, 0, 0])));
    assert_eq!(instant_of(&staged["release_at"]), later);
    let withheld = server.patient().book(&Wish::slot(&day, 4)).await.problem(409, "not_released");
    assert_eq!(instant_of(&withheld["release_at"]), later);
    for _ in 0..3 {
        server.patient().book(&Wish::any(&day)).await.expect(201);
    }
    server.patient().book(&Wish::any(&day)).await.problem(409, "sold_out");
    server.patient().book(&Wish::slot(&day, 0)).await.problem(409, "slot_taken");
    let between = seen(&server, &day).await;
    assert_eq!((&between["state"], instant_of(&between["release_at"])), (&json!("sold_out"), later));

    server_clock_reaches(&server, &witness, later).await;
    server.patient().book(&Wish::slot(&day, 4)).await.expect(201);
    let opened = seen(&server, &day).await;
    assert_eq!((&opened["state"], &opened["release_at"]), (&json!("open"), &Value::Null));
    assert_eq!(remaining(&opened), json!([0, 0, 0, 1, 0]));
    server.restart().await;
    assert_eq!(remaining(&seen(&server, &day).await), json!([0, 0, 0, 1, 0]));
    server.patient().book(&Wish::any(&day)).await.expect(201);
    assert_eq!(seen(&server, &day).await["state"], "sold_out");
}

#[tokio::test]
async fn an_audience_books_before_everyone_else() {
    let server = Server::start().await;
    let witness = server.publish(&Plan::quarters(1)).await;
    let later = next_whole_second(SignedDuration::from_secs(3));
    let releases = json!([
        {"at": text_of(now() - SignedDuration::from_hours(1)), "places": 2, "audience": "chronic"},
        {"at": text_of(later)},
    ]);
    let day = server.publish(&Plan::quarters(4).with("releases", releases)).await;
    assert_eq!(remaining(&seen(&server, &day).await), json!([0, 0, 0, 0]), "nothing for everyone yet");
    let outsider = server.patient().book(&Wish::any(&day)).await.problem(409, "not_released");
    assert_eq!(instant_of(&outsider["release_at"]), later);
    server.patient_of(&["students"]).book(&Wish::slot(&day, 0)).await.problem(409, "not_released");
    let member = server.patient_of(&["students", "chronic"]);
    let first = member.book(&Wish::any(&day)).await.expect(201).json();
    assert_eq!(instant_of(&first["start"]), day.starts[0]);
    server.patient_of(&["chronic"]).book(&Wish::slot(&day, 1)).await.expect(201);
    server.patient_of(&["chronic"]).book(&Wish::any(&day)).await.problem(409, "sold_out");
    server.patient_of(&["chronic"]).book(&Wish::slot(&day, 3)).await.problem(409, "not_released");

    server_clock_reaches(&server, &witness, later).await;
    assert_eq!(remaining(&seen(&server, &day).await), json!([0, 0, 1, 1]));
    server.patient().book(&Wish::any(&day)).await.expect(201);
    server.patient_of(&["chronic"]).book(&Wish::any(&day)).await.expect(201);
    assert_eq!(seen(&server, &day).await["state"], "sold_out");
}

#[tokio::test]
async fn the_tag_of_a_day_changes_with_a_release_alone() {
    let server = Server::start().await;
    let witness = server.publish(&Plan::quarters(1)).await;
    let release = next_whole_second(SignedDuration::from_secs(1));
    let day = server.publish(&Plan::quarters(1).released_at(release)).await;
    let before = server.anyone().day(&day.doctor, &day.date).await.expect(200);
    let tag = before.header("etag").expect("ETag").to_owned();
    server_clock_reaches(&server, &witness, release).await;
    let after = server.anyone().day(&day.doctor, &day.date).header("if-none-match", &tag).await.expect(200);
    assert_ne!(after.header("etag"), Some(tag.as_str()));
    assert_eq!(after.text_of("state"), "open");
}

#[tokio::test]
async fn a_release_that_came_while_the_program_was_down_has_come() {
    let mut server = Server::start().await;
    let release = next_whole_second(SignedDuration::from_secs(1));
    let day = server.publish(&Plan::quarters(2).released_at(release)).await;
    server.kill().await;
    wall_clock_reaches(release + SignedDuration::from_millis(50)).await;
    server.start_again().await;
    server.patient().book(&Wish::slot(&day, 0)).await.expect(201);
    assert_eq!(seen(&server, &day).await["state"], "open");
}
