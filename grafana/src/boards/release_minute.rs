//! One screen for the moment itself: is it about to begin, who wins, who loses, how fast, and does anything fill up?
//! Must not know: causes; each panel names the dashboard that has them.

use crate::board::Board;
use crate::panel::{Panel, Unit};
use crate::query::{buckets, max_by, quantile, rate, rate_by, sum, sum_by};

/// Answers that are no decision: the caller has to come again.
const UNDECIDED: &str = r#"hotslot_bookings_total{outcome=~"overloaded|unavailable|internal"}"#;
/// Places, or the refusal that there are none: what callers came for.
const DECIDED: &str = r#"hotslot_bookings_total{outcome!~"overloaded|unavailable|internal"}"#;
const TOTAL: &str = r#"hotslot_booking_stage_duration_seconds{stage="total"}"#;

pub(crate) fn board() -> Board {
    let description = "One screen for the release minute. From left to right: is it about to begin, what is asked, \
                       who wins, how fast, what fills up.";
    Board::new("release-minute", "Release minute", "now-15m", description)
        .tight_row(4, now())
        .tight_row(7, offered())
        .tight_row(7, latency())
        .tight_row(6, room())
}

fn now() -> Vec<Panel> {
    [beginning(), answering(), standing()].concat()
}

/// Is it about to begin, and is everybody there?
fn beginning() -> Vec<Panel> {
    let countdown = format!("min({} > 0) - time()", crate::query::each("hotslot_release_next_timestamp_seconds"));
    let ready = format!("{} / count({})", sum("hotslot_ready"), crate::query::each("hotslot_ready"));
    let sold = format!("{} / {}", sum(r#"hotslot_release_places{state="booked"}"#), sum("hotslot_release_places"));
    vec![
        Panel::number(
            "Next release",
            Unit::Clock,
            "Time until the next release of a day that somebody has asked for.",
            "Nodes ready? Nothing is deployed now. Negative for more than a second: the day was not released, look \
             at the log.",
        )
        .query(countdown, "")
        .signed()
        .if_empty("none known")
        .wide(3),
        Panel::number(
            "Nodes ready",
            Unit::Share,
            "Nodes that say they are ready, of those that are scraped.",
            "Below 100 %: `GET /healthz/ready` of that node names what is away. See Nodes and shards.",
        )
        .query(ready, "")
        .bad_below(0.99, 1.0)
        .wide(3),
        Panel::number(
            "Sold",
            Unit::Share,
            "Places booked, of the capacity of the days released within fifteen minutes before or after.",
            "Not rising although bookings come in: look at who loses, and why, below.",
        )
        .query(sold, "")
        .wide(3),
    ]
}

/// Are people answered, and in time?
fn answering() -> Vec<Panel> {
    let decided = format!("{} / {}", rate(DECIDED), rate("hotslot_bookings_total"));
    vec![
        Panel::number(
            "Bookings decided",
            Unit::Share,
            "Answers that say yes or no, of all. The others are 503, and their callers come again.",
            "Below 99.9 %: shed on purpose (right), or a store is away (Storage).",
        )
        .query(decided, "")
        .bad_below(0.99, 0.999)
        .wide(3),
        Panel::number(
            "p99",
            Unit::Seconds,
            "99 of 100 commands are answered by their day within this time.",
            "Above 0.2 s: Engine says which stage takes it.",
        )
        .query(quantile(0.99, TOTAL), "")
        .warn_from(0.1)
        .bad_from(0.2)
        .wide(3),
    ]
}

/// Does anything fill up, fall behind, or go wrong?
fn standing() -> Vec<Panel> {
    let wrong = format!("sum(increase({}[15m]))", crate::query::each("hotslot_conservation_violations_total"));
    let fullest = format!("max({})", fill());
    vec![
        Panel::number(
            "Fullest queue",
            Unit::Share,
            "How full the fullest bounded queue is; at 100 % callers are refused.",
            "Above 50 %: the panel below names it.",
        )
        .query(fullest, "")
        .warn_from(0.5)
        .bad_from(0.9)
        .wide(3),
        Panel::number(
            "Ledger behind",
            Unit::Seconds,
            "Age of the oldest record that the ledger does not have. Ten seconds in a burst are on purpose.",
            "Above 30 s: Storage, the ledger's rows. Patients notice nothing until bookings are shed.",
        )
        .query(crate::query::max("hotslot_ledger_lag_seconds"), "")
        .warn_from(15.0)
        .bad_from(30.0)
        .wide(3),
        Panel::number(
            "Places that do not add up",
            Unit::Count,
            "Slots within 15 minutes whose places were not free + withheld + held + booked. Always 0.",
            "Anything else: close the day, keep logs and stores, run `hotslot verify`, report it.",
        )
        .query(wrong, "")
        .bad_from(1.0)
        .wide(3),
    ]
}

fn offered() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Offered and served",
            Unit::PerSecond,
            "Bookings asked for, and those answered with a decision. HTTP counts every call, reading too.",
            "Lines that part: 503 are given, the shed panel and Storage say why.",
        )
        .query(rate("hotslot_bookings_total"), "offered")
        .query(rate(DECIDED), "served")
        .query(rate("hotslot_http_requests_total"), "all of HTTP"),
        Panel::areas(
            "Winners and losers",
            Unit::PerSecond,
            "Bookings and holds by outcome: `won` has a place, the others are told why not.",
            "`sold_out` in a release is right. `unavailable` or `internal`: Storage. `not_released`: clients are \
             early, or the release is late.",
        )
        .query(rate_by("outcome", "hotslot_bookings_total"), "{{outcome}}"),
        Panel::areas(
            "Sold against capacity",
            Unit::Count,
            "Where the places of the days now in release are. The dashed line is their capacity.",
            "`held` that stays: people do not confirm in time. `free` that stays although many ask: look at why they \
             lose.",
        )
        .query(sum_by("state", "hotslot_release_places"), "{{state}}")
        .query(sum("hotslot_release_places"), "capacity"),
    ]
}

