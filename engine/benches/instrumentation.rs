//! What the numbers cost on the way of a booking: the same bookings on two engines, one that counts and times into a recorder as in the
//! product, and one that does not, turn and turn about in one run: `cargo bench -p engine --features testing --bench instrumentation`.
//! Must not know: HTTP, disks that sync: beside those the share is smaller. Figures are told, not judged.

mod common;

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use engine::EngineHandle;
use engine::clock::SystemClock;
use engine::telemetry::catalogue::{CATALOGUE, Kind};
use engine::telemetry::meters::EngineMeters;
use futures_util::future::join_all;
use metrics::NoopRecorder;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::runtime::Runtime;

use common::{DAYS, SOLD_OUT, WINS_OF_A_DAY, booking, day};

/// Rounds of each kind. The median of so many is steady to within a per cent on a quiet machine.
const ROUNDS: usize = 1_500;
/// Rounds before that, for caches and branch predictors.
const WARM_UP: usize = 150;
/// Wins of a round, all at once; and refusals.
const WINS: u64 = 64;
const REFUSALS: u64 = 256;

/// A recorder as in the product, and how it is kept from growing.
fn install() -> PrometheusHandle {
    let mut builder = PrometheusBuilder::new();
    for metric in CATALOGUE.iter().filter(|metric| metric.kind == Kind::Histogram) {
        let matcher = Matcher::Full(metric.name.to_owned());
        builder = builder.set_buckets_for_metric(matcher, metric.buckets).expect("buckets");
    }
    builder.install_recorder().expect("the only recorder")
}

/// One engine, its runtime, and the next patient who comes to it.
struct Side {
    runtime: Runtime,
    engine: EngineHandle,
    patient: u64,
    is_counting: bool,
}

impl Side {
    fn new(directory: &std::path::Path, is_counting: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let meters = if is_counting { EngineMeters::new() } else { EngineMeters::off() };
        let start = || runtime.block_on(common::engine(directory, Arc::new(SystemClock::start()), meters));
        let engine = if is_counting { start() } else { metrics::with_local_recorder(&NoopRecorder, start) };
        Self { runtime, engine, patient: 10_000_000, is_counting }
    }

    /// Nanoseconds of one win and of one refusal of a sold-out day.
    fn round(&mut self) -> (f64, f64) {
        if self.is_counting {
            self.measure()
        } else {
            // Names that are looked up on the way find no recorder either.
            metrics::with_local_recorder(&NoopRecorder, || self.measure())
        }
    }

    fn measure(&mut self) -> (f64, f64) {
        let patients = self.patient..self.patient + WINS;
        self.patient += WINS;
        let wins: Vec<_> = patients.map(|patient| booking(day(patient / WINS_OF_A_DAY % DAYS), patient)).collect();
        let began = now();
        let replies = self.runtime.block_on(join_all(wins.into_iter().map(|request| self.engine.book(request))));
        let win = nanos(began) / WINS as f64;
        assert!(replies.iter().all(Result::is_ok), "a place for everyone");
        let refused: Vec<_> = (0..REFUSALS).map(|_| booking(day(SOLD_OUT), 5)).collect();
        let began = now();
        for request in refused {
            assert!(self.runtime.block_on(self.engine.book(request)).is_err(), "sold out");
        }
        (win, nanos(began) / REFUSALS as f64)
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn nanos(began: Instant) -> f64 {
    began.elapsed().as_nanos() as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let recorder = install();
    let directories = [tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory")];
    let (mut on, mut off) = (Side::new(directories[0].path(), true), Side::new(directories[1].path(), false));
    let mut rounds = Vec::with_capacity(ROUNDS);
    for number in 0..WARM_UP + ROUNDS {
        // Whoever comes second finds warmer caches: they take turns in that too.
        let (counted, plain) = if number % 2 == 0 {
            let counted = on.round();
            (counted, off.round())
        } else {
            let plain = off.round();
            (on.round(), plain)
        };
        recorder.run_upkeep();
        if number >= WARM_UP {
            rounds.push((counted, plain));
        }
    }
    type Pick = fn(&((f64, f64), (f64, f64))) -> (f64, f64);
    let kinds: [(&str, Pick); 2] =
        [("win", |(on, off)| (on.0, off.0)), ("refusal of a sold-out day", |(on, off)| (on.1, off.1))];
    for (name, pick) in kinds {
        let (counted, plain): (Vec<f64>, Vec<f64>) = rounds.iter().map(pick).unzip();
        let ratio = median(rounds.iter().map(pick).map(|(on, off)| on / off).collect());
        let (counted, plain) = (median(counted), median(plain));
        // The output of a benchmark is for whoever has started it.
        let _ = writeln!(std::io::stdout(), "{name}: {counted:.0} ns counted, {plain:.0} ns not: ratio {ratio:.3}");
    }
}
