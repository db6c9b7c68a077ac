//! Numbers as a person reads them at a glance: at most four digits, with a unit.
//! Must not know: what they measure.

/// A rate or a count: `0.4`, `12`, `3.4k`, `1.2M`.
pub(super) fn count(value: f64) -> String {
    match value {
        value if value >= 9_999_500.0 => format!("{:.0}M", value / 1e6),
        value if value >= 999_500.0 => format!("{:.1}M", value / 1e6),
        value if value >= 9_999.5 => format!("{:.0}k", value / 1e3),
        value if value >= 9.95 || value.fract() == 0.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

/// A latency: `12 µs`, `3.4 ms`, `1.2 s`; `–` if there is none.
pub(super) fn latency(seconds: Option<f64>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds) if seconds >= 1.0 => format!("{seconds:.1} s"),
        Some(seconds) if seconds >= 0.009_95 => format!("{:.0} ms", seconds * 1e3),
        Some(seconds) if seconds >= 0.000_999_5 => format!("{:.1} ms", seconds * 1e3),
        Some(seconds) => format!("{:.0} µs", seconds * 1e6),
    }
}

/// A span of time: `42 s`, `7m05s`, `3h12m`, `4d03h`.
pub(super) fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// Bytes: `512 B`, `3.4 MiB`, `12 GiB`.
pub(super) fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (value, 0);
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1_024.0, unit + 1);
    }
    if value >= 9.95 || unit == 0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let counts = [0.0, 0.44, 7.0, 9.96, 123.4, 9_999.0, 12_345.0, 1_234_567.0, 45_000_000.0];
        assert_eq!(counts.map(count), ["0", "0.4", "7", "10", "123", "9999", "12k", "1.2M", "45M"]);
        let latencies = [None, Some(0.000_012), Some(0.003_44), Some(0.0123), Some(1.25)];
        assert_eq!(latencies.map(latency), ["–", "12 µs", "3.4 ms", "12 ms", "1.2 s"]);
        assert_eq!([42.0, 425.0, 11_520.0, 356_400.0, -1.0].map(span), ["42 s", "7m05s", "3h12m", "4d03h", "0 s"]);
        let sizes = [0.0, 512.0, 3_565_158.0, 13e9];
        assert_eq!(sizes.map(bytes), ["0 B", "512 B", "3.4 MiB", "12 GiB"]);
    }
}
