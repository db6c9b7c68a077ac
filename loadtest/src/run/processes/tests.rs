//! Whether several processes offer together what one would, tell every record, and are missed when they die.
//! Must not know: any real server.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, BufReader};
use uuid::Uuid;

use super::child::serve;
use super::parent::{Heard, hear_out, merged};
use super::words::{Start, Word, WordsError, hear, say};
use super::*;
use crate::driver::clock;
use crate::fake_server::{DATE, FakeDay, FakeServer, Faults, KEY};
use crate::run::generator::{Generated, Live};
use crate::run::job::Done;
use crate::run::operation::{Answer, Class, Operation};
use crate::run::plan;
use crate::run::scenario::Scenario;
use crate::run::summary::{Durations, sum_up, tests::done};
use crate::run::world::{WorldDay, slots_of};

const TEXT: &str = r#"
about = "for several processes"
[parameters]
rate_per_second = 200.0
duration_seconds = 0.5
patients = 60
places = 5
[days]
doctors = 1
slots = 1
[generator]
connections = 7
[[load]]
name = "steady"
arrivals = "constant"
operations = { book = 1, view_day = 1 }
[[load]]
name = "spike"
arrivals = "spike"
median_ms = 100.0
spread = 0.5
operations = { book = 1 }
"#;

fn order(server: &FakeServer, key_file: PathBuf, share: Share) -> Order {
    let date = DATE.parse().unwrap();
    Order {
        scenario: toml::from_str(TEXT).unwrap(),
        folder: PathBuf::new(),
        address: server.address,
        host: server.address.to_string(),
        key_file,
        audiences: Vec::new(),
        seed: 3,
        days: vec![WorldDay {
            doctor: Uuid::from_u128(77),
            date,
            slots: slots_of(date, 1, 5).unwrap(),
            released: None,
        }],
        share,
    }
}

/// What a child that runs in this process tells its parent.
async fn child(order: Order) -> Generated {
    let (mut to_child, input) = tokio::io::duplex(1 << 20);
    let (mut output, from_child) = tokio::io::duplex(1 << 20);
    let (share, mut from_child) = (order.share, BufReader::new(from_child));
    let body = tokio::spawn(async move { serve(&mut BufReader::new(input), &mut output).await });
    say(&mut to_child, &[order]).await.unwrap();
    assert_eq!(hear::<Word>(&mut from_child).await.unwrap(), Word::Ready);
    let start = clock::now() + Duration::from_millis(50);
    say(&mut to_child, &[Start::at(start)]).await.unwrap();
    let live = Live::default();
    let generated = hear_out(&mut from_child, share, &live).await.unwrap();
    body.await.unwrap().unwrap();
    generated
}

#[test]
fn shares_are_disjoint_and_together_they_are_everything_in_order() {
    for processes in 1..6 {
        let share = |process| Share { process, processes };
        let parts: Vec<Vec<u32>> = (0..processes).map(|process| share(process).of(0..23).collect()).collect();
        let mut all: Vec<u32> = parts.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..23).collect::<Vec<_>>(), "{processes}");
        for (part, process) in parts.iter().zip(0..) {
            assert!(part.is_sorted());
            assert_eq!(part.len(), share(process).count(23) as usize, "{process} of {processes}");
        }
    }
}

#[tokio::test]
async fn children_offer_the_plan_of_one_process_with_patients_of_their_own() {
    let faults = Faults::default();
    let server = FakeServer::start(FakeDay { capacities: vec![5], release_after_millis: None, faults }).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEY).unwrap();
    let share = |process| order(&server, file.path().to_owned(), Share { process, processes: 3 });
    let (one, two, three) = tokio::join!(child(share(0)), child(share(1)), child(share(2)));
    let (all, parts) = merged([one, two, three].into_iter());

    let scenario: Scenario = toml::from_str(TEXT).unwrap();
    let planned = plan::draw(&scenario, &PathBuf::new(), 1, 3).unwrap();
    let mut intended: Vec<_> = all.done.iter().map(|done| (done.intended_micros, done.load)).collect();
    intended.sort_unstable();
    let mut expected: Vec<_> = planned.iter().map(|arrival| (arrival.at_micros, arrival.load)).collect();
    expected.sort_unstable();
    assert_eq!(intended, expected);
    assert_eq!(parts.iter().map(|part| part.arrivals).sum::<u64>(), planned.len() as u64);
    assert!(parts.iter().all(|part| part.arrivals.abs_diff(planned.len() as u64 / 3) <= 1));

    let bookers: Vec<Uuid> =
        all.done.iter().filter(|done| done.operation == Operation::Book).map(|done| done.patient).collect();
    assert_eq!(bookers.iter().collect::<HashSet<_>>().len(), bookers.len());
    let won = all.done.iter().filter(|done| matches!(done.answer, Answer::Served(Some(_)))).count();
    assert_eq!(won, 5);
    assert!(all.done.iter().all(|done| matches!(done.answer.class(), Class::Served | Class::Refused)));
}

#[test]
fn sums_of_all_records_are_exact_and_no_averages_of_sums() {
    let records = |process: u64| -> Vec<Done> {
        // The second process is slow: its percentiles are far from those of the first.
        let took = |n: u64| if process == 0 { n % 10 } else { 100 + n };
        (0..500).map(|n| done(0, n, Some(n), n + took(n), Answer::Served(None))).collect()
    };
    let of = |done: Vec<Done>| Generated { done, cpu_nanos: 2_000_000_000, reopened: 1 };
    let (all, parts) = merged([of(records(0)), of(records(1))].into_iter());
    assert_eq!((all.cpu_nanos, all.reopened), (4_000_000_000, 2));
    assert_eq!(parts.iter().map(|part| part.cpu_seconds).collect::<Vec<_>>(), [2.0, 2.0]);
    let latencies =
        |done: &[Done]| -> Vec<u64> { done.iter().map(|one| one.ended_micros - one.intended_micros).collect() };
    let mut both = latencies(&records(0));
    both.extend(latencies(&records(1)));
    let summary = sum_up(&all.done, &["all".to_owned()], 1.0);
    assert_eq!(summary.operations["book"]["served"], Durations::of(both.into_iter()).spread());
    // The mean of the two 90th percentiles would be some 280 ms.
    assert!((summary.operations["book"]["served"].p90_ms - 500.0).abs() < 2.0);
}

#[tokio::test]
async fn a_child_that_dies_half_way_is_missed() {
    let record = Word::Done(Box::new(done(0, 1, Some(1), 2, Answer::Served(None))));
    let progress = Word::Progress { dispatched: 2, settled: [1, 0, 0, 0, 0, 0], worst_lag_micros: 7 };
    let end = Word::End { arrivals: 2, cpu_nanos: 0, reopened: 0 };
    let heard = async |words: &[Word]| {
        let (mut output, input) = tokio::io::duplex(1 << 16);
        say(&mut output, words).await.unwrap();
        output.shutdown().await.unwrap();
        hear_out(&mut BufReader::new(input), Share::WHOLE, &Live::default()).await
    };
    let whole = heard(&[progress.clone(), record.clone(), record.clone(), end.clone()]).await.unwrap();
    assert_eq!(whole.done.len(), 2);
    let cut = heard(&[progress, record.clone()]).await.unwrap_err();
    assert!(matches!(cut, Heard::Words(WordsError::Closed)), "{cut:?}");
    // It lost a record on the way.
    let short = heard(&[record, end]).await.unwrap_err();
    assert!(matches!(short, Heard::Wrong(CrewError::Garbled { .. })), "{short:?}");
}
