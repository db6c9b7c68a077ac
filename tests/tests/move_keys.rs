//! What a key means on a move, and on an appointment that has moved since.
//! Must not know: where keys are kept.

use blackbox::places::{live, remaining};
use blackbox::{Day, Plan, Server, Wish, at_once};
use serde_json::json;

/// Two doctors' days on one date, and the first doctor's next date.
async fn three_days(server: &Server) -> [Day; 3] {
    let first = server.publish(&Plan::quarters(4)).await;
    let next_date = server.publish_for(&first.doctor, &Plan::quarters(4).later(1)).await;
    [first, server.publish(&Plan::quarters(4)).await, next_date]
}

#[tokio::test]
async fn a_moves_key_repeats_its_first_answer_whatever_has_happened_since() {
    let mut server = Server::start().await;
    let [first, colleague, next_date] = three_days(&server).await;
    let patient = server.patient().subject;
    let client = server.patient_as(&patient);
    let birth = client.book(&Wish::slot(&first, 1)).key("birth").await.expect(201);
    let id = birth.text_of("id");
    let mut known = Vec::new();
    for (key, wish) in [
        ("within", Wish::any(&first)),
        ("same", Wish::slot(&first, 0)),
        // No doctor is named: another one than the present, once it has gone on.
        ("date", Wish::date(&next_date.date)),
        ("doctor", Wish::slot(&colleague, 2)),
        ("back", Wish::slot(&first, 3)),
        ("again", Wish::any(&colleague)),
    ] {
        let reply = client.reschedule(&id, &wish).key(key).await.expect(200);
        assert!(!reply.replayed(), "{key}");
        known.push((key, wish, reply));
    }
    for step in ["moved on", "crashed", "cancelled", "crashed again"] {
        match step {
            "cancelled" => drop(server.patient_as(&patient).cancel(&id).await.expect(200)),
            "moved on" => {}
            _ => server.restart().await,
        }
        let client = server.patient_as(&patient);
        for (key, wish, reply) in &known {
            let again = client.reschedule(&id, wish).key(key).await.expect(200);
            assert_eq!((again.replayed(), again.text()), (true, reply.text()), "{step}: {key}");
        }
        let again = client.book(&Wish::slot(&first, 1)).key("birth").await.expect(201);
        assert_eq!((again.replayed(), again.text()), (true, birth.text()), "{step}");
        assert_eq!(again.header("location"), birth.header("location"));
    }
    assert!(live(&server, &first).await.is_empty() && live(&server, &colleague).await.is_empty());
    assert_eq!(remaining(&server, &next_date).await, [1, 1, 1, 1]);
}

#[tokio::test]
async fn a_moves_key_on_another_request_is_refused() {
    let mut server = Server::start().await;
    let [first, colleague, next_date] = three_days(&server).await;
    let full = server.publish(&Plan::quarters(1).later(1)).await;
    server.patient().book(&Wish::any(&full)).await.expect(201);
    let patient = server.patient().subject;
    let client = server.patient_as(&patient);
    let id = client.book(&Wish::any(&first)).key("birth").await.expect(201).text_of("id");
    client.reschedule(&id, &Wish::slot(&colleague, 1)).key("birth").await.problem(422, "idempotency_key_reused");
    let reply = client.reschedule(&id, &Wish::slot(&colleague, 1)).key("K").await.expect(200);
    for crash in [false, true] {
        if crash {
            server.restart().await;
        }
        let client = server.patient_as(&patient);
        for other in
            [Wish::slot(&colleague, 2), Wish::any(&colleague), Wish::slot(&next_date, 0), Wish::slot(&first, 0)]
        {
            client.reschedule(&id, &other).key("K").await.problem(422, "idempotency_key_reused");
        }
        for key in ["K", "birth"] {
            // The booking would succeed; on a full day the refusal stays that refusal.
            client.book(&Wish::any(&next_date)).key(key).await.problem(422, "idempotency_key_reused");
            client.book(&Wish::any(&full)).key(key).await.problem(409, "sold_out");
            client.confirm(&id).key(key).await.problem(422, "idempotency_key_reused");
            client.cancel(&id).key(key).await.problem(422, "idempotency_key_reused");
        }
        assert_eq!(client.appointment(&id).await.json(), reply.json());
        assert_eq!(remaining(&server, &next_date).await, [1, 1, 1, 1]);
    }
    // Somebody else's key of the same name is another key.
    server.admin().reschedule(&id, &Wish::slot(&first, 3)).key("K").await.expect(200);
    server.patient().book(&Wish::any(&next_date)).key("K").await.expect(201);
}

