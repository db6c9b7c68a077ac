//! The report as one HTML page that needs nothing else: no script, no outside request, plots drawn here as SVG.
//! Must not know: how anything was measured.

use std::fmt::Write as _;

use crate::run::report::Report;
use crate::run::summary::{Classes, Spread};

pub(crate) mod plot;

use plot::{Line, Plot};

/// How such pages look.
pub(crate) const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b1f24}\
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #ddd}\
td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto;margin:.5rem 0 1.5rem}\
.good{color:#1a7f37}.bad{color:#cf222e;font-weight:600}.verdict{font-size:1.2rem}";

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let mut html = String::new();
    // Writing into a string does not fail.
    let _ = write_page(&mut html, report);
    html
}

/// Text that may stand between tags and in attributes.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn write_page(html: &mut String, report: &Report) -> std::fmt::Result {
    let name = escaped(&report.name);
    write!(
        html,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title><style>{STYLE}</style>\
         </head><body><h1>{name}</h1><p>{}</p>",
        escaped(&report.scenario.about)
    )?;
    write_verdict(html, report)?;
    let measured = &report.measured;
    write!(
        html,
        "<p>{} arrivals offered ({:.0}/s), {} sent, {:.0}/s settled, {:.0}/s served, {} repeats. Seed {}.</p>",
        measured.arrivals,
        measured.offered_per_second,
        measured.sent,
        measured.settled_per_second,
        measured.served_per_second,
        measured.repeats,
        report.seed
    )?;
    write_plots(html, report)?;
    html.push_str("<h2>Latency from the intended time</h2>");
    open_table(html);
    for (operation, classes) in &measured.operations {
        write_classes(html, operation, classes)?;
    }
    for (load, classes) in &measured.loads {
        write_classes(html, &format!("load {load}"), classes)?;
    }
    html.push_str("</table><h2>Generator</h2>");
    open_table(html);
    write_spread(html, "own lag", &report.generator.lag)?;
    write_spread(html, "wait for a connection", &report.generator.connection_wait)?;
    if let Some(beside) = &report.beside {
        write_spread(html, "age of a stream's event when read", &beside.streams.event_age)?;
    }
    write!(
        html,
        "</table><p>{:.2} s of processor time, {:.2} of one core; {} connections reopened.</p>",
        report.generator.cpu_seconds, report.generator.cpu_share_of_one_core, report.generator.reopened_connections
    )?;
    write_outcomes(html, report)?;
    write_comparison(html, report)?;
    html.push_str("</body></html>\n");
    Ok(())
}

fn write_verdict(html: &mut String, report: &Report) -> std::fmt::Result {
    let clean = report.audit.findings.is_empty();
    let (class, words) = match (clean, report.valid, report.thresholds_kept()) {
        (false, _, _) => ("bad", "The audit has findings."),
        (true, false, _) => ("bad", "Invalid: the generator fell behind, the numbers say nothing of the server."),
        (true, true, false) => ("bad", "A threshold is broken."),
        (true, true, true) => ("good", "Clean."),
    };
    write!(html, "<p class=\"verdict {class}\">{words}</p><ul>")?;
    for reason in &report.invalid_because {
        write!(html, "<li class=\"bad\">{}</li>", escaped(reason))?;
    }
    for finding in &report.audit.findings {
        write!(html, "<li class=\"bad\">{}: {}</li>", finding.kind, escaped(&finding.detail))?;
    }
    for judged in &report.thresholds {
        let class = if judged.passed { "good" } else { "bad" };
        let value = judged.value.map_or_else(|| "not in the report".to_owned(), |value| format!("{value:.2}"));
        write!(
            html,
            "<li class=\"{class}\">{}: {value}, bound {}{}</li>",
            escaped(&judged.metric),
            judged.bound,
            judged.aim()
        )?;
    }
    html.push_str("</ul>");
    Ok(())
}

