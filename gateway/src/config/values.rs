//! Reading settings as values: every mistake is kept, a default takes its place, and all are told at the end.
//! Must not know: which settings there are.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use ::messages::Secret;
use engine::config::ServerUrl;
use tracing_subscriber::EnvFilter;

use super::sources::{Found, Sources};
use super::{Mistakes, messages};
use crate::auth::key::{KEY_BYTES, SigningKey};

/// Most requests a second or at once that a limit can name.
const RATE_MAX: u64 = 1_000_000_000;

/// Reads settings one after another.
pub(crate) struct Reader<'s> {
    sources: &'s Sources,
    mistakes: Vec<String>,
}

impl<'s> Reader<'s> {
    /// Of these sources.
    pub(crate) fn new(sources: &'s Sources) -> Self {
        Self { sources, mistakes: sources.mistakes().to_vec() }
    }

    /// A mistake about `key`, wherever its value came from.
    pub(crate) fn mistake(&mut self, key: &str, message: &str) {
        match self.sources.get(key) {
            Some(found) => self.mistakes.push(format!("{key}: {message} ({})", found.origin)),
            None => self.mistakes.push(format!("{key}: {message}")),
        }
    }

    /// Whatever `parse` makes of the text.
    pub(super) fn parsed<T>(&mut self, key: &str, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let Found { text, origin } = self.sources.get(key)?;
        let value = parse(text.trim());
        if value.is_none() {
            let told = if is_secret(key) { "the value" } else { text };
            self.mistakes.push(format!("{key}: {told:?} is not {expected} ({origin})"));
        }
        value
    }

    /// A text that is not empty.
    pub(crate) fn optional_text(&mut self, key: &str) -> Option<String> {
        self.parsed(key, "a text that is not empty", |text| (!text.is_empty()).then(|| text.to_owned()))
    }

    /// A text that is not empty.
    pub(crate) fn text(&mut self, key: &str, default: &str) -> String {
        self.optional_text(key).unwrap_or_else(|| default.to_owned())
    }

    /// A whole number within `range`.
    pub(crate) fn number(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.parsed(key, &expected, |text| text.parse().ok().filter(|number| range.contains(number))).unwrap_or(default)
    }

    /// A number from 0 to 1.
    pub(crate) fn ratio(&mut self, key: &str, default: f64) -> f64 {
        let parse = |text: &str| text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        self.parsed(key, "a number from 0 to 1", parse).unwrap_or(default)
    }

    /// A whole number above 0.
    pub(crate) fn positive(&mut self, key: &str, default: u32) -> NonZeroU32 {
        let number = self.number(key, u64::from(default), 1..=RATE_MAX);
        u32::try_from(number).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
    }

