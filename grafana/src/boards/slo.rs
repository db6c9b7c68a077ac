//! What was promised, how much of the allowed failures is left, and how fast it is used up.
//! Must not know: the windows of the alerts; the recorded series have them (`grafana/recording.rules.yaml`).

use crate::board::Board;
use crate::panel::{Panel, Unit};

/// An objective: its name in the recorded series, its title, the share of failures that is allowed, and what one is.
const OBJECTIVES: [(&str, &str, f64, &str); 3] = [
    (
        "booking_errors",
        "Availability",
        0.001,
        "Bookings and holds answered 503 or 500, of all. Allowed: 1 in 1,000 over 30 days.",
    ),
    (
        "booking_slow",
        "Latency",
        0.01,
        "Commands that their day answered after more than 0.2 s, of all. Allowed: 1 in 100 over 30 days.",
    ),
    (
        "reminders_late",
        "Reminders",
        0.01,
        "Messages sent more than a second after they were due, of all. Allowed: 1 in 100 over 30 days.",
    ),
];

pub(crate) fn board() -> Board {
    let description = "What was promised, how much of the allowed failures is left, and how fast it is used up. \
                       These figures are of all nodes.";
    OBJECTIVES.iter().fold(Board::new("slo", "SLO", "now-6h", description), |board, objective| {
        board.row(objective.1, row(*objective))
    })
}

fn row((name, _, allowed, means): (&'static str, &'static str, f64, &'static str)) -> Vec<Panel> {
    let ratio = |window: &str| format!("hotslot:{name}:ratio{window}");
    let burn = |window: &str| format!("{} / {allowed}", ratio(window));
    vec![
        Panel::number(
            "Budget left",
            Unit::Share,
            &format!("{means} What is left of that."),
            "Below 0: nothing is risked (deploys, moves of stores) until it has grown back.",
        )
        .query(format!("1 - {}", burn("30d")), "")
        .signed()
        .if_empty("no traffic")
        .bad_below(0.0, 0.25)
        .wide(4),
        Panel::lines(
            "Failures",
            Unit::Share,
            means,
            "Above the line for long: the alerts say when. Release minute shows the moment, Engine and Storage the \
             cause.",
        )
        .query(ratio("5m"), "5 minutes")
        .query(ratio("1h"), "1 hour")
        .query(ratio("1d"), "1 day")
        .bad_from(allowed)
        .wide(10),
        Panel::lines(
            "How fast the budget is used up",
            Unit::Count,
            "1: it will just last 30 days. 14.4: in two days it is gone.",
            "Above 14.4 in both the hour and the five minutes, or 6 in six hours and half an hour: it pages. \
             Above 3 in a day, or 1 in three days: look in the morning.",
        )
        .query(burn("5m"), "5 minutes")
        .query(burn("30m"), "30 minutes")
        .query(burn("1h"), "1 hour")
        .query(burn("2h"), "2 hours")
        .query(burn("6h"), "6 hours")
        .query(burn("1d"), "1 day")
        .query(burn("3d"), "3 days")
        .warn_from(6.0)
        .bad_from(14.4)
        .wide(10),
    ]
}
