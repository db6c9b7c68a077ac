//! How long a start takes, and what sleeping days cost: fills a data directory through the real codec and stores, then starts
//! the engine on it in processes of their own.
//! Must not know: HTTP. Figures are printed, not judged: they belong into the notes of whoever ran it.
//!
//! `cargo bench -p engine --bench start -- [--days 100000] [--events 1000000] [--live 1] [--dates 100] [--directory PATH] [--sleep]`
//!
//! Every day has 20 slots and the same history: published, then bookings under keys and cancellations by turns, until `--live`
//! bookings stay. `--directory` keeps the directory and uses it again; without, a temporary one is removed at the end. A million days
//! with ten events each take about 9 GB and ten minutes to fill. `--sleep` also wakes every day, has all of them sleep, and wakes some again.

#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

mod fill;
mod measure;
mod probe;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fill::Plan;

/// What the command line says.
struct Arguments {
    plan: Plan,
    directory: Option<PathBuf>,
    sleep: bool,
    /// In a process of its own: what to measure.
    probe: Option<String>,
}

fn arguments() -> Arguments {
    let plan = Plan { days: 100_000, events_per_day: 10, live_per_day: 1, dates: 100 };
    let mut parsed = Arguments { plan, directory: None, sleep: false, probe: None };
    let mut events = None;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|text| text.parse::<u64>().ok()).expect("a number");
        match word.as_str() {
            "--days" => parsed.plan.days = number(),
            "--events" => events = Some(number()),
            "--live" => parsed.plan.live_per_day = number(),
            "--dates" => parsed.plan.dates = number(),
            "--directory" => parsed.directory = words.next().map(PathBuf::from),
            "--sleep" => parsed.sleep = true,
            "--probe" => parsed.probe = words.next(),
            // cargo's own.
            "--bench" => {}
            other => panic!("{other} is no argument of this benchmark"),
        }
    }
    if let Some(events) = events {
        parsed.plan.events_per_day = (events / parsed.plan.days).max(1);
    }
    parsed
}

fn main() {
    let arguments = arguments();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    if let Some(probe) = &arguments.probe {
        let directory = arguments.directory.expect("a probe is told its directory");
        return runtime.block_on(probe::run(probe, &directory, arguments.plan));
    }
    let temporary = tempfile::tempdir().expect("a directory");
    let directory = arguments.directory.unwrap_or_else(|| temporary.path().to_owned());
    if !directory.join("ledger.db").exists() {
        runtime.block_on(fill::fill(&directory, arguments.plan));
    }
    let probes = ["claims", "start", "sleep"];
    for probe in &probes[..if arguments.sleep { 3 } else { 2 }] {
        measure_in_process(probe, &directory, arguments.plan);
    }
}

/// Runs `probe` in a process of its own and prints each line that it says with the time since that process was made.
fn measure_in_process(probe: &str, directory: &Path, plan: Plan) {
    println!("-- {probe}; load average {}", measure::load_average());
    let program = std::env::current_exe().expect("this program has a path");
    let begun = measure::Stopwatch::start();
    let mut child = Command::new(program)
        .args(["--probe", probe, "--directory"])
        .arg(directory)
        .args(["--days", &plan.days.to_string(), "--events", &(plan.days * plan.events_per_day).to_string()])
        .args(["--live", &plan.live_per_day.to_string(), "--dates", &plan.dates.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let output = child.stdout.take().expect("it was piped");
    for line in BufReader::new(output).lines() {
        println!("{:>8.3} s  {}", begun.seconds(), line.expect("a line"));
    }
    assert!(child.wait().expect("it ends").success(), "the probe failed");
}