    /// `true` or `false`; off if not given.
    pub(crate) fn switch(&mut self, key: &str) -> bool {
        let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        };
        self.parsed(key, "true or false", parse).unwrap_or(false)
    }

    /// One of `choices`; the first if not given.
    pub(crate) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> T {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let parse = |text: &str| choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        self.parsed(key, &names.join(" or "), parse).unwrap_or(choices[0].1)
    }

    /// An address with a port; `localhost` is 127.0.0.1.
    pub(crate) fn address(&mut self, key: &str) -> Option<SocketAddr> {
        self.parsed(key, "an address with a port such as 127.0.0.1:8080", |text| {
            match text.strip_prefix("localhost:") {
                Some(port) => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?))),
                None => text.parse().ok(),
            }
        })
    }

    /// Whether `key` has a value, right or wrong.
    pub(crate) fn is_given(&self, key: &str) -> bool {
        self.sources.get(key).is_some()
    }

    /// A host, which may be a name, with a port.
    pub(crate) fn host_and_port(&mut self, key: &str) -> Option<String> {
        self.parsed(key, "a host with a port such as node-1.internal:7070", |text| {
            let (host, port) = text.rsplit_once(':')?;
            let bracketed = host.starts_with('[') && host.ends_with(']');
            let plain =
                !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
            let port: u16 = port.parse().ok()?;
            ((plain || (bracketed && text.parse::<SocketAddr>().is_ok())) && port != 0).then(|| text.to_owned())
        })
    }

    /// The URL of a server.
    pub(crate) fn server_url(&mut self, key: &str, schemes: &[&str]) -> Option<ServerUrl> {
        let expected = format!("a URL that begins with {}://", schemes.join(":// or "));
        self.parsed(key, &expected, |text| url(text, schemes))
    }

    /// URLs of servers, with commas between them; at least one.
    pub(crate) fn server_urls(&mut self, key: &str, schemes: &[&str], most: usize) -> Option<Vec<ServerUrl>> {
        let begin = schemes.join(":// or ");
        let expected = format!("a URL that begins with {begin}://, or up to {most} of them with commas between");
        self.parsed(key, &expected, |text| {
            let urls: Option<Vec<_>> = text.split(',').map(|text| url(text.trim(), schemes)).collect();
            urls.filter(|urls| urls.len() <= most)
        })
    }

    /// A key in hexadecimal digits.
    pub(crate) fn key(&mut self, key: &str) -> Option<SigningKey> {
        self.parsed(key, "64 hexadecimal digits", |text| {
            let mut bytes = [0; KEY_BYTES];
            if text.len() != 2 * KEY_BYTES || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            for (position, byte) in bytes.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&text[2 * position..2 * position + 2], 16).ok()?;
            }
            Some(SigningKey::from_bytes(bytes))
        })
    }

    /// A text that is nobody else's business.
    pub(crate) fn secret(&mut self, key: &str) -> Option<Secret> {
        self.optional_text(key).map(|text| messages::secret(&text))
    }

    /// Durations with commas between them, such as `24h,2h`, each once and at most `seconds_max`; `none`: no duration at all.
    pub(crate) fn durations(&mut self, key: &str, most: usize, seconds_max: i64) -> Option<Vec<u32>> {
        let expected = format!("durations such as 24h,2h, at most {most} and none of them twice, or none");
        self.parsed(key, &expected, |text| {
            if text == "none" {
                return Some(Vec::new());
            }
            let within = |text: &str| parse_duration_seconds(text.trim()).filter(|seconds| *seconds <= seconds_max);
            let seconds: Option<Vec<i64>> = text.split(',').map(within).collect();
            let seconds: Option<Vec<u32>> = seconds?.into_iter().map(|seconds| u32::try_from(seconds).ok()).collect();
            seconds.filter(|seconds| seconds.len() <= most && !has_twice(seconds))
        })
    }

    /// Waits with commas between them, such as `500ms,2s`, in milliseconds: from one to `most`, each within `millis` and none shorter than the
    /// one before it.
    pub(crate) fn waits(&mut self, key: &str, most: usize, millis: RangeInclusive<u64>) -> Option<Vec<u64>> {
        let expected = format!(
            "1 to {most} waits such as 2s,4s,8s, each from {}ms to {}s and none shorter than the one before it",
            millis.start(),
            millis.end() / 1_000
        );
        self.parsed(key, &expected, |text| {
            let within = |text: &str| parse_wait_millis(text.trim()).filter(|wait| millis.contains(wait));
            let waits: Option<Vec<u64>> = text.split(',').map(within).collect();
            waits.filter(|waits| waits.len() <= most && waits.is_sorted())
        })
    }

    /// Words of a list with commas between them, each once.
    pub(crate) fn words<T: Copy + PartialEq>(
        &mut self,
        key: &str,
        all: &[T],
        word: impl Fn(T) -> &'static str,
    ) -> Option<Vec<T>> {
        let names: Vec<&str> = all.iter().map(|each| word(*each)).collect();
        let expected = format!("some of {}, with commas between and none twice", names.join(", "));
        self.parsed(key, &expected, |text| {
            let find = |text: &str| all.iter().copied().find(|each| word(*each) == text.trim());
            let found: Option<Vec<T>> = text.split(',').map(find).collect();
            found.filter(|found| !has_twice(found))
        })
    }

    /// A log filter.
    pub(crate) fn filter(&mut self, key: &str, default: &str) -> String {
        let parse = |text: &str| EnvFilter::try_new(text).ok().map(|_| text.to_owned());
        self.parsed(key, "a log filter such as info,engine=debug", parse).unwrap_or_else(|| default.to_owned())
    }

    /// `Ok` if nothing was wrong.
    pub(crate) fn finish(self) -> Result<(), Mistakes> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(Mistakes(self.mistakes)) }
    }
}

/// Whether the value of `key` is never repeated to anybody: a key, a password or a token is a secret even when it is wrong, and a URL may hold one.
fn is_secret(key: &str) -> bool {
    ["_key", "_url", "_endpoint", "_password", "_token", "_secret"].iter().any(|end| key.ends_with(end))
}

fn has_twice<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().any(|(at, item)| items[..at].contains(item))
}

fn url(text: &str, schemes: &[&str]) -> Option<ServerUrl> {
    let (scheme, rest) = text.split_once("://")?;
    let fits = schemes.contains(&scheme) && !rest.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| ServerUrl::new(text))
}

/// Milliseconds of a duration such as `500ms`, or as of [`parse_duration_seconds`].
fn parse_wait_millis(text: &str) -> Option<u64> {
    match text.strip_suffix("ms") {
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok(),
        Some(_) => None,
        None => u64::try_from(parse_duration_seconds(text)?).ok()?.checked_mul(1_000),
    }
}

/// Seconds of a duration such as `90`, `90s`, `15m`, `1h` or `7d`; `None` for anything else, for 0, and over a hundred years.
pub(crate) fn parse_duration_seconds(text: &str) -> Option<i64> {
    let (digits, unit_seconds) = match text.char_indices().last()? {
        (end, 's') => (&text[..end], 1),
        (end, 'm') => (&text[..end], 60),
        (end, 'h') => (&text[..end], 3_600),
        (end, 'd') => (&text[..end], 86_400),
        _ => (text, 1),
    };
    let hundred_years = 100 * 366 * 86_400;
    let digits_only = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.parse::<i64>().ok().filter(|_| digits_only)?.checked_mul(unit_seconds)?;
    (1..=hundred_years).contains(&seconds).then_some(seconds)
}