fn write_plots(html: &mut String, report: &Report) -> std::fmt::Result {
    let series = &report.measured.series;
    let seconds = |index: usize| index as f64 * series.width_ms as f64 / 1e3;
    let per_second = 1e3 / series.width_ms.max(1) as f64;
    let rate = |counts: &[u64]| -> Vec<(f64, f64)> {
        counts.iter().enumerate().map(|(index, count)| (seconds(index), *count as f64 * per_second)).collect()
    };
    let over_time = |values: &[f64]| -> Vec<(f64, f64)> {
        values.iter().enumerate().map(|(index, value)| (seconds(index), *value)).filter(|(_, ms)| *ms > 0.0).collect()
    };
    let mut served = vec![0; series.offered.len()];
    for class in ["served", "refused"] {
        for (sum, count) in served.iter_mut().zip(series.settled.get(class).into_iter().flatten()) {
            *sum += count;
        }
    }
    let plots = [
        Plot {
            title: "Offered against settled",
            x: "seconds",
            y: "a second",
            logarithmic: false,
            lines: vec![Line::new("offered", rate(&series.offered)), Line::new("settled", rate(&served))],
        },
        Plot {
            title: "Latency over time, by the time of the answer",
            x: "seconds",
            y: "ms",
            logarithmic: true,
            lines: vec![
                Line::new("p50", over_time(&series.p50_ms)),
                Line::new("p99", over_time(&series.p99_ms)),
                Line::new("max", over_time(&series.max_ms)),
            ],
        },
        Plot {
            title: "Outcomes over time",
            x: "seconds",
            y: "a second",
            logarithmic: false,
            lines: series.settled.iter().map(|(class, counts)| Line::new(class, rate(counts))).collect(),
        },
        Plot {
            title: "Latency by percentile",
            x: "nines of the percentile (1: 90 %, 2: 99 %, …)",
            y: "ms",
            logarithmic: true,
            lines: curves(report),
        },
    ];
    for plot in &plots {
        plot.write(html)?;
    }
    Ok(())
}

/// One line for each operation and class, over the number of nines.
fn curves(report: &Report) -> Vec<Line> {
    let mut lines = Vec::new();
    for (operation, classes) in &report.measured.operations {
        for (class, spread) in classes {
            let inner = spread.curve.iter().filter(|(percentile, ms)| *percentile < 100.0 && *ms > 0.0);
            let points = inner.map(|(percentile, ms)| (-(1.0 - percentile / 100.0).log10(), *ms)).collect();
            lines.push(Line::new(&format!("{operation} {class}"), points));
        }
    }
    lines
}

fn open_table(html: &mut String) {
    html.push_str(
        "<table><tr><th></th><th>count</th><th>p50 ms</th><th>p90 ms</th><th>p99 ms</th><th>p99.9 ms</th>\
         <th>max ms</th></tr>",
    );
}

fn write_classes(html: &mut String, name: &str, classes: &Classes) -> std::fmt::Result {
    classes.iter().try_for_each(|(class, spread)| write_spread(html, &format!("{name}, {class}"), spread))
}

fn write_spread(html: &mut String, name: &str, spread: &Spread) -> std::fmt::Result {
    write!(html, "<tr><td>{}</td><td>{}</td>", escaped(name), spread.count)?;
    for value in [spread.p50_ms, spread.p90_ms, spread.p99_ms, spread.p99_9_ms, spread.max_ms] {
        write!(html, "<td>{value:.2}</td>")?;
    }
    html.push_str("</tr>");
    Ok(())
}

fn write_outcomes(html: &mut String, report: &Report) -> std::fmt::Result {
    html.push_str("<h2>Outcomes</h2><table>");
    for (outcome, count) in &report.measured.outcomes {
        write!(html, "<tr><td>{}</td><td>{count}</td></tr>", escaped(outcome))?;
    }
    let (audit, fairness) = (&report.audit, &report.fairness);
    write!(
        html,
        "</table><p>Audit: {} appointments acknowledged, {} keep a place, {} refusals checked, {} outcomes unknown, \
         {} findings. Fairness: {} winners, {} losers, {} inversions, {} winners out of order, last winning rank {}.</p>",
        audit.acknowledged,
        audit.keeping_place,
        audit.refusals_checked,
        audit.unknown,
        audit.findings.len(),
        fairness.winners,
        fairness.losers,
        fairness.inversions,
        fairness.winners_out_of_order,
        fairness.last_winning_rank
    )
}

fn write_comparison(html: &mut String, report: &Report) -> std::fmt::Result {
    if report.comparison.is_empty() {
        return Ok(());
    }
    html.push_str("<h2>Compared</h2><table><tr><th></th><th>now</th><th>earlier</th><th>ratio</th></tr>");
    for compared in &report.comparison {
        let ratio = compared.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        let (metric, now, earlier) = (escaped(&compared.metric), compared.now, compared.earlier);
        write!(html, "<tr><td>{metric}</td><td>{now:.2}</td><td>{earlier:.2}</td><td>{ratio}</td></tr>")?;
    }
    html.push_str("</table>");
    Ok(())
}
