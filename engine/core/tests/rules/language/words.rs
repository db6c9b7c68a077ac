//! How the words of a scenario line are read: options, instants, days that are offered.
//! Must not know: what a line leads to.

use std::collections::HashMap;
use std::sync::Arc;

use booking_core::{DayDefinition, PersonalText, UtcMillis};

use crate::driver::definition;

/// A line's words after its verb, with the options taken out.
pub(super) struct Words<'line> {
    pub(super) plain: Vec<&'line str>,
    options: HashMap<&'line str, &'line str>,
}

const OPTIONS: [&str; 11] = ["key", "body", "by", "as", "named", "because", "for", "if-match", "busy", "from", "to"];

impl<'line> Words<'line> {
    pub(super) fn of(text: &'line str) -> Self {
        let mut words = Self { plain: Vec::new(), options: HashMap::new() };
        let mut rest = text.split_whitespace();
        while let Some(word) = rest.next() {
            match OPTIONS.contains(&word).then(|| rest.next()).flatten() {
                Some(value) => {
                    words.options.insert(word, value);
                }
                None => words.plain.push(word),
            }
        }
        words
    }

    pub(super) fn option(&self, name: &str) -> Option<&'line str> {
        self.options.get(name).copied()
    }

    pub(super) fn audiences(&self) -> Arc<[Box<str>]> {
        self.option("as").into_iter().flat_map(|list| list.split(',')).map(Box::from).collect()
    }

    pub(super) fn reason(&self) -> Option<PersonalText> {
        self.option("because").map(PersonalText::plain)
    }
}

/// `10:00-10:30*2 10:30-11:00 | 07:00/5@gold 08:00`
pub(super) fn offer(words: &[&str]) -> Option<DayDefinition> {
    let mut parts = words.split(|word| *word == "|");
    let seconds = |text: &str| instant(text).0 / 1000;
    let slot = |word: &&str| {
        let (interval, capacity) = word.split_once('*').unwrap_or((word, "1"));
        let (start, end) = interval.split_once('-')?;
        Some((seconds(start), seconds(end), capacity.parse().ok()?))
    };
    let release = |word: &&'_ str| {
        let (rest, audience) = word.split_once('@').map_or((*word, None), |(rest, name)| (rest, Some(name.to_owned())));
        let (at, places) = rest.split_once('/').map_or((rest, None), |(at, places)| (at, Some(places)));
        Some((seconds(at), places.map(str::parse::<u32>).transpose().ok()?, audience))
    };
    let slots: Vec<_> = parts.next()?.iter().map(slot).collect::<Option<_>>()?;
    let releases: Vec<_> = parts.next()?.iter().map(release).collect::<Option<_>>()?;
    let releases: Vec<_> = releases.iter().map(|(at, places, audience)| (*at, *places, audience.as_deref())).collect();
    definition(&slots, &releases).ok()
}

pub(super) fn start(word: &str) -> Option<UtcMillis> {
    (word != "any").then(|| instant(word))
}

/// `HH:MM[:SS[.mmm]]`; hours over 23 are the next day.
pub(super) fn instant(text: &str) -> UtcMillis {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let units = whole.split(':').map(|unit| unit.parse::<i64>().unwrap_or_else(|_| panic!("no instant: {text}")));
    let seconds = units.zip([3600, 60, 1]).map(|(unit, weight)| unit * weight).sum::<i64>();
    UtcMillis(seconds * 1000 + fraction.parse::<i64>().unwrap_or_else(|_| panic!("no instant: {text}")))
}

pub(super) fn clock(at: UtcMillis) -> String {
    let (seconds, millis) = (at.0 / 1000, at.0 % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (seconds % 60, millis) {
        (0, 0) => format!("{hours:02}:{minutes:02}"),
        (seconds, 0) => format!("{hours:02}:{minutes:02}:{seconds:02}"),
        (seconds, millis) => format!("{hours:02}:{minutes:02}:{seconds:02}.{millis:03}"),
    }
}
