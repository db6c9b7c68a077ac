//! A metrics page, read: samples by name and labels, and what two of them a while apart say together.
//! Must not know: which metrics matter, where a page comes from.

use std::collections::HashMap;

/// One series.
#[derive(Clone, PartialEq, Debug)]
struct Sample {
    labels: Vec<(String, String)>,
    value: f64,
}

/// A page in the Prometheus text format.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Page {
    samples: HashMap<String, Vec<Sample>>,
}

impl Page {
    /// Reads `text`. Lines that are none of the format are passed over: they are of a program that we do not know.
    pub(super) fn parse(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, sample)) = parse_line(line) {
                page.samples.entry(name.to_owned()).or_default().push(sample);
            }
        }
        page
    }

    /// Whether it is a page of ours.
    pub(super) fn is_ours(&self) -> bool {
        self.samples.contains_key("hotslot_build_info")
    }

    /// The sum of the series of `name` that have all of `labels`; 0 if there is none.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.of(name, labels).map(|sample| sample.value).sum()
    }

    /// The value of the label `wanted` in the first series of `name`.
    pub(super) fn label(&self, name: &str, wanted: &str) -> Option<&str> {
        let (_, value) = self.of(name, &[]).next()?.labels.iter().find(|(label, _)| label == wanted)?;
        Some(value)
    }

    fn of<'page>(&'page self, name: &str, labels: &'page [(&str, &str)]) -> impl Iterator<Item = &'page Sample> {
        let has = |sample: &Sample, label: &str, value: &str| {
            sample.labels.iter().any(|(known, of)| known == label && of == value)
        };
        let samples = self.samples.get(name).into_iter().flatten();
        samples.filter(move |sample| labels.iter().all(|(label, value)| has(sample, label, value)))
    }

    /// Upper bounds and cumulative counts of the histogram `name`, over all series that have `labels`, lowest first.
    fn buckets(&self, name: &str, labels: &[(&str, &str)]) -> Vec<(f64, f64)> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in self.of(&format!("{name}_bucket"), labels) {
            let Some((_, bound)) = sample.labels.iter().find(|(label, _)| label == "le") else { continue };
            let Ok(bound) = bound.replace("+Inf", "inf").parse::<f64>() else { continue };
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += sample.value,
                None => buckets.push((bound, sample.value)),
            }
        }
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        buckets
    }
}

/// Two pages of one process, the second `seconds` after the first.
pub(super) struct Span<'page> {
    pub(super) before: &'page Page,
    pub(super) after: &'page Page,
    pub(super) seconds: f64,
}

impl Span<'_> {
    /// By how much the counter has risen a second. A counter that fell begins anew: the process was restarted.
    pub(super) fn rate(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (before, after) = (self.before.value(name, labels), self.after.value(name, labels));
        let risen = if after < before { after } else { after - before };
        if self.seconds > 0.0 { risen / self.seconds } else { 0.0 }
    }

    /// The `quantile` of what was observed in between, interpolated within its bucket; `None` if nothing was.
    pub(super) fn quantile(&self, name: &str, labels: &[(&str, &str)], quantile: f64) -> Option<f64> {
        let before = self.before.buckets(name, labels);
        let counts: Vec<(f64, f64)> = self
            .after
            .buckets(name, labels)
            .into_iter()
            .map(|(bound, count)| {
                let earlier = before.iter().find(|(known, _)| *known == bound).map_or(0.0, |(_, count)| *count);
                (bound, if count < earlier { count } else { count - earlier })
            })
            .collect();
        let all = counts.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
        let rank = quantile * all;
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in counts {
            if count >= rank {
                // Nothing is known of how far above the last bound it is.
                let share = if count > below { (rank - below) / (count - below) } else { 1.0 };
                return Some(if bound.is_infinite() { lower } else { lower + (bound - lower) * share });
            }
            (lower, below) = (bound, count);
        }
        Some(lower)
    }
}

fn parse_line(line: &str) -> Option<(&str, Sample)> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.replace("+Inf", "inf").parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some((series, Sample { labels: Vec::new(), value }));
    };
    Some((name, Sample { labels: parse_labels(labels.strip_suffix('}')?)?, value }))
}

/// `name="value",…`; a value may have commas, and quotes behind backslashes.
fn parse_labels(mut text: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"")?;
        let (mut value, mut end, mut letters) = (String::new(), None, rest.char_indices());
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    end = Some(at);
                    break;
                }
                '\\' => value.push(match letters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                other => value.push(other),
            }
        }
        labels.push((name.trim_start_matches(',').to_owned(), value));
        text = rest.get(end? + 1..)?;
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "# TYPE c counter\nc{a=\"x\",b=\"1\"} 10\nc{a=\"y\",b=\"1\"} 5\ng 2.5\nh_bucket{le=\"0.1\"} 1\n\
                         h_bucket{le=\"0.2\"} 1\nh_bucket{le=\"+Inf\"} 1\nnot a sample\nl{q=\"a\\\"b, c\"} 1\n";
    const SECOND: &str = "c{a=\"x\",b=\"1\"} 30\nc{a=\"y\",b=\"1\"} 1\nh_bucket{le=\"0.1\"} 51\n\
                          h_bucket{le=\"0.2\"} 101\nh_bucket{le=\"+Inf\"} 101\n";

    #[test]
    fn samples_are_found_by_name_and_labels() {
        let page = Page::parse(FIRST);
        assert_eq!(page.value("c", &[]), 15.0);
        assert_eq!(page.value("c", &[("a", "y"), ("b", "1")]), 5.0);
        assert_eq!(page.value("g", &[]), 2.5);
        assert_eq!((page.value("c", &[("a", "z")]), page.value("d", &[])), (0.0, 0.0));
        assert_eq!(page.label("l", "q"), Some("a\"b, c"));
        assert!(!page.is_ours());
    }

    #[test]
    fn rates_and_quantiles_are_of_what_came_in_between() {
        let (before, after) = (Page::parse(FIRST), Page::parse(SECOND));
        let span = Span { before: &before, after: &after, seconds: 10.0 };
        assert_eq!(span.rate("c", &[("a", "x")]), 2.0);
        assert_eq!(span.rate("c", &[("a", "y")]), 0.1, "it was restarted");
        assert_eq!(span.quantile("h", &[], 0.25), Some(0.05), "half of the lower fifty");
        let median = span.quantile("h", &[], 0.75).expect("observed");
        assert!((median - 0.15).abs() < 1e-9, "{median}");
        assert_eq!(span.quantile("absent", &[], 0.5), None);
        let same = Span { before: &after, after: &after, seconds: 1.0 };
        assert_eq!(same.quantile("h", &[], 0.5), None, "nothing came");
    }

    #[test]
    fn what_lies_above_the_last_bound_is_said_to_be_at_it() {
        let (before, after) = (Page::default(), Page::parse("h_bucket{le=\"1\"} 0\nh_bucket{le=\"+Inf\"} 4\n"));
        let span = Span { before: &before, after: &after, seconds: 1.0 };
        assert_eq!(span.quantile("h", &[], 0.5), Some(1.0));
    }
}
