//! One plot of lines as SVG text.
//! Must not know: what the lines mean.

use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 45.0;
const COLOURS: [&str; 10] =
    ["#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#bf3989", "#57606a", "#0a3069", "#bc4c00", "#116329"];
/// Marks along each axis.
const MARKS: u32 = 5;

/// A named line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

impl Line {
    /// Through these points, in order.
    pub(crate) fn new(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), points }
    }
}

/// Lines over two axes.
#[derive(Clone, Debug)]
pub(crate) struct Plot<'a> {
    /// Above it.
    pub(crate) title: &'a str,
    /// What goes to the right, with its unit.
    pub(crate) x: &'a str,
    /// What goes up, with its unit.
    pub(crate) y: &'a str,
    /// Whether going up is by powers of ten; then every value is above 0.
    pub(crate) logarithmic: bool,
    /// What is drawn.
    pub(crate) lines: Vec<Line>,
}

impl Plot<'_> {
    /// Appends it; nothing but the title where there is no point.
    pub(crate) fn write(&self, html: &mut String) -> std::fmt::Result {
        write!(html, "<h2>{}</h2>", super::escaped(self.title))?;
        let points = || self.lines.iter().flat_map(|line| &line.points);
        if points().next().is_none() {
            html.push_str("<p>Nothing to show.</p>");
            return Ok(());
        }
        let height = |value: f64| if self.logarithmic { value.log10() } else { value };
        let right = points().map(|(x, _)| *x).fold(0.0, f64::max).max(1e-9);
        let low = if self.logarithmic { points().map(|(_, y)| height(*y)).fold(f64::MAX, f64::min) } else { 0.0 };
        let high = points().map(|(_, y)| height(*y)).fold(low, f64::max).max(low + 1e-9);
        let at_x = |x: f64| LEFT + x / right * (WIDTH - LEFT - RIGHT);
        let at_y = |scaled: f64| HEIGHT - BOTTOM - (scaled - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
        write!(
            html,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" font-size=\"12\" fill=\"#57606a\">\
             <text x=\"{LEFT}\" y=\"16\">{}</text><text x=\"{LEFT}\" y=\"{}\">{}</text>",
            super::escaped(self.y),
            HEIGHT - 8.0,
            super::escaped(self.x)
        )?;
        for mark in 0..=MARKS {
            let share = f64::from(mark) / f64::from(MARKS);
            let scaled = low + share * (high - low);
            let value = if self.logarithmic { 10_f64.powf(scaled) } else { scaled };
            let (x, y) = (at_x(share * right), at_y(scaled));
            write!(
                html,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
                 <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0,
                short(value),
                HEIGHT - 26.0,
                short(share * right)
            )?;
        }
        for (number, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            write!(html, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"")?;
            for (x, y) in &line.points {
                write!(html, "{:.1},{:.1} ", at_x(*x), at_y(height(*y)))?;
            }
            let name = super::escaped(&line.name);
            let (x, y) = (WIDTH - RIGHT + 12.0, TOP + 16.0 * number as f64);
            write!(html, "\"/><text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{name}</text>")?;
        }
        html.push_str("</svg>");
        Ok(())
    }
}

/// A number with about three digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_stays_inside_its_frame() {
        let lines = vec![Line::new("a<b", vec![(0.0, 0.5), (5.0, 900.0), (10.0, 30.0)]), Line::new("empty", vec![])];
        for logarithmic in [false, true] {
            let mut html = String::new();
            Plot { title: "t", x: "s", y: "ms", logarithmic, lines: lines.clone() }.write(&mut html).unwrap();
            assert!(html.contains("a&lt;b") && !html.contains("NaN") && !html.contains("inf"), "{html}");
            let points = html.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
            for point in points.split_whitespace() {
                let (x, y) = point.split_once(',').unwrap();
                assert!((LEFT..=WIDTH - RIGHT).contains(&x.parse().unwrap()), "{point}");
                assert!((TOP..=HEIGHT - BOTTOM).contains(&y.parse().unwrap()), "{point}");
            }
        }
    }

    #[test]
    fn a_plot_of_nothing_says_so() {
        let mut html = String::new();
        Plot { title: "t", x: "s", y: "ms", logarithmic: true, lines: vec![] }.write(&mut html).unwrap();
        assert!(html.contains("Nothing to show"));
    }
}
