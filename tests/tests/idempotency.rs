//! Does one key make one booking, and give its first answer for ever?
//! Must not know: where keys are kept. (What a key may look like, and where it may be used, is in `key_rules`.)

use blackbox::{Client, Day, Plan, Reply, Server, Wish, at_once, count_of};

/// Identical requests at the same moment.
const TWINS: usize = 200;

async fn remaining(server: &Server, day: &Day) -> u64 {
    let seen = server.anyone().day(&day.doctor, &day.date).await.expect(200).json();
    seen["slots"].as_array().expect("slots").iter().map(|slot| slot["remaining"].as_u64().expect("remaining")).sum()
}

/// Lets strangers take every place that is left.
async fn sell_out(server: &Server, day: &Day) {
    let left = remaining(server, day).await;
    for _ in 0..left {
        server.patient().book(&Wish::any(day)).await.expect(201);
    }
    server.patient().book(&Wish::any(day)).await.problem(409, "sold_out");
}

/// Fails unless `again` is the same answer as `first`, marked as a repetition.
#[track_caller]
fn assert_same_answer(first: &Reply, again: &Reply) {
    assert_eq!((again.status, again.text()), (first.status, first.text()));
    assert_eq!(again.header("location"), first.header("location"));
    assert!(again.replayed(), "a repeated answer says so");
}

#[tokio::test]
async fn two_hundred_identical_retries_make_one_booking_and_one_answer() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(20)).await;
    let patient = server.patient();
    let call = patient.book(&Wish::any(&day));
    let replies = at_once(TWINS, |_| call.clone().into_future()).await;
    assert_eq!(count_of(&replies, 201), TWINS);
    let first = replies.iter().find(|reply| !reply.replayed()).expect("one answer is the first");
    assert_eq!(replies.iter().filter(|reply| reply.replayed()).count(), TWINS - 1);
    for reply in replies.iter().filter(|reply| reply.replayed()) {
        assert_same_answer(first, reply);
    }
    assert_eq!(remaining(&server, &day).await, 19);
    assert_same_answer(first, &call.await);
}

#[tokio::test]
async fn twins_of_a_refusal_are_all_refused() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    sell_out(&server, &day).await;
    let call = server.patient().book(&Wish::any(&day));
    let replies = at_once(TWINS, |_| call.clone().into_future()).await;
    replies.iter().for_each(|reply| drop(reply.problem(409, "sold_out")));
}

#[tokio::test]
async fn the_first_answer_comes_again_after_a_crash_a_sell_out_and_a_cancel() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(3)).await;
    let patient = server.patient().subject;
    let wish = Wish::slot(&day, 1);
    let key = "visible ASCII: !~".replace(' ', "-");
    let first = server.patient_as(&patient).book(&wish).key(&key).await.expect(201);
    assert!(!first.replayed());

    server.restart().await;
    assert_same_answer(&first, &server.patient_as(&patient).book(&wish).key(&key).await);

    sell_out(&server, &day).await;
    assert_same_answer(&first, &server.patient_as(&patient).book(&wish).key(&key).await);
    server.restart().await;
    assert_same_answer(&first, &server.patient_as(&patient).book(&wish).key(&key).await);

    let id = first.text_of("id");
    server.patient_as(&patient).cancel(&id).await.expect(200);
    assert_same_answer(&first, &server.patient_as(&patient).book(&wish).key(&key).await);
    assert_eq!(server.patient_as(&patient).appointment(&id).await.text_of("status"), "cancelled");

    server.restart().await;
    assert_same_answer(&first, &server.patient_as(&patient).book(&wish).key(&key).await);
    server.admin().close_day(&day.doctor, &day.date).await.expect(200);
    assert_same_answer(&first, &server.patient_as(&patient).book(&wish).key(&key).await);
    assert_eq!(remaining(&server, &day).await, 0, "a replay takes no place");
}

