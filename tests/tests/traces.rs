//! Does a request leave a trace at the collector: of the caller's name, of every stage, across nodes; and does nobody wait for it?
//! Must not know: how spans are made. Their names are the architecture's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use blackbox::collector::{Collector, Span};
use blackbox::{Call, Client, Launch, Plan, Reply, Server, Stopwatch, Stores, Wish, eventually, limits};
use servers::{Postgres, PostgresOptions};
use tokio::net::TcpListener;

const TOLD_DEADLINE: Duration = Duration::from_secs(20);
/// The stages of a booking that wins, and the request itself.
const STAGES: [&str; 10] =
    ["request", "admit", "dedup", "queue", "decide", "claim", "append", "publish", "reply", "ledger"];
const PARENT: &str = "00f067aa0ba902b7";

/// A trace of the caller's own, recorded or not.
fn trace(number: u32) -> String {
    format!("4bf92f3577b34da6a3ce9290{number:08x}")
}

fn traced(call: Call, trace: &str, flags: &str) -> Call {
    call.header("traceparent", &format!("00-{trace}-{PARENT}-{flags}"))
}

async fn start(collector: &Collector, ratio: &str) -> Server {
    Server::start_with(&["--otlp-endpoint", collector.address(), "--trace-ratio", ratio]).await
}

/// The one span of that name; the request's own is named after the call.
#[track_caller]
fn one<'spans>(spans: &'spans [Span], name: &str) -> &'spans Span {
    let mut found = spans.iter().filter(|span| span.name == name || (name == "request" && is_request(span)));
    let first = found.next().unwrap_or_else(|| panic!("no span {name} among {spans:#?}"));
    assert!(found.next().is_none(), "{name} comes twice: {spans:#?}");
    first
}

fn is_request(span: &Span) -> bool {
    span.attributes.contains_key("http.request.method")
}

/// Waits until the collector has all these spans of a trace.
async fn wait_for(collector: &Collector, trace: &str, names: &[&str]) -> Vec<Span> {
    eventually("a trace is told", TOLD_DEADLINE, async || {
        let spans = collector.trace(trace);
        let has = |name: &str| spans.iter().any(|span| span.name == name || (name == "request" && is_request(span)));
        names.iter().all(|name| has(name)).then_some(spans.clone())
    })
    .await
}