#[tokio::test]
async fn keys_of_confirm_and_cancel_hold_over_a_move() {
    let mut server = Server::start().await;
    let [first, colleague, next_date] = three_days(&server).await;
    let patient = server.patient().subject;
    let client = server.patient_as(&patient);
    let id = client.hold(&Wish::any(&first)).await.expect(201).text_of("id");
    let confirmed = client.confirm(&id).key("confirm").await.expect(200);
    client.reschedule(&id, &Wish::any(&colleague)).await.expect(200);
    let again = client.confirm(&id).key("confirm").await.expect(200);
    assert_eq!((again.replayed(), again.text()), (true, confirmed.text()), "confirmed where it was then");
    client.reschedule(&id, &Wish::any(&next_date)).await.expect(200);
    let cancelled = client.cancel(&id).key("cancel").await.expect(200);
    assert_eq!(cancelled.field("date"), json!(next_date.date));
    for crash in [false, true] {
        if crash {
            server.restart().await;
        }
        let client = server.patient_as(&patient);
        for (call, first_answer) in
            [(client.confirm(&id).key("confirm"), &confirmed), (client.cancel(&id).key("cancel"), &cancelled)]
        {
            let again = call.await.expect(200);
            assert_eq!((again.replayed(), again.text()), (true, first_answer.text()), "crash {crash}");
        }
        client.confirm(&id).await.problem(409, "not_changeable");
    }
}

#[tokio::test]
async fn a_refused_move_remembers_nothing() {
    let server = Server::start().await;
    let [first, colleague, _] = three_days(&server).await;
    let (patient, rival) = (server.patient(), server.patient());
    let id = patient.book(&Wish::any(&first)).await.expect(201).text_of("id");
    let in_the_way = rival.book(&Wish::slot(&colleague, 0)).await.expect(201).text_of("id");
    patient.reschedule(&id, &Wish::slot(&colleague, 0)).key("K").await.problem(409, "slot_taken");
    rival.cancel(&in_the_way).await.expect(200);
    let reply = patient.reschedule(&id, &Wish::slot(&colleague, 0)).key("K").await.expect(200);
    assert!(!reply.replayed());
    assert_eq!(remaining(&server, &first).await, [1, 1, 1, 1]);
}

#[tokio::test]
async fn twins_of_a_move_get_one_answer() {
    const TWINS: usize = 8;
    let server = Server::start().await;
    let [first, colleague, _] = three_days(&server).await;
    let patient = server.patient();
    let booked = patient.book(&Wish::any(&first)).await.expect(201).json();
    let id = booked["id"].as_str().expect("id");
    let mut version = booked["version"].as_u64().expect("a version");
    for round in 0..40 {
        let target = if round % 2 == 0 { &colleague } else { &first };
        let key = format!("round-{round}");
        let replies =
            at_once(TWINS, |_| patient.reschedule(id, &Wish::slot(target, round % 4)).key(&key).into_future()).await;
        let firsts = replies.iter().filter(|reply| !reply.replayed()).count();
        assert_eq!(firsts, 1, "round {round}");
        for reply in &replies {
            assert_eq!((reply.status, reply.text()), (200, replies[0].text()), "round {round}");
        }
        let after = patient.appointment(id).await.expect(200).json();
        assert_eq!(after, replies[0].json());
        version += 1;
        assert_eq!(after["version"], json!(version), "moved once in round {round}");
    }
    // One key for two different moves at once: one of them is made.
    for round in 0..40 {
        let home = patient.appointment(id).await.json();
        let other = if home["doctor_id"] == json!(first.doctor) { &colleague } else { &first };
        let (key, slots) = (format!("two-{round}"), [round % 4, (round + 1) % 4]);
        let replies =
            at_once(2, |number| patient.reschedule(id, &Wish::slot(other, slots[number])).key(&key).into_future())
                .await;
        let mut statuses = [replies[0].status, replies[1].status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422], "round {round}: {} / {}", replies[0].text(), replies[1].text());
        let won = replies.iter().find(|reply| reply.status == 200).expect("one won");
        assert_eq!(patient.appointment(id).await.json(), won.json(), "round {round}");
    }
}
