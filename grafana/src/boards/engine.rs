//! What happens inside: bookings stage by stage, days awake and asleep, holds and moves, claims, queues, HTTP,
//! streams.
//! Must not know: what stores do with it.

use crate::board::Board;
use crate::panel::{Panel, Unit};
use crate::query::{buckets, each, max_by, mean, quantile, quantile_by, rate, rate_by, risen, sum, sum_by};

const STAGES: &str = "hotslot_booking_stage_duration_seconds";

pub(crate) fn board() -> Board {
    let description =
        "What happens inside: bookings stage by stage, days, holds and moves, claims, queues, HTTP, streams.";
    Board::new("engine", "Engine", "now-1h", description)
        .row("Bookings", bookings())
        .row("Days", days())
        .row("Places, holds, moves", places())
        .row("Claims across days", claims())
        .row("Queues", queues())
        .row("HTTP", http())
        .row("Streams", streams())
}

fn bookings() -> Vec<Panel> {
    vec![
        Panel::areas(
            "Bookings by outcome",
            Unit::PerSecond,
            "Bookings and holds by outcome: `won` has a place, the others are told why not.",
            "`internal`: report it. `unavailable`: Storage. `too_many_keys`: a script.",
        )
        .query(rate_by("outcome", "hotslot_bookings_total"), "{{outcome}}"),
        Panel::lines(
            "p99 of each stage",
            Unit::Seconds,
            "admit, dedup, queue (the wait for the day's turn), decide, claim, append, publish, reply; ledger comes \
             after the answer.",
            "`append`: the journal. `queue`: one day's rush, or processors. `ledger`: up to ten seconds on purpose.",
        )
        .query(quantile_by(0.99, "stage", STAGES), "{{stage}}"),
        Panel::lines(
            "Half of each stage",
            Unit::Seconds,
            "The median of the same stages.",
            "A stage that grows with traffic is the one that limits.",
        )
        .query(quantile_by(0.5, "stage", STAGES), "{{stage}}"),
        Panel::heat_map(
            "Wait for the day's turn",
            Unit::Seconds,
            "How long commands wait in their day's intake.",
            "Dark and high: one day gets more than it can decide; others are not touched.",
        )
        .query(buckets(r#"hotslot_booking_stage_duration_seconds{stage="queue"}"#), "{{le}}"),
        Panel::lines(
            "Refused without waking the day",
            Unit::PerSecond,
            "Refusals from the published picture of a day, which cost next to nothing; and all answers, to compare.",
            "Few of many in a sold-out release: pictures are not published. See publish, above.",
        )
        .query(rate("hotslot_early_refusals_total"), "early")
        .query(rate("hotslot_bookings_total"), "all"),
        Panel::lines(
            "Commands a turn",
            Unit::Count,
            "How many commands a day's actor takes at once: the mean, and 99 of 100.",
            "Rises with a rush, and that is right: the more at once, the fewer records.",
        )
        .query(mean("hotslot_day_turn_commands"), "mean")
        .query(quantile(0.99, "hotslot_day_turn_commands"), "p99"),
    ]
}

fn days() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Days awake",
            Unit::Count,
            "Doctor-days with an actor in memory, and the bound beyond which the longest idle ones go to sleep.",
            "At the bound all the time: raise `awake_days_max`, or add nodes.",
        )
        .query(sum("hotslot_days_awake"), "awake")
        .query(sum("hotslot_days_awake_max"), "bound"),
        Panel::lines("Days asleep", Unit::Count, "Doctor-days kept as packed bytes.", "Nothing; see their memory.")
            .query(sum("hotslot_days_asleep"), "asleep"),
        Panel::lines(
            "Memory of days asleep",
            Unit::Bytes,
            "Memory of the packed days, and the bound beyond which days are read from the journal again.",
            "At the bound, and waking slow: raise `sleeping_mebibytes_max` if there is memory.",
        )
        .query(sum("hotslot_days_asleep_bytes"), "asleep")
        .query(sum("hotslot_days_asleep_bytes_max"), "bound"),
        Panel::lines(
            "Days woken",
            Unit::PerSecond,
            "Doctor-days brought into memory, from packed bytes or from the journal.",
            "High for long: more days are asked for than may be awake.",
        )
        .query(rate("hotslot_day_activations_total"), "woken"),
        Panel::lines(
            "Time to wake a day",
            Unit::Seconds,
            "From the first command for a day until it can decide.",
            "Above 0.1 s: days are read from a slow journal, or have a very long history.",
        )
        .query(quantile(0.5, "hotslot_day_activation_duration_seconds"), "p50")
        .query(quantile(0.99, "hotslot_day_activation_duration_seconds"), "p99")
        .warn_from(0.1),
        Panel::numbers(
            "Trouble in days",
            Unit::Count,
            "Within the shown time: panics caught, states dropped and read again after a failed append or a panic; \
             and days parked now.",
            "Panics, parked days: the log has the place; report it, and restart a node with parked days. Replays \
             alone: Storage.",
        )
        .query(risen("hotslot_day_panics_total"), "panics")
        .query(risen("hotslot_day_replays_total"), "replays")
        .query(sum("hotslot_days_parked"), "parked now")
        .warn_from(1.0),
        Panel::numbers(
            "Places add up",
            Unit::Count,
            "Slots within the shown time whose counts were checked, and those that did not add up.",
            "Violations: page. No samples in spite of traffic: the check does not run.",
        )
        .query(risen("hotslot_conservation_samples_total"), "checked")
        .query(risen("hotslot_conservation_violations_total"), "violations"),
    ]
}