async fn metric(reader: &Client, series: &str) -> f64 {
    let text = reader.get("/metrics").await.expect(200).text();
    let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("no {series} in {text}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

#[tokio::test]
async fn a_booking_leaves_a_span_of_each_stage_in_the_callers_trace() {
    let collector = Collector::start().await;
    let server = start(&collector, "0").await;
    let day = server.publish(&Plan::quarters(2)).await;
    let patient = server.patient();
    let call = traced(patient.book(&Wish::any(&day)), &trace(1), "01").header("tracestate", "rojo=1,congo=2");
    let reply = call.header("x-request-id", "my-own-name").await.expect(201);
    assert_eq!(reply.header("x-request-id"), Some("my-own-name"));
    let spans = wait_for(&collector, &trace(1), &STAGES).await;
    let names: Vec<&str> = STAGES.to_vec();
    assert_eq!(spans.len(), names.len(), "and nothing else: {spans:#?}");
    let request = one(&spans, "request");
    assert_eq!((request.parent.as_str(), request.name.as_str()), (PARENT, "POST /v1/appointments"));
    assert_eq!(request.state, "rojo=1,congo=2");
    let said = |name: &str| request.attributes.get(name).map(String::as_str);
    assert_eq!(said("request.id"), Some("my-own-name"));
    assert_eq!(said("http.route"), Some("/v1/appointments"));
    assert_eq!(said("http.response.status_code"), Some("201"));
    let mut before = request.nanos.0;
    for name in &names[1..] {
        let stage = one(&spans, name);
        assert_eq!(stage.parent, request.id, "{name} is a part of the request");
        assert!(stage.nanos.0 >= before && stage.nanos.1 >= stage.nanos.0, "{name} is in its order: {spans:#?}");
        // The ledger hears of it beside the reply.
        before = if *name == "publish" { stage.nanos.0 } else { stage.nanos.0.max(before) };
        if *name == "reply" {
            before = one(&spans, "publish").nanos.0;
        }
    }
    let batch = eventually("the batch is told", TOLD_DEADLINE, async || {
        collector.spans().into_iter().find(|span| span.links.contains(&trace(1)))
    })
    .await;
    assert_eq!(batch.name, "batch");
    assert!(batch.trace != trace(1) && batch.parent.is_empty(), "a trace of its own: {batch:?}");
    for span in collector.spans() {
        let text = format!("{span:?}");
        for personal in [&patient.subject, &day.doctor] {
            assert!(!text.contains(personal.as_str()), "{text} names somebody");
        }
    }
}

#[tokio::test]
async fn refusals_replays_and_reads_leave_what_they_pass() {
    let collector = Collector::start().await;
    let server = start(&collector, "0").await;
    let day = server.publish(&Plan::quarters(1)).await;
    let patient = server.patient();
    let book = |number: u32, caller: &Client| traced(caller.book(&Wish::any(&day)).key("K"), &trace(number), "01");
    book(1, &patient).await.expect(201);
    book(2, &patient).await.expect(201);
    book(3, &server.patient()).await.problem(409, "sold_out");
    traced(server.anyone().day(&day.doctor, &day.date), &trace(4), "01").await.expect(200);
    traced(server.anyone().get("/v1/nowhere"), &trace(5), "01").await.problem(404, "not_found");
    for (number, stages) in [(2, "admit dedup reply"), (3, "admit dedup reply"), (4, "admit"), (5, "admit")] {
        let expected: BTreeSet<&str> = stages.split(' ').collect();
        let wanted: Vec<&str> = expected.iter().copied().chain(["request"]).collect();
        let spans = wait_for(&collector, &trace(number), &wanted).await;
        let names: BTreeSet<&str> =
            spans.iter().filter(|span| !is_request(span)).map(|span| span.name.as_str()).collect();
        assert_eq!(names, expected, "trace {number}");
    }
    let spans = wait_for(&collector, &trace(3), &["request"]).await;
    assert_eq!(one(&spans, "request").attributes.get("error.type").map(String::as_str), Some("sold_out"));
}

#[tokio::test]
async fn what_the_caller_decided_is_honoured_and_a_bad_parent_is_ignored() {
    let collector = Collector::start().await;
    let server = start(&collector, "1").await;
    let anyone = server.anyone();
    let get = || anyone.get("/v1/doctors");
    traced(get(), &trace(1), "00").await.expect(200);
    let mut roots = Vec::new();
    for bad in
        ["", "00-xyz-1-01", &format!("00-{}-{PARENT}-01", "0".repeat(32)), &format!("ff-{}-{PARENT}-01", trace(9))]
    {
        let reply = get().header("traceparent", bad).await.expect(200);
        roots.push(reply.header("x-request-id").expect("named").to_owned());
    }
    let own = traced(get(), &trace(2), "01").await.expect(200);
    let as_uuid = own.header("x-request-id").expect("named").replace('-', "");
    assert_eq!(as_uuid, trace(2), "a request without a name has that of its trace");
    for root in &roots {
        let spans = wait_for(&collector, &root.replace('-', ""), &["request", "admit"]).await;
        assert!(one(&spans, "request").parent.is_empty(), "it begins a trace: {spans:#?}");
    }
    wait_for(&collector, &trace(2), &["request"]).await;
    assert!(collector.trace(&trace(1)).is_empty(), "the caller did not want it");
    // Probes are not worth it, whatever the ratio.
    assert!(collector.spans().iter().all(|span| !span.name.contains("metrics")));
}

#[tokio::test]
async fn without_a_decision_of_the_caller_the_ratio_decides() {
    let collector = Collector::start().await;
    let server = start(&collector, "0").await;
    for _ in 0..50 {
        server.anyone().get("/v1/doctors").await.expect(200);
    }
    traced(server.anyone().get("/v1/doctors"), &trace(1), "01").await.expect(200);
    wait_for(&collector, &trace(1), &["request"]).await;
    assert!(collector.spans().iter().all(|span| span.trace == trace(1)), "{:#?}", collector.spans());
}

#[tokio::test]
async fn what_is_left_is_told_at_the_end() {
    let collector = Collector::start().await;
    let mut server = start(&collector, "0").await;
    traced(server.anyone().get("/v1/doctors"), &trace(1), "01").await.expect(200);
    let exit = server.terminate(Duration::from_secs(10)).await;
    assert!(exit.status.success(), "{:?}", exit.status);
    one(&collector.trace(&trace(1)), "request");
}

#[tokio::test]
async fn a_dead_collector_slows_nothing_and_only_spans_are_lost() {
    // One takes connections and never answers; nobody is at the other's address.
    let hangs = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    for address in [hangs.local_addr().expect("bound"), gone] {
        let endpoint = format!("http://{address}");
        let mut server = Server::start_with(&["--otlp-endpoint", &endpoint, "--trace-ratio", "1"]).await;
        let day = server.publish(&Plan::quarters(40)).await;
        let mut slowest = Duration::ZERO;
        for _ in 0..40 {
            let watch = Stopwatch::start();
            server.patient().book(&Wish::any(&day)).await.expect(201);
            slowest = slowest.max(watch.elapsed());
        }
        assert!(slowest < Duration::from_secs(4), "nobody waits for the collector's deadline: {slowest:?}");
        let lost = "hotslot_trace_spans_total{outcome=\"lost\"}";
        eventually("losses are counted", TOLD_DEADLINE, async || {
            (metric(&server.anyone(), lost).await > 0.0).then_some(())
        })
        .await;
        assert!(metric(&server.anyone(), "hotslot_trace_spans_total{outcome=\"exported\"}").await == 0.0);
        server.assert_audited().await;
    }
}

#[tokio::test]
async fn a_trace_goes_on_at_the_node_that_answers() {
    let collector = Collector::start().await;
    let postgres = Postgres::start_with(PostgresOptions::default()).await;
    let stores = Stores::elsewhere(None, &postgres.url());
    let directory = tempfile::tempdir().expect("a directory");
    let key_file = directory.path().join("jwt.key");
    std::fs::write(&key_file, [7; 32]).expect("a file of the test's own");
    limits::make_private(&key_file);
    let first = start_node(&collector, &stores, &key_file).await;
    let second = start_node(&collector, &stores, &key_file).await;
    shared_by_both(&postgres).await;
    let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    let signer = blackbox::Signer::of_key(&[7; 32]);
    let caller = |role: &str, server: &Server| {
        let id = blackbox::fresh_id();
        let token = signer.sign(&blackbox::Claims::of(role, &id));
        Client::new(&http, server.address(), &id, Some(token))
    };
    let admin = caller("admin", &first);
    let doctor = admin.create_doctor(&doctor_body()).await.expect(201).text_of("id");
    let mut days = Vec::new();
    for number in 0..12 {
        let plan = Plan::quarters(1).later(number);
        admin.put_day(&doctor, &plan.date(), &plan.body()).await.expect(201);
        days.push(plan.day_of(&doctor));
    }
    for (number, day) in (0..).zip(&days) {
        let reply: Reply = traced(caller("patient", &first).book(&Wish::any(day)), &trace(number), "01").await;
        reply.expect(201);
    }
    let forwarded = eventually("a trace of two nodes is told", TOLD_DEADLINE, async || {
        let of_each = (0..12).map(|number| collector.trace(&trace(number)));
        let mut whole = of_each.filter(|spans| {
            let has = |name: &str| spans.iter().any(|span| span.name == name);
            has("forward") && has("ledger") && spans.iter().filter(|span| is_request(span)).count() == 2
        });
        whole.next()
    })
    .await;
    let asked = forwarded.iter().find(|span| is_request(span) && span.parent == PARENT).expect("the first node's");
    let answered = forwarded.iter().find(|span| is_request(span) && span.parent == asked.id).expect("the second's");
    assert_eq!(asked.attributes["request.id"], answered.attributes["request.id"], "one request, one name");
    assert_eq!(one(&forwarded, "forward").parent, asked.id);
    for stage in ["decide", "claim", "append", "publish", "ledger"] {
        assert_eq!(one(&forwarded, stage).parent, answered.id, "{stage}");
    }
    drop((first, second));
}

async fn start_node(collector: &Collector, stores: &Arc<Stores>, key_file: &std::path::Path) -> Server {
    let key_file = key_file.display().to_string();
    let arguments = ["--node-listen", "127.0.0.1:0", "--jwt-key-file", &key_file];
    let traces = ["--otlp-endpoint", collector.address(), "--trace-ratio", "0"];
    let accepted = ["--database-accept-asynchronous-standby"];
    let arguments = arguments.into_iter().chain(traces).chain(accepted).map(str::to_owned).collect();
    Server::launch(Launch { arguments, stores: Some(Arc::clone(stores)), ..Launch::default() }).await
}

async fn shared_by_both(postgres: &Postgres) {
    let shared = "SELECT count(*) FROM (SELECT 1 FROM node JOIN shard_owner USING (incarnation) \
                  WHERE lease_until > now() GROUP BY incarnation HAVING count(*) >= 512) AS fair";
    eventually("the nodes share the days", Duration::from_secs(60), async || {
        (postgres.ask(shared).await? == "2").then_some(())
    })
    .await;
}

fn doctor_body() -> serde_json::Value {
    serde_json::json!({
        "name": "Dr. Vera Lind", "specialties": ["dermatology"], "time_zone": "UTC",
        "location": {"name": "Clinic at the Park", "city": "Utrecht", "lat": 52.09, "lon": 5.12},
    })
}
