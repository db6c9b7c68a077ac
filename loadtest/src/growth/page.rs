//! The points as a Markdown table, and as one HTML page with plots that needs nothing else.
//! Must not know: how they were measured.

use std::fmt::Write as _;

use super::point::{Curve, Point};
use crate::run::page::STYLE;
use crate::run::page::plot::{Line, Plot};

/// Columns of both tables.
const COLUMNS: [&str; 13] = [
    "curve",
    "size",
    "days asked for",
    "wins",
    "refusals",
    "other answers",
    "answers/s",
    "p50 ms",
    "p99 ms",
    "server CPU µs/answer",
    "set-up s",
    "server MB",
    "load average",
];
/// What the curves are.
const ABOUT: &str = "Refusals: `size` patients compete for each day, `sold-out` on a day on which nothing is left, `selling` on a \
day of 20 places. Wins: `size` days are known, bookings go to 1,000 of them (`few-days`) or to all of them (`all-days`, \
at most as many as there are presses). CPU is the server's own, user and system, until its ledger has everything.";

/// One line while the measuring goes on.
pub(super) fn progress(point: &Point) -> String {
    format!(
        "{:<9} {:>8}: {:>7.0}/s, {:.1} µs of CPU an answer, {:.1} s, set up in {:.1} s",
        point.curve.name(),
        point.size,
        point.answers_per_second,
        point.cpu_micros_per_answer,
        point.seconds,
        point.set_up_seconds,
    )
}

/// The table in Markdown.
pub(super) fn table(points: &[Point]) -> String {
    let mut text = format!("| {} |\n| --- |{}\n", COLUMNS.join(" | "), " ---: |".repeat(COLUMNS.len() - 1));
    for point in points {
        text.push_str(&format!("| {} |\n", cells(point).join(" | ")));
    }
    text
}

fn cells(point: &Point) -> [String; COLUMNS.len()] {
    [
        point.curve.name().to_owned(),
        point.size.to_string(),
        point.days.to_string(),
        point.wins.to_string(),
        point.refusals.to_string(),
        point.others.to_string(),
        format!("{:.0}", point.answers_per_second),
        format!("{:.2}", point.p50_ms),
        format!("{:.2}", point.p99_ms),
        format!("{:.1}", point.cpu_micros_per_answer),
        format!("{:.1}", point.set_up_seconds),
        point.resident_bytes.map_or_else(String::new, |bytes| format!("{:.0}", bytes as f64 / 1e6)),
        point.load_average.map_or_else(String::new, |load| format!("{load:.1}")),
    ]
}

/// The page.
pub(super) fn page(points: &[Point]) -> String {
    let mut html = String::new();
    // Writing into a string does not fail.
    let _ = write_page(&mut html, points);
    html
}

fn write_page(html: &mut String, points: &[Point]) -> std::fmt::Result {
    write!(
        html,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Growth</title><style>{STYLE}</style>\
         </head><body><h1>Growth</h1><p>{ABOUT}</p><table><tr>"
    )?;
    for column in COLUMNS {
        write!(html, "<th>{column}</th>")?;
    }
    html.push_str("</tr>");
    for point in points {
        write!(html, "<tr><td>{}</td></tr>", cells(point).join("</td><td>"))?;
    }
    html.push_str("</table>");
    let refusals = [Curve::SoldOut, Curve::Selling];
    let wins = [Curve::FewDays, Curve::AllDays];
    let competitors = "competitors for one day, as powers of ten";
    let known = "known days, as powers of ten";
    let cpu = |point: &Point| point.cpu_micros_per_answer;
    let rate = |point: &Point| point.answers_per_second;
    let plots = [
        plot("Cost of an answer to a competitor", competitors, "µs of server CPU", lines(points, &refusals, cpu)),
        plot("Answers to competitors", competitors, "a second", lines(points, &refusals, rate)),
        plot("Cost of a win", known, "µs of server CPU", lines(points, &wins, cpu)),
        plot("Wins", known, "a second", lines(points, &wins, rate)),
        plot("Publishing all days", known, "seconds", lines(points, &wins[..1], |point| point.set_up_seconds)),
    ];
    plots.iter().try_for_each(|plot| plot.write(html))?;
    html.push_str("</body></html>\n");
    Ok(())
}

fn plot<'a>(title: &'a str, x: &'a str, y: &'a str, lines: Vec<Line>) -> Plot<'a> {
    Plot { title, x, y, logarithmic: false, lines }
}

fn lines(points: &[Point], curves: &[Curve], value: impl Fn(&Point) -> f64) -> Vec<Line> {
    let of_curve = |curve: &Curve| {
        let own = points.iter().filter(|point| point.curve == *curve);
        Line::new(curve.name(), own.map(|point| (f64::from(point.size.max(1)).log10(), value(point))).collect())
    };
    curves.iter().map(of_curve).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(curve: Curve, size: u32) -> Point {
        Point {
            curve,
            size,
            days: 7,
            wins: 20,
            refusals: 80,
            others: 0,
            seconds: 0.5,
            answers_per_second: 200.0,
            p50_ms: 1.0,
            p99_ms: 2.0,
            cpu_micros_per_answer: 12.34,
            cpu_seconds: 0.1,
            set_up_seconds: 3.0,
            resident_bytes: Some(50_000_000),
            load_average: None,
        }
    }

    #[test]
    fn every_point_has_a_line_of_the_table() {
        let table = table(&[point(Curve::SoldOut, 100), point(Curve::AllDays, 1_000_000)]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[2], "| sold-out | 100 | 7 | 20 | 80 | 0 | 200 | 1.00 | 2.00 | 12.3 | 3.0 | 50 |  |");
        assert!(lines.iter().all(|line| line.matches('|').count() == COLUMNS.len() + 1), "{table}");
    }

    #[test]
    fn the_page_needs_nothing_else() {
        let points = [point(Curve::SoldOut, 100), point(Curve::SoldOut, 1_000), point(Curve::FewDays, 100)];
        let html = page(&points);
        assert!(!html.contains("<script") && !html.contains("src=") && !html.contains("http"), "{html}");
        assert_eq!(html.matches("<svg").count(), 5);
        assert_eq!(html.matches("<tr>").count(), 1 + points.len());
    }
}