#[tokio::test]
async fn keys_of_two_subjects_never_meet() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(4)).await;
    let (one, other) = (server.patient(), server.patient());
    let first = one.book(&Wish::any(&day)).key("same").await.expect(201);
    let second = other.book(&Wish::any(&day)).key("same").await.expect(201);
    assert!(!second.replayed());
    assert_ne!(first.text_of("id"), second.text_of("id"));
    let admin = server.admin();
    let third = admin.book(&Wish::any(&day).patient(&server.patient().subject)).key("same").await.expect(201);
    assert!(!third.replayed());
    assert_eq!(remaining(&server, &day).await, 1);
}

#[tokio::test]
async fn a_refusal_is_not_remembered_and_the_same_key_wins_later() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let owner = server.patient();
    let id = owner.book(&Wish::any(&day)).await.expect(201).text_of("id");
    let call = server.patient().book(&Wish::any(&day)).key("K");
    for _ in 0..3 {
        let refusal = call.clone().await;
        refusal.problem(409, "sold_out");
    }
    owner.cancel(&id).await.expect(200);
    let won = call.clone().await.expect(201);
    assert!(!won.replayed());
    assert_same_answer(&won, &call.await);
}

/// Sends a cancel and eight times the same booking at once. Answers the booking's answers.
async fn cancel_and_twins(owner: &Client, id: &str, twins: &blackbox::Call) -> Vec<Reply> {
    let cancel = owner.cancel(id);
    let mut replies = at_once(9, |number| {
        let call = if number == 4 { cancel.clone() } else { twins.clone() };
        call.into_future()
    })
    .await;
    let cancelled = replies.remove(4);
    cancelled.expect(200);
    replies
}

#[tokio::test]
async fn a_key_that_won_behind_a_cancel_is_never_told_sold_out_again() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters(1)).await;
    let mut owner = server.patient();
    let mut id = owner.book(&Wish::any(&day)).await.expect(201).text_of("id");
    let mut won_in_the_storm = 0;
    for round in 0..60 {
        let challenger = server.patient();
        let call = challenger.book(&Wish::any(&day)).key("K");
        let replies = cancel_and_twins(&owner, &id, &call).await;
        let winners: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 201).collect();
        for refused in replies.iter().filter(|reply| reply.status != 201) {
            refused.problem(409, "sold_out");
        }
        let after = call.await.expect(201);
        if let Some(first) = winners.iter().find(|reply| !reply.replayed()) {
            won_in_the_storm += 1;
            winners.iter().filter(|reply| reply.replayed()).for_each(|reply| assert_same_answer(first, reply));
            assert_same_answer(first, &after);
        } else {
            assert!(winners.is_empty(), "round {round}: only repetitions of an answer that nobody got");
            assert!(!after.replayed(), "round {round}: a key that was refused to everyone must not have won");
        }
        (owner, id) = (challenger, after.text_of("id"));
    }
    eprintln!("won inside the storm: {won_in_the_storm} of 60");
    assert_eq!(remaining(&server, &day).await, 0);
}

#[tokio::test]
async fn the_sixty_fifth_remembered_success_of_one_subject_on_one_day_is_too_many() {
    let server = Server::start().await;
    let day = server.publish(&Plan::quarters_of(10, 10)).await;
    let admin = server.admin();
    let mut first = None;
    for number in 0..64 {
        let patient = server.patient().subject;
        let call = admin.book(&Wish::any(&day).patient(&patient)).key(&format!("key-{number}"));
        let reply = call.clone().await.expect(201);
        first.get_or_insert((call, reply));
    }
    let one_more = || Wish::any(&day).patient(&server.patient().subject);
    admin.book(&one_more()).await.problem(429, "rate_limited");
    assert_eq!(remaining(&server, &day).await, 36, "the refused one took no place");

    let (call, reply) = first.expect("64 were booked");
    assert_same_answer(&reply, &call.await);
    server.admin().book(&one_more()).await.expect(201);
    let next_day = server.publish_for(&day.doctor, &Plan::quarters(1).later(1)).await;
    admin.book(&Wish::any(&next_day).patient(&server.patient().subject)).await.expect(201);
}
