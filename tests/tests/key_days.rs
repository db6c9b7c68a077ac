//! What one idempotency key means on several days.
//! Must not know: where keys are kept (keys of moves: see `move_keys`).

use blackbox::places::{live, remaining};
use blackbox::{Plan, Server, Wish, at_once};
use serde_json::json;

const ROUNDS: usize = 100;

#[tokio::test]
async fn a_key_that_won_on_another_day_is_refused_in_place_of_a_success_only() {
    let mut server = Server::start().await;
    let day = server.publish(&Plan::quarters(2)).await;
    let free = server.publish(&Plan::quarters(2).later(1)).await;
    let full = server.publish(&Plan::quarters(1).later(2)).await;
    let closed = server.publish(&Plan::quarters(1).later(3)).await;
    server.patient().book(&Wish::any(&full)).await.expect(201);
    server.admin().close_day(&closed.doctor, &closed.date).await.expect(200);
    let same_hour = server.publish(&Plan::quarters(1)).await;
    let patient = server.patient().subject;
    let first = server.patient_as(&patient).book(&Wish::any(&day)).key("K").await.expect(201);
    for crash in [false, true, true] {
        if crash {
            server.restart().await;
        }
        let patient = server.patient_as(&patient);
        for call in
            [patient.book(&Wish::any(&free)), patient.book(&Wish::slot(&free, 1)), patient.hold(&Wish::any(&free))]
        {
            call.key("K").await.problem(422, "idempotency_key_reused");
        }
        patient.book(&Wish::any(&full)).key("K").await.problem(409, "sold_out");
        patient.book(&Wish::slot(&full, 0)).key("K").await.problem(409, "slot_taken");
        patient.book(&Wish::any(&closed)).key("K").await.problem(409, "closed");
        let busy = patient.book(&Wish::any(&same_hour)).key("K").await.problem(409, "already_booked");
        assert_eq!(busy["appointment_id"], first.field("id"));
        assert_eq!(remaining(&server, &free).await, [1, 1], "what was refused keeps no place");
        let again = patient.book(&Wish::any(&day)).key("K").await.expect(201);
        assert_eq!((again.replayed(), again.text()), (true, first.text()));
        patient.book(&Wish::slot(&day, 1)).key("K").await.problem(422, "idempotency_key_reused");
    }
    server.patient_as(&patient).book(&Wish::any(&free)).key("L").await.expect(201);
}

#[tokio::test]
async fn one_key_sent_for_two_days_at_once_wins_once() {
    let mut server = Server::start().await;
    let days = [
        server.publish(&Plan::quarters_of(2, ROUNDS as u32)).await,
        server.publish(&Plan::quarters_of(2, ROUNDS as u32).later(1)).await,
    ];
    for round in 0..ROUNDS {
        let patient = server.patient();
        let replies = at_once(2, |number| patient.book(&Wish::any(&days[number])).key("K").into_future()).await;
        let mut statuses = [replies[0].status, replies[1].status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 422], "round {round}: {} / {}", replies[0].text(), replies[1].text());
        let lost = usize::from(replies[1].status == 422);
        replies[lost].problem(422, "idempotency_key_reused");
        let items = patient.own_appointments("limit=10").await.json();
        assert_eq!(items["items"], json!([replies[1 - lost].json()]), "round {round}");
        // The key belongs to the winner's request: it repeats that, and refuses the other, whenever it is sent again.
        let again = patient.book(&Wish::any(&days[1 - lost])).key("K").await.expect(201);
        assert_eq!((again.replayed(), again.text()), (true, replies[1 - lost].text()));
        patient.book(&Wish::any(&days[lost])).key("K").await.problem(422, "idempotency_key_reused");
    }
    let live = [live(&server, &days[0]).await.len(), live(&server, &days[1]).await.len()];
    assert_eq!(live[0] + live[1], ROUNDS, "{live:?}");
    server.assert_audited().await;
}

#[tokio::test]
async fn a_refusal_leaves_the_key_free_for_another_day() {
    let server = Server::start().await;
    let full = server.publish(&Plan::quarters(1)).await;
    let free = server.publish(&Plan::quarters(1).later(1)).await;
    let winner = server.patient();
    let id = winner.book(&Wish::any(&full)).await.expect(201).text_of("id");
    let patient = server.patient();
    patient.book(&Wish::any(&full)).key("K").await.problem(409, "sold_out");
    let won = patient.book(&Wish::any(&free)).key("K").await.expect(201);
    winner.cancel(&id).await.expect(200);
    patient.book(&Wish::any(&full)).key("K").await.problem(422, "idempotency_key_reused");
    patient.cancel(&won.text_of("id")).key("K").await.problem(422, "idempotency_key_reused");
    patient.cancel(&won.text_of("id")).key("L").await.expect(200);
    patient.book(&Wish::any(&full)).key("L").await.problem(422, "idempotency_key_reused");
    patient.book(&Wish::any(&full)).key("M").await.expect(201);
}

#[tokio::test]
async fn keys_of_different_subjects_never_meet() {
    let server = Server::start().await;
    let days = [server.publish(&Plan::quarters(40)).await, server.publish(&Plan::quarters(40).later(1)).await];
    let replies = at_once(40, |number| {
        let patient = server.patient();
        patient.book(&Wish::slot(&days[number % 2], number)).key("K").into_future()
    })
    .await;
    for reply in &replies {
        assert!(!reply.clone().expect(201).replayed());
    }
    // An admin's keys are its own, whomever it books for.
    let (admin, patient) = (server.admin(), server.patient());
    patient.book(&Wish::slot(&days[0], 1)).key("K").await.expect(201);
    admin.book(&Wish::slot(&days[1], 0).patient(&patient.subject)).key("K").await.expect(201);
    let twice = admin.book(&Wish::slot(&days[0], 3).patient(&server.patient().subject)).key("K").await;
    twice.problem(422, "idempotency_key_reused");
}