fn places() -> Vec<Panel> {
    vec![
        Panel::areas(
            "Places",
            Unit::Count,
            "Places of the days awake that are not over, by where they are.",
            "Nothing by itself. `held` that does not fall: holds are not recorded as expired.",
        )
        .query(sum_by("state", "hotslot_places"), "{{state}}"),
        Panel::lines(
            "Holds",
            Unit::PerSecond,
            "Holds recorded, confirmed in time, expired.",
            "Mostly expired: people do not come back, or the confirmation is slow; see the time that holds are given.",
        )
        .query(rate("hotslot_holds_placed_total"), "placed")
        .query(rate("hotslot_holds_confirmed_total"), "confirmed")
        .query(rate("hotslot_holds_expired_total"), "expired"),
        Panel::lines(
            "Moves between days",
            Unit::PerSecond,
            "Appointments moved to another day, by outcome; `settled`: nobody drove the move any more, and its day \
             asked.",
            "`unknown` or `settled` without a crash: nodes do not reach each other.",
        )
        .query(rate_by("outcome", "hotslot_moves_total"), "{{outcome}}")
        .query(rate("hotslot_moves_settled_total"), "settled"),
        Panel::numbers(
            "Days in release",
            Unit::Count,
            "Days with a release within fifteen minutes before or after.",
            "None at the hour of a release: nobody has asked for the day yet, or it was not published.",
        )
        .query(sum("hotslot_release_days"), "days"),
    ]
}

fn claims() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Claimed",
            Unit::Count,
            "Times of patients and idempotency keys known across days: about 190 and 115 bytes each.",
            "Growing beyond the appointments to come: report it.",
        )
        .query(sum("hotslot_claimed_visits"), "visits")
        .query(sum("hotslot_claimed_keys"), "keys"),
        Panel::lines(
            "Commands that wait for another day",
            Unit::Count,
            "Commands parked until something unsettled on another day is settled; two seconds each at most.",
            "Above a thousand: the journal is slow. See Storage.",
        )
        .query(sum("hotslot_parked_commands"), "parked")
        .warn_from(1000.0),
        Panel::lines(
            "Claims to give back",
            Unit::Count,
            "Claims that wait to be deleted from the shared store.",
            "Rising for long: the database takes no deletions; those that find no room cost others a question.",
        )
        .query(sum("hotslot_claims_given_back_waiting"), "waiting"),
    ]
}

