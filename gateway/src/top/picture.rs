//! What an operator is shown: two looks at a process, turned into words and numbers.
//! Must not know: how it is drawn, how the process is asked.

use serde_json::Value;

use super::page::{Page, Span};
use super::source::Look;

/// Labels that a series must have, by name and value.
type Labels = &'static [(&'static str, &'static str)];

/// Latencies that are shown: name, histogram, labels.
const LATENCIES: [(&str, &str, Labels); 8] = [
    ("HTTP POST", "hotslot_http_request_duration_seconds", &[("method", "POST")]),
    ("HTTP GET", "hotslot_http_request_duration_seconds", &[("method", "GET")]),
    ("in the day", STAGES, &[("stage", "total")]),
    ("  its turn", STAGES, &[("stage", "queue")]),
    ("  durable", STAGES, &[("stage", "append")]),
    ("group commit", "hotslot_journal_commit_duration_seconds", &[]),
    ("ledger bulk", "hotslot_ledger_apply_duration_seconds", &[]),
    ("to the ledger", STAGES, &[("stage", "ledger")]),
];
const STAGES: &str = "hotslot_booking_stage_duration_seconds";

/// Outcomes of bookings that have a line of their own; the others are summed up.
const OUTCOMES: [&str; 8] =
    ["won", "replayed", "sold_out", "slot_taken", "not_released", "already_booked", "overloaded", "unavailable"];

/// A number with its name.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) value: f64,
}

/// Quantiles in seconds; `None`: nothing was observed.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Latency {
    pub(super) name: &'static str,
    pub(super) median: Option<f64>,
    pub(super) p99: Option<f64>,
}

/// A bounded queue.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct QueueFill {
    pub(super) name: String,
    pub(super) depth: f64,
    pub(super) bound: f64,
}

/// One of the hottest days.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct HotDay {
    pub(super) doctor: String,
    pub(super) date: String,
    pub(super) state: String,
    pub(super) commands: f64,
    pub(super) reads: f64,
    pub(super) records: f64,
    pub(super) queued: f64,
    pub(super) free: f64,
    pub(super) taken: f64,
    pub(super) capacity: f64,
}

/// See the module.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Picture {
    pub(super) version: String,
    pub(super) is_ready: bool,
    pub(super) uptime_seconds: f64,
    pub(super) resident_bytes: f64,
    pub(super) processors: f64,
    pub(super) requests: f64,
    pub(super) bookings: Vec<Named>,
    pub(super) latencies: Vec<Latency>,
    pub(super) queues: Vec<QueueFill>,
    pub(super) journal_lag: (f64, f64),
    pub(super) ledger_lag: (f64, f64),
    pub(super) days_awake: f64,
    pub(super) days_asleep: f64,
    pub(super) streams: f64,
    pub(super) shards: (f64, f64),
    pub(super) disk_free: (f64, f64),
    /// Withheld, free, held, booked, of days around a release; and how many days those are.
    pub(super) release: [f64; 4],
    pub(super) release_days: f64,
    /// Seconds until the next release; `None`: none is known.
    pub(super) next_release_seconds: Option<f64>,
    /// What must never be seen: words for each.
    pub(super) alarms: Vec<String>,
    /// The hottest days, or why they are not known.
    pub(super) hottest: Result<Vec<HotDay>, String>,
}

impl Picture {
    /// What `after` shows, with rates since `before`. `now_seconds` is since 1970.
    pub(super) fn of(before: &Look, after: &Look, now_seconds: f64) -> Self {
        let seconds = after.at_micros.saturating_sub(before.at_micros) as f64 / 1e6;
        let span = Span { before: &before.page, after: &after.page, seconds };
        let page = &after.page;
        let value = |name: &str| page.value(name, &[]);
        let next_release = value("hotslot_release_next_timestamp_seconds");
        Self {
            version: version(page),
            is_ready: value("hotslot_ready") > 0.0,
            uptime_seconds: (now_seconds - value("process_start_time_seconds")).max(0.0),
            resident_bytes: value("process_resident_memory_bytes"),
            processors: span.rate("process_cpu_seconds_total", &[]),
            requests: span.rate("hotslot_http_requests_total", &[]),
            bookings: bookings(&span),
            latencies: latencies(&span),
            queues: queues(page),
            journal_lag: (value("hotslot_journal_lag_records"), value("hotslot_journal_lag_seconds")),
            ledger_lag: (value("hotslot_ledger_lag_records"), value("hotslot_ledger_lag_seconds")),
            days_awake: value("hotslot_days_awake"),
            days_asleep: value("hotslot_days_asleep"),
            streams: value("hotslot_stream_clients"),
            shards: (value("hotslot_shards_open"), value("hotslot_shards_owned")),
            disk_free: (value("hotslot_data_dir_free_bytes"), value("hotslot_data_dir_size_bytes")),
            release: ["withheld", "free", "held", "booked"]
                .map(|state| page.value("hotslot_release_places", &[("state", state)])),
            release_days: value("hotslot_release_days"),
            next_release_seconds: (next_release > 0.0).then_some(next_release - now_seconds),
            alarms: alarms(page),
            hottest: after.activity.as_ref().map(hottest).map_err(String::clone),
        }
    }

    /// Bookings won a second.
    pub(super) fn won(&self) -> f64 {
        self.bookings.iter().find(|one| one.name == "won").map_or(0.0, |one| one.value)
    }
}

fn version(page: &Page) -> String {
    let label = |name| page.label("hotslot_build_info", name).unwrap_or("?");
    match label("commit") {
        "unknown" | "?" => label("version").to_owned(),
        commit => format!("{} {}", label("version"), commit.get(..12).unwrap_or(commit)),
    }
}

