//! Does every query of every panel and every alert find figures in a real Prometheus that watches the running program?
//! Must not know: what the figures mean.

use std::time::Duration;

use blackbox::cluster::{Cluster, Doors, Journal};
use blackbox::{Server, eventually, wall_clock_reaches};
use jiff::SignedDuration;

use super::prometheus::{Watch, has_number};
use super::{Query, annotation_queries, assert_none, drive, panel_queries, rules};

/// Rules are evaluated every second.
const RECORDED_DEADLINE: Duration = Duration::from_secs(30);
/// Two looks of the node, and two of Prometheus.
const SURVEYED_AND_SCRAPED: SignedDuration = SignedDuration::from_secs(4);
/// Rounds of everything that people do.
const ROUNDS: usize = 4;
/// Alerts that a slow machine may raise, and that a test of figures does not judge.
const OF_SPEED: [&str; 11] = [
    "HotslotLatencyBurnsFast",
    "HotslotLatencyBurnsSlowly",
    "HotslotCommitsSlow",
    "HotslotJournalStuck",
    "HotslotLeasesFlap",
    "HotslotStaleEpoch",
    "HotslotClockSkew",
    "HotslotDiskFull",
    "HotslotDiskFilling",
    "HotslotReminderLatenessBurnsFast",
    "HotslotReminderLatenessBurnsSlowly",
];

/// What finds series, but no number, in what is done here, each with the reason: quantiles and shares of none.
const QUIET: [(&str, &str); 2] =
    [("hotslot_reminder_lateness_seconds", "no message is due here"), ("hotslot:reminders_late:", "as above")];
/// And on one node alone.
const QUIET_ALONE: [(&str, &str); 2] = [
    ("hotslot_shard_takeover_duration_seconds", "it has all shards from the start"),
    ("hotslot_forward_duration_seconds", "there is no wrong node"),
];

/// A query with Grafana's variables filled in, for all nodes.
fn filled_in(query: &Query) -> Query {
    let expression =
        query.expression.replace("$node", ".+").replace("$__rate_interval", "10s").replace("$__range", "10m");
    assert!(!expression.contains('$'), "{}: a variable is unknown: {expression}", query.place);
    Query { place: query.place.clone(), expression }
}

/// An expression whose comparisons answer 0 or 1 in place of leaving series out, so that figures without trouble answer too.
fn without_filters(expression: &str) -> String {
    let mut answer = String::new();
    let mut is_quoted = false;
    let mut depth = 0;
    let mut letters = expression.chars().peekable();
    while let Some(letter) = letters.next() {
        answer.push(letter);
        match letter {
            '"' => is_quoted = !is_quoted,
            '{' if !is_quoted => depth += 1,
            '}' if !is_quoted => depth -= 1,
            '<' | '>' | '=' | '!' if !is_quoted && depth == 0 => {
                if letters.peek() == Some(&'=') {
                    answer.extend(letters.next());
                }
                answer.push_str(" bool");
            }
            _ => {}
        }
    }
    answer
}

#[test]
fn comparisons_are_found_and_label_matchers_left_alone() {
    let plain = r#"a{b=~"c>d",e!="f"} / (g > 0) >= on (h) 0.5 and on () i == 1 or absent(j)"#;
    let bool = r#"a{b=~"c>d",e!="f"} / (g > bool 0) >= bool on (h) 0.5 and on () i == bool 1 or absent(j)"#;
    assert_eq!(without_filters(plain), bool);
}

/// What people do, while a Prometheus watches.
async fn drive(doors: &Doors) {
    let (day, release) = drive::announce(doors).await;
    for number in 0..ROUNDS {
        drive::round(doors, number).await;
    }
    drive::rush(doors, &day, release).await;
    // Days are surveyed once a second, and scraped once a second after that.
    wall_clock_reaches(release + SURVEYED_AND_SCRAPED).await;
}

/// Asks every question of `grafana/`; what names a part of `quiet` needs series only, everything else a number.
async fn assert_every_query_finds_figures(watch: &Watch, quiet: &[(&str, &str)]) {
    let last = "hotslot:booking_slow:ratio30d";
    eventually("what is recorded is there", RECORDED_DEADLINE, async || {
        watch.series(last).await.expect("a query").iter().any(has_number).then_some(())
    })
    .await;
    let panels = panel_queries();
    let annotations = annotation_queries().into_iter().filter(|query| !query.expression.starts_with("ALERTS"));
    let rules = rules().into_iter().filter(|rule| rule.name != "HotslotAbsent").map(|rule| {
        let query = rule.query();
        Query { expression: without_filters(&query.expression), ..query }
    });
    let mut empty = Vec::new();
    for query in panels.into_iter().chain(annotations).chain(rules) {
        let query = filled_in(&query);
        let is_quiet = quiet.iter().any(|(part, _)| query.expression.contains(part));
        match watch.series(&query.expression).await {
            Ok(series) if series.iter().any(has_number) || (is_quiet && !series.is_empty()) => {}
            Ok(series) => {
                empty.push(format!("{}: {} series, no number: {}", query.place, series.len(), query.expression));
            }
            Err(error) => empty.push(format!("{}: {error}", query.place)),
        }
    }
    assert_none("queries without figures", &empty);
    assert_none("rules or targets that fail", &watch.troubles().await);
    let raised = watch.alerts().await.into_iter().filter(|(name, _)| !OF_SPEED.contains(&name.as_str()));
    let firing: Vec<String> = raised.filter(|(_, state)| state == "firing").map(|(name, _)| name).collect();
    assert_none("alerts that fire although all is well", &firing);
}

#[tokio::test]
async fn every_query_finds_figures_of_one_node() {
    let limits = ["--rate-limit-loopback", "--rate-subject-per-second", "20", "--rate-subject-burst", "100"];
    let server = Server::start_with(&limits).await;
    let doors = Doors::of(&server);
    let watch = Watch::start(&doors.addresses()).await;
    drive(&doors).await;
    drive::insist(&doors).await;
    assert_every_query_finds_figures(&watch, &[QUIET, QUIET_ALONE].concat()).await;
}

#[tokio::test]
async fn every_query_finds_figures_of_several_nodes() {
    let mut cluster = Cluster::start(Journal::Postgres).await;
    let watch = Watch::start(&cluster.doors().addresses()).await;
    // One more comes and goes, unwatched: the others take over what it had.
    cluster.join().await;
    cluster.settled().await;
    cluster.leave(3).await;
    cluster.settled().await;
    drive(cluster.doors()).await;
    assert_every_query_finds_figures(&watch, &QUIET).await;
}