fn queues() -> Vec<Panel> {
    let depth = max_by("queue", "hotslot_queue_depth");
    let share = format!("{depth} / ({} > 0)", max_by("queue", "hotslot_queue_bound"));
    vec![
        Panel::lines(
            "Queues, of their bounds",
            Unit::Share,
            "How full each bounded queue of the fullest node is. Past 100 % callers are refused or work is put off.",
            "The queue's name is the place to look: `journal`, `ledger`, `snapshots`: Storage; `forwards`: Nodes and \
             shards.",
        )
        .query(share, "{{queue}}")
        .warn_from(0.5)
        .bad_from(1.0),
        Panel::lines("Queues, in numbers", Unit::Count, "What waits in each bounded queue.", "As beside it.")
            .query(depth, "{{queue}}"),
        Panel::lines(
            "Commands inside the engine",
            Unit::Count,
            "Commands admitted to a day and not answered yet, on each node.",
            "Near the bound of `engine`: bookings are shed. More nodes, or a faster journal.",
        )
        .query(each("hotslot_admitted_commands"), "{{instance}}"),
        Panel::areas(
            "Shed",
            Unit::PerSecond,
            "Bookings refused with 503 on purpose, by reason. Cancels never are.",
            "`stopping`: a deploy. Others: the queue of that name.",
        )
        .query(rate_by("reason", "hotslot_shed_total"), "{{reason}}"),
    ]
}

fn http() -> Vec<Panel> {
    vec![
        Panel::areas(
            "Requests by status",
            Unit::PerSecond,
            "HTTP requests answered, by class of status.",
            "5xx above 1 %: the log by `request_id`. 4xx are mostly losers.",
        )
        .query(rate_by("status_class", "hotslot_http_requests_total"), "{{status_class}}"),
        Panel::areas("Requests by method", Unit::PerSecond, "HTTP requests answered, by method.", "Nothing by itself.")
            .query(rate_by("method", "hotslot_http_requests_total"), "{{method}}"),
        Panel::lines(
            "p99 by method",
            Unit::Seconds,
            "Time from the first byte of a request to its answer, as this process sees it.",
            "Above the stages' `total`: the request waited before the engine; processors, or a slow client.",
        )
        .query(quantile_by(0.99, "method", "hotslot_http_request_duration_seconds"), "{{method}}")
        .bad_from(0.5),
        Panel::lines(
            "In flight",
            Unit::Count,
            "HTTP requests being answered now.",
            "Rising with falling rates: something waits; see the stages.",
        )
        .query(each("hotslot_http_requests_in_flight"), "{{instance}}"),
        Panel::lines(
            "Refused by rate limits",
            Unit::PerSecond,
            "Requests refused with 429, by what was limited.",
            "`address` behind a load balancer: a wrong setting. `subject`: a script.",
        )
        .query(rate_by("limit", "hotslot_rate_limited_total"), "{{limit}}"),
        Panel::lines(
            "Memory of the rate limits",
            Unit::Count,
            "Subjects and addresses that the limits remember; bounded.",
            "At a plateau: the bound. Very many addresses at once: an attack, or many patients.",
        )
        .query(sum_by("limit", "hotslot_rate_limit_keys"), "{{limit}}"),
    ]
}

fn streams() -> Vec<Panel> {
    vec![
        Panel::lines(
            "Open streams",
            Unit::Count,
            "People who watch a day.",
            "At the bound of `streams`: raise `streams_max`, or add nodes.",
        )
        .query(each("hotslot_stream_clients"), "{{instance}}"),
        Panel::lines("Events", Unit::PerSecond, "Events handed to streams.", "None while days change: report it.")
            .query(rate("hotslot_stream_events_total"), "events"),
        Panel::lines(
            "Cut and refused",
            Unit::PerSecond,
            "Streams cut because the reader did not read, and streams refused because there were too many.",
            "Cut in crowds: a proxy that buffers. Refused: raise `streams_max`, or add nodes.",
        )
        .query(rate("hotslot_streams_dropped_total"), "cut")
        .query(rate("hotslot_streams_refused_total"), "refused"),
    ]
}