fn bookings(span: &Span<'_>) -> Vec<Named> {
    const NAME: &str = "hotslot_bookings_total";
    let rate = |outcome: &str| span.rate(NAME, &[("outcome", outcome)]);
    let mut bookings: Vec<Named> =
        OUTCOMES.iter().map(|outcome| Named { name: (*outcome).to_owned(), value: rate(outcome) }).collect();
    let named: f64 = bookings.iter().map(|one| one.value).sum();
    bookings.push(Named { name: "other".to_owned(), value: (span.rate(NAME, &[]) - named).max(0.0) });
    bookings
}

fn latencies(span: &Span<'_>) -> Vec<Latency> {
    let latency = |(name, histogram, labels): &(&'static str, &str, &[(&str, &str)])| Latency {
        name,
        median: span.quantile(histogram, labels, 0.5),
        p99: span.quantile(histogram, labels, 0.99),
    };
    LATENCIES.iter().map(latency).collect()
}

fn queues(page: &Page) -> Vec<QueueFill> {
    let fill = |name: &&str| QueueFill {
        name: (*name).to_owned(),
        depth: page.value("hotslot_queue_depth", &[("queue", name)]),
        bound: page.value("hotslot_queue_bound", &[("queue", name)]),
    };
    let known = engine::telemetry::catalogue::QUEUES;
    known.iter().map(fill).filter(|queue| queue.bound > 0.0).collect()
}

fn alarms(page: &Page) -> Vec<String> {
    let alarms = [
        ("hotslot_conservation_violations_total", "slots whose counts do not add up"),
        ("hotslot_day_panics_total", "panics"),
        ("hotslot_days_parked", "days out of service"),
        ("hotslot_ledger_parked_days", "days that the ledger refuses"),
        ("hotslot_journal_lost_records_total", "records lost by a failover"),
        ("hotslot_journal_unrestored_records_total", "of them cannot hold any more"),
        ("hotslot_feed_dead_total", "dead letters of the feed"),
    ];
    let told = alarms.iter().map(|(name, words)| (page.value(name, &[]), words)).filter(|(count, _)| *count > 0.0);
    told.map(|(count, words)| format!("{count} {words}")).collect()
}

fn hottest(activity: &Value) -> Vec<HotDay> {
    let days = activity["days"].as_array().map(Vec::as_slice).unwrap_or_default();
    days.iter().map(hot_day).collect()
}

fn hot_day(day: &Value) -> HotDay {
    let text = |name: &str| day[name].as_str().unwrap_or("").to_owned();
    let number = |name: &str| day[name].as_f64().unwrap_or(0.0);
    let places = |name: &str| day["places"][name].as_f64().unwrap_or(0.0);
    let taken = places("held") + places("booked");
    HotDay {
        doctor: text("doctor_id"),
        date: text("date"),
        state: text("state"),
        commands: number("commands_per_second"),
        reads: number("reads_per_second"),
        records: number("records_per_second"),
        queued: number("queued"),
        free: places("free"),
        taken,
        capacity: taken + places("free") + places("withheld"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    const BEFORE: &str = "hotslot_bookings_total{outcome=\"won\"} 10\nhotslot_bookings_total{outcome=\"closed\"} 1\n";
    const AFTER: &str = "hotslot_build_info{version=\"1.2.3\",commit=\"abcdef\"} 1\nhotslot_ready 1\n\
        hotslot_bookings_total{outcome=\"won\"} 30\nhotslot_bookings_total{outcome=\"closed\"} 5\n\
        hotslot_queue_depth{queue=\"day\"} 16384\nhotslot_queue_bound{queue=\"day\"} 32768\n\
        hotslot_ledger_lag_records 7\nhotslot_ledger_lag_seconds 0.25\nhotslot_day_panics_total 2\n\
        hotslot_release_next_timestamp_seconds 1065\nhotslot_release_places{state=\"booked\"} 12\n\
        hotslot_release_days 1\nprocess_start_time_seconds 900\n";

    /// A picture of a process at work.
    pub(in crate::top) fn picture() -> Picture {
        let look = |text, activity, at_micros| Look { page: Page::parse(text), activity, at_micros };
        let activity = json!({"days": [{
            "doctor_id": "0190a3c4-7b1e-7c3a-9d52-4f0b6a1c1000", "date": "2026-12-01", "state": "open",
            "commands_per_second": 120.5, "reads_per_second": 40, "records_per_second": 10, "queued": 3,
            "places": {"withheld": 0, "free": 8, "held": 2, "booked": 10}
        }]});
        Picture::of(&look(BEFORE, Err("early".to_owned()), 0), &look(AFTER, Ok(activity), 2_000_000), 1_000.0)
    }

    #[test]
    fn two_looks_become_one_picture() {
        let picture = picture();
        assert_eq!((picture.version.as_str(), picture.is_ready, picture.won()), ("1.2.3 abcdef", true, 10.0));
        assert_eq!(picture.bookings.last(), Some(&Named { name: "other".to_owned(), value: 2.0 }));
        assert_eq!(picture.queues.len(), 1, "queues that are not there are not shown");
        assert_eq!(picture.ledger_lag, (7.0, 0.25));
        assert_eq!((picture.next_release_seconds, picture.uptime_seconds), (Some(65.0), 100.0));
        assert_eq!(picture.alarms, ["2 panics"]);
        let day = &picture.hottest.as_ref().expect("known")[0];
        assert_eq!((day.taken, day.capacity, day.commands), (12.0, 20.0, 120.5));
    }
}
