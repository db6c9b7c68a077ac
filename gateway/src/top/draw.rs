//! One frame of the operator's view. From 80 columns and 24 lines on everything is shown; what does not fit is cut.
//! Must not know: how figures are got, terminals.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table};

use super::picture::{HotDay, Picture};
use super::words::{bytes, count, latency, span};

/// From so full on a queue is shown as a warning.
const FULL_SHARE: f64 = 0.8;
/// A ledger that is so far behind is one: ten seconds of a burst are on purpose.
const LEDGER_LATE_SECONDS: f64 = 30.0;
/// A group commit takes milliseconds.
const JOURNAL_LATE_SECONDS: f64 = 1.0;
/// Letters of the bar of a queue.
const BAR: usize = 10;

/// What is shown beside the picture.
pub(super) struct Surroundings<'a> {
    pub(super) url: &'a str,
    /// Wins of the last looks, a second, oldest first.
    pub(super) history: &'a [u64],
    /// Why the picture is old, if it is.
    pub(super) trouble: Option<&'a str>,
}

/// Draws `picture`.
pub(super) fn draw(frame: &mut Frame<'_>, picture: &Picture, around: &Surroundings<'_>) {
    let [title, release, notice, middle, hot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(12),
        Constraint::Min(3),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(title_line(picture, around.url)), title);
    frame.render_widget(Paragraph::new(release_line(picture)), release);
    frame.render_widget(Paragraph::new(notice_line(picture, around.trouble)), notice);
    let [traffic, times, queues] =
        Layout::horizontal([Constraint::Length(22), Constraint::Length(28), Constraint::Min(30)]).areas(middle);
    draw_traffic(frame, traffic, picture, around.history);
    draw_latencies(frame, times, picture);
    draw_queues(frame, queues, picture);
    draw_hottest(frame, hot, picture);
}

fn title_line(picture: &Picture, url: &str) -> Line<'static> {
    let state = if picture.is_ready { " ready ".black().on_green() } else { " not ready ".white().on_red() };
    Line::from(vec![
        "hotslot top ".bold(),
        format!("{url}  {}  ", picture.version).into(),
        state,
        format!(
            "  up {}  {:.2} cpu  {}  {} req/s",
            span(picture.uptime_seconds),
            picture.processors,
            bytes(picture.resident_bytes),
            count(picture.requests)
        )
        .into(),
    ])
}

fn release_line(picture: &Picture) -> Line<'static> {
    let next = match picture.next_release_seconds {
        Some(seconds) if seconds > 0.0 => format!("in {}", span(seconds)),
        Some(_) => "now".to_owned(),
        None => "none known".to_owned(),
    };
    let [withheld, free, held, booked] = picture.release;
    let capacity = withheld + free + held + booked;
    let sold = if picture.release_days > 0.0 {
        format!(
            "   {} day(s) around it: sold {}/{}, held {}, free {}, withheld {}",
            count(picture.release_days),
            count(booked),
            count(capacity),
            count(held),
            count(free),
            count(withheld)
        )
    } else {
        String::new()
    };
    Line::from(vec!["next release ".dim(), next.bold(), sold.into()])
}

fn notice_line(picture: &Picture, trouble: Option<&str>) -> Line<'static> {
    if let Some(trouble) = trouble {
        return Line::from(format!("old figures: {trouble}").white().on_red());
    }
    if picture.alarms.is_empty() {
        return Line::from("q: quit".dim());
    }
    Line::from(format!("since the start: {}", picture.alarms.join(", ")).red().bold())
}

