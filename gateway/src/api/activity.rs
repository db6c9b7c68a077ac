//! What this process is busy with, for its operators: the hottest days, queues, lags. Personal data has no place here.
//! Must not know: how activity is counted.

use actix_web::http::StatusCode;
use booking_core::{PlaceTotals, UtcMillis};
use engine::actors::activity::Rates;
use engine::actors::survey::HotDay;
use engine::handle::figures::{Figures, Lag};
use engine::telemetry::queues::QueueFigure;
use serde::Serialize;
use uuid::Uuid;

use super::call::{Call, json};
use super::day_view::{DateView, state_name};
use super::instant::InstantText;
use crate::auth::permission::{Guard, Operate};
use crate::middleware::edge::Answer;

#[derive(Serialize)]
struct Activity {
    server_time: InstantText,
    days_awake: usize,
    days_asleep: usize,
    #[serde(flatten)]
    rates: RatesView,
    next_release_at: Option<InstantText>,
    places: PlacesView,
    release_days: usize,
    release_places: PlacesView,
    queues: Vec<QueueView>,
    journal_lag: LagView,
    ledger_lag: LagView,
    days: Vec<HotDayView>,
}

#[derive(Serialize)]
struct RatesView {
    commands_per_second: f64,
    reads_per_second: f64,
    records_per_second: f64,
}

#[derive(Serialize)]
struct PlacesView {
    withheld: u64,
    free: u64,
    held: u64,
    booked: u64,
}

#[derive(Serialize)]
struct QueueView {
    name: &'static str,
    depth: usize,
    bound: usize,
}

#[derive(Serialize)]
struct LagView {
    records: u64,
    seconds: f64,
}

#[derive(Serialize)]
struct HotDayView {
    doctor_id: Uuid,
    date: DateView,
    state: Option<&'static str>,
    #[serde(flatten)]
    rates: RatesView,
    queued: usize,
    places: PlacesView,
}

/// `GET /v1/admin/activity`
pub(crate) async fn read(call: Call, guard: Guard<Operate>) -> Answer {
    call.no_query()?;
    guard.permit(&())?;
    json(StatusCode::OK, &activity(&call.worker().shared.figures(), call.now()))
}

fn activity(figures: &Figures, now: UtcMillis) -> Activity {
    let survey = &figures.survey;
    Activity {
        server_time: InstantText(now),
        days_awake: figures.days_awake,
        days_asleep: figures.days_asleep,
        rates: survey.rates.into(),
        next_release_at: survey.next_release.map(InstantText),
        places: survey.places.into(),
        release_days: survey.release_days,
        release_places: survey.release_places.into(),
        queues: figures.queues.iter().map(QueueView::from).collect(),
        journal_lag: figures.journal_lag.into(),
        ledger_lag: figures.ledger_lag.into(),
        days: survey.hottest.iter().map(|hot| HotDayView::of(hot, now)).collect(),
    }
}

impl HotDayView {
    fn of(hot: &HotDay, now: UtcMillis) -> Self {
        let places = hot.snapshot.as_ref().map(|snapshot| snapshot.totals_at(now)).unwrap_or_default();
        Self {
            doctor_id: hot.day.doctor.0,
            date: DateView(hot.day.date),
            state: hot.snapshot.as_ref().map(|snapshot| state_name(snapshot.state_at(now))),
            rates: hot.rates.into(),
            queued: hot.queued,
            places: places.into(),
        }
    }
}

impl From<Rates> for RatesView {
    fn from(rates: Rates) -> Self {
        Self {
            commands_per_second: tenths(rates.commands),
            reads_per_second: tenths(rates.reads),
            records_per_second: tenths(rates.records),
        }
    }
}

/// More digits would say more than is known.
fn tenths(rate: f32) -> f64 {
    (f64::from(rate) * 10.0).round() / 10.0
}

impl From<PlaceTotals> for PlacesView {
    fn from(totals: PlaceTotals) -> Self {
        Self { withheld: totals.withheld, free: totals.free, held: totals.held, booked: totals.booked }
    }
}

impl From<&QueueFigure> for QueueView {
    fn from(figure: &QueueFigure) -> Self {
        Self { name: figure.queue.name(), depth: figure.depth, bound: figure.bound }
    }
}

impl From<Lag> for LagView {
    fn from(lag: Lag) -> Self {
        Self { records: lag.records, seconds: (lag.seconds * 1e3).round() / 1e3 }
    }
}
