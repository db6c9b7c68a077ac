//! Whether a whole storm, from tokens to verdict, tells the truth about a server whose faults are known.
//! Must not know: any real server.

use super::*;
use crate::audit::Finding;
use crate::fake_server::{DATE, FakeDay, FakeServer, Faults, KEY};
use crate::measure::measure;
use crate::outcome::Outcome;

fn mint() -> Mint {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEY).unwrap();
    Mint::from_key_file(file.path()).unwrap()
}

fn plan(server: &FakeServer, patients: usize) -> StormPlan {
    StormPlan {
        url: format!("http://{}", server.address),
        allow_remote: false,
        doctor: Uuid::from_u128(77),
        date: DATE.parse().unwrap(),
        patients,
        connections: 8,
        threads: 2,
        pick: Pick::Any,
        release_wait: None,
        retries: 5,
        places: None,
        deadline: Duration::from_secs(30),
    }
}

async fn server(capacities: &[u64], faults: Faults) -> FakeServer {
    FakeServer::start(FakeDay { capacities: capacities.to_vec(), release_after_millis: None, faults }).await
}

async fn storm(plan: &StormPlan) -> (Stormed, Verdict) {
    let mut stormed = press(plan, &mint()).await.unwrap();
    let verdict = stormed.audit(plan).await.unwrap();
    (stormed, verdict)
}

#[tokio::test]
async fn an_honest_server_is_found_clean_whatever_is_picked() {
    for pick in [Pick::Any, Pick::Given, Pick::Mixed] {
        let server = server(&[3, 4, 5], Faults::default()).await;
        let (stormed, verdict) = storm(&StormPlan { pick, ..plan(&server, 500) }).await;
        assert_eq!(verdict.findings, [], "{pick:?}");
        assert_eq!((verdict.sold, verdict.available, verdict.unknown), (12, 12, 0));
        let measured = measure(&stormed.pressed.presses);
        assert_eq!((measured.wins, measured.losses), (12, 488));
        assert_eq!(measured.trouble, Default::default());
    }
}

#[tokio::test]
async fn everyone_wins_where_there_is_room_and_the_audit_reads_all_pages() {
    let server = server(&[500, 500], Faults::default()).await;
    let (_, verdict) = storm(&plan(&server, 701)).await;
    assert_eq!((verdict.findings.as_slice(), verdict.sold, verdict.available), (&[][..], 701, 1000));
}

#[tokio::test]
async fn a_second_storm_on_the_same_day_counts_from_where_the_first_ended() {
    let server = server(&[30], Faults::default()).await;
    let (_, first) = storm(&plan(&server, 20)).await;
    let (_, second) = storm(&plan(&server, 20)).await;
    assert_eq!((first.sold, second.sold, second.available), (20, 10, 10));
    assert_eq!((first.findings, second.findings), (vec![], vec![]));
}

#[tokio::test]
async fn the_press_comes_at_the_release_by_the_servers_clock() {
    let day = FakeDay { capacities: vec![5], release_after_millis: Some(2_500), faults: Faults::default() };
    let server = FakeServer::start(day).await;
    assert!(matches!(press(&plan(&server, 10), &mint()).await, Err(StormError::NotReleased)));
    let far = StormPlan { release_wait: Some(Duration::from_secs(1)), ..plan(&server, 10) };
    assert!(matches!(press(&far, &mint()).await, Err(StormError::TooFarAway { .. })));

    let (stormed, verdict) =
        storm(&StormPlan { release_wait: Some(Duration::from_secs(10)), ..plan(&server, 50) }).await;
    assert_eq!((verdict.findings.as_slice(), verdict.sold, verdict.available), (&[][..], 5, 5));
    // Never early; how late depends on how busy the machine is, so only a gross miss fails.
    let late = server.first_press_after_release_millis().unwrap();
    assert!((0..500).contains(&late), "pressed {late} ms after the release");
    assert_eq!(measure(&stormed.pressed.presses).trouble.early_presses, 0);
}

#[tokio::test]
async fn a_broken_connection_is_asked_again_with_the_same_key() {
    let faults = Faults { break_after_every: 3, ..Faults::default() };
    let server = server(&[40], faults).await;
    let (stormed, verdict) = storm(&plan(&server, 100)).await;
    let measured = measure(&stormed.pressed.presses);
    assert_eq!((verdict.findings.as_slice(), verdict.sold, verdict.unknown), (&[][..], 40, 0));
    assert_eq!((measured.wins, measured.trouble.transport_errors), (40, 13));
    let replayed = |press: &&crate::outcome::Press| matches!(press.outcome, Outcome::Won(won) if won.replayed);
    assert_eq!(stormed.pressed.presses.iter().filter(replayed).count(), 13);
}

#[tokio::test]
async fn without_retries_a_broken_connection_leaves_an_unknown_outcome_and_no_phantom() {
    let faults = Faults { break_after_every: 3, ..Faults::default() };
    let server = server(&[40], faults).await;
    let (stormed, verdict) = storm(&StormPlan { retries: 0, ..plan(&server, 100) }).await;
    assert_eq!((verdict.findings.as_slice(), verdict.sold), (&[][..], 40));
    assert_eq!((verdict.unknown, verdict.unknown_with_place), (13, 13));
    assert_eq!(measure(&stormed.pressed.presses).wins, 27);
}

#[tokio::test]
async fn a_503_is_asked_again_until_it_is_settled() {
    let faults = Faults { unavailable_before_every: 4, ..Faults::default() };
    let server = server(&[10], faults).await;
    let (stormed, verdict) = storm(&StormPlan { retries: 100, ..plan(&server, 60) }).await;
    assert_eq!((verdict.findings.as_slice(), verdict.sold, verdict.unknown), (&[][..], 10, 0));
    assert!(measure(&stormed.pressed.presses).trouble.uncertain_answers >= 15);
}

#[tokio::test]
async fn a_server_that_lies_is_found_out() {
    let lying = Faults { lose: 2, duplicate: 3, keep_back: 1, ..Faults::default() };
    let server = server(&[10], lying).await;
    let (_, verdict) = storm(&plan(&server, 50)).await;
    let has = |wanted: fn(&Finding) -> bool| verdict.findings.iter().any(wanted);
    assert!(has(|finding| matches!(finding, Finding::LostAppointment { .. })));
    assert!(has(|finding| matches!(finding, Finding::DuplicatedPatient { places: 2, .. })));
    assert!(has(|finding| matches!(finding, Finding::PhantomAppointment { .. })));
    assert!(has(|finding| matches!(finding, Finding::UnsoldPlaces { sold: 9, at_least: 10 })));
    assert!(has(|finding| matches!(finding, Finding::RefusedThoughFree { free: 1, .. })));
}

#[tokio::test]
async fn a_server_that_is_away_is_a_clear_error() {
    let server = server(&[1], Faults::default()).await;
    let gone = plan(&server, 1);
    // The port is free again once the listener is dropped with its task.
    server.stop().await;
    let error = press(&gone, &mint()).await.err().unwrap();
    assert!(error.to_string().starts_with("GET /v1/doctors/"), "{error}");
}