fn draw_traffic(frame: &mut Frame<'_>, area: Rect, picture: &Picture, history: &[u64]) {
    let block = Block::bordered().title(" bookings a second ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [list, line] = Layout::vertical([Constraint::Min(1), Constraint::Length(1)]).areas(inner);
    let rows = picture.bookings.iter().map(|one| {
        let style = match one.name.as_str() {
            "won" => Style::new().green().bold(),
            "overloaded" | "unavailable" if one.value > 0.0 => Style::new().red(),
            _ => Style::new(),
        };
        Row::new([Cell::from(one.name.clone()), right(count(one.value))]).style(style)
    });
    frame.render_widget(Table::new(rows, [Constraint::Min(14), Constraint::Length(6)]).column_spacing(0), list);
    let newest = &history[history.len().saturating_sub(usize::from(line.width))..];
    frame.render_widget(Sparkline::default().data(newest).style(Style::new().fg(Color::Green)), line);
}

fn draw_latencies(frame: &mut Frame<'_>, area: Rect, picture: &Picture) {
    let rows = picture
        .latencies
        .iter()
        .map(|one| Row::new([Cell::from(one.name), right(latency(one.median)), right(latency(one.p99))]));
    let head = Row::new([Cell::from(""), right("p50".to_owned()), right("p99".to_owned())]).dim();
    let widths = [Constraint::Min(12), Constraint::Length(7), Constraint::Length(7)];
    let block = Block::bordered().title(" latency ");
    frame.render_widget(Table::new(rows, widths).header(head).column_spacing(0).block(block), area);
}

fn draw_queues(frame: &mut Frame<'_>, area: Rect, picture: &Picture) {
    let block = Block::bordered().title(" queues, of their bounds ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let mut lines: Vec<Line<'static>> = Vec::new();
    for queue in &picture.queues {
        let share = (queue.depth / queue.bound).clamp(0.0, 1.0);
        let full = (share * BAR as f64).ceil() as usize;
        let style = if share >= FULL_SHARE { Style::new().red().bold() } else { Style::new().cyan() };
        lines.push(Line::from(vec![
            Span::from(format!("{:<10.10}", queue.name)),
            Span::styled("█".repeat(full), style),
            Span::from("·".repeat(BAR - full)).dim(),
            Span::from(format!(" {}/{}", count(queue.depth), count(queue.bound))),
        ]));
    }
    let lag = |name: &str, (records, seconds): (f64, f64), late: f64| {
        let line = Line::from(format!("{name} lag {} records, {}", count(records), latency(Some(seconds))));
        if seconds > late { line.red().bold() } else { line }
    };
    lines.push(lag("journal", picture.journal_lag, JOURNAL_LATE_SECONDS));
    lines.push(lag("ledger", picture.ledger_lag, LEDGER_LATE_SECONDS));
    let (open, owned) = picture.shards;
    let shards = if owned > 0.0 { format!(", shards {open}/{owned}") } else { String::new() };
    lines.push(Line::from(format!(
        "days awake {}, asleep {}{shards}",
        count(picture.days_awake),
        count(picture.days_asleep)
    )));
    let (free, size) = picture.disk_free;
    lines.push(Line::from(format!("disk free {} of {}", bytes(free), bytes(size))));
    frame.render_widget(Paragraph::new(lines), inner);
}

fn draw_hottest(frame: &mut Frame<'_>, area: Rect, picture: &Picture) {
    let block = Block::bordered().title(" hottest days, a second ");
    let days = match &picture.hottest {
        Ok(days) => days,
        Err(reason) => {
            return frame.render_widget(Paragraph::new(format!("not shown: {reason}")).dim().block(block), area);
        }
    };
    let head = ["doctor", "date", "state", "commands", "reads", "records", "queued", "taken"];
    let cells =
        head.into_iter().enumerate().map(|(at, name)| if at < 3 { Cell::from(name) } else { right(name.into()) });
    let widths = [
        Constraint::Min(13),
        Constraint::Length(10),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(9),
    ];
    let table = Table::new(days.iter().map(hot_row), widths).header(Row::new(cells).dim()).block(block);
    frame.render_widget(table, area);
}

fn hot_row(day: &HotDay) -> Row<'static> {
    let style = if day.state == "sold_out" { Style::new().dim() } else { Style::new() };
    Row::new([
        Cell::from(day.doctor.clone()),
        Cell::from(day.date.clone()),
        Cell::from(day.state.clone()),
        right(count(day.commands)),
        right(count(day.reads)),
        right(count(day.records)),
        right(count(day.queued)),
        right(format!("{}/{}", count(day.taken), count(day.capacity))),
    ])
    .style(style)
}

fn right(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).right_aligned())
}

#[cfg(test)]
mod tests {
    use super::super::frame_text;
    use super::super::picture::tests::picture;
    use super::*;

    fn shown(picture: &Picture, trouble: Option<&str>) -> String {
        let around = Surroundings { url: "http://127.0.0.1:1", history: &[1, 2, 3], trouble };
        frame_text(80, 24, |frame| draw(frame, picture, &around)).expect("drawn")
    }

    #[test]
    fn everything_that_matters_fits_on_a_plain_terminal() {
        let text = shown(&picture(), None);
        for part in [
            "1.2.3 abcdef",
            "ready",
            "next release in 1m05s",
            "sold 12/12",
            "won               10",
            "group commit",
            "day       █████·····",
            "ledger lag 7 records, 250 ms",
            "since the start: 2 panics",
            "0190a3c4-7b1e",
            "12/20",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn what_is_old_or_not_known_is_said_to_be() {
        let unknown = Picture { hottest: Err("no token".to_owned()), ..picture() };
        let text = shown(&unknown, Some("it is away"));
        assert!(text.contains("old figures: it is away") && text.contains("not shown: no token"), "{text}");
    }

    #[test]
    fn a_tiny_terminal_is_no_reason_to_fall_over() {
        let (picture, around) = (picture(), Surroundings { url: "", history: &[], trouble: None });
        for (width, height) in [(1, 1), (10, 3), (30, 8), (300, 100)] {
            assert!(frame_text(width, height, |frame| draw(frame, &picture, &around)).is_ok(), "{width}x{height}");
        }
    }
}