fn latency() -> Vec<Panel> {
    vec![
        Panel::heat_map(
            "Time until a command is answered by its day",
            Unit::Seconds,
            "Each column is one moment; the darker, the more commands took so long. Inside the engine, until durable.",
            "A band that climbs: the journal (Storage). A second band far above: one day has a rush, or a stall.",
        )
        .query(buckets(TOTAL), "{{le}}")
        .wide(12),
        Panel::lines(
            "Latency",
            Unit::Seconds,
            "Half, 99 and 99.9 of 100 commands are answered by their day within this time.",
            "p99 above 0.2 s: Engine, stages.",
        )
        .query(quantile(0.5, TOTAL), "p50")
        .query(quantile(0.99, TOTAL), "p99")
        .query(quantile(0.999, TOTAL), "p99.9")
        .bad_from(0.2)
        .wide(6),
        Panel::areas(
            "Turned away without a decision",
            Unit::PerSecond,
            "Bookings shed on purpose, by reason; calls refused by a rate limit; answers that could not be given.",
            "`day_queue`: one day's rush, add nothing. `engine_queue`: all days, more nodes before the next release. \
             `ledger_lag`: the ledger. `address`: limits belong to the load balancer.",
        )
        .query(rate_by("reason", "hotslot_shed_total"), "shed: {{reason}}")
        .query(rate_by("limit", "hotslot_rate_limited_total"), "limit: {{limit}}")
        .query(rate(UNDECIDED), "503 or 500 in all")
        .wide(6),
    ]
}

/// How full each queue is. A bound of 0 says that there is no such queue.
fn fill() -> String {
    let depth = crate::query::each("hotslot_queue_depth");
    format!("{depth} / ({} > 0)", crate::query::each("hotslot_queue_bound"))
}

fn room() -> Vec<Panel> {
    let queue_share = format!("max by (queue) ({})", fill());
    vec![
        Panel::lines(
            "Queues, of their bounds",
            Unit::Share,
            "How full each bounded queue of the fullest node is. Past 100 % callers are refused or work is put off.",
            "`journal`: the store is slow. `engine`: processors. `ledger`: up to 25 % on purpose. `streams`: more \
             readers than `streams_max`.",
        )
        .query(queue_share, "{{queue}}")
        .warn_from(0.5)
        .bad_from(1.0)
        .up_to(1.0)
        .wide(8),
        Panel::lines(
            "Queues, in numbers",
            Unit::Count,
            "What waits in the queues on the way of a booking, and the bound of the engine's.",
            "As beside it; numbers say whether it is a few or a crowd.",
        )
        .query(max_by("queue", r#"hotslot_queue_depth{queue=~"engine|day|journal|ledger"}"#), "{{queue}}")
        .query(max_by("queue", r#"hotslot_queue_bound{queue="engine"}"#), "{{queue}}: bound")
        .wide(5),
        Panel::lines(
            "Group commit",
            Unit::Seconds,
            "Time of one group commit; every answer waits for one. And the age of the one under way.",
            "Above 0.1 s: the disk or the database of the journal. See Storage.",
        )
        .query(quantile(0.99, "hotslot_journal_commit_duration_seconds"), "p99")
        .query(quantile(0.5, "hotslot_journal_commit_duration_seconds"), "p50")
        .query(crate::query::max("hotslot_journal_lag_seconds"), "under way")
        .bad_from(0.1)
        .wide(5),
        Panel::lines(
            "People who watch",
            Unit::Count,
            "Open streams of days, and how many are cut because they do not read.",
            "Cut by the hundred: a proxy that buffers. Refused: raise `streams_max`, or add nodes.",
        )
        .query(sum("hotslot_stream_clients"), "open")
        .query(rate("hotslot_streams_dropped_total"), "cut a second")
        .query(rate("hotslot_streams_refused_total"), "refused a second")
        .wide(6),
    ]
}
