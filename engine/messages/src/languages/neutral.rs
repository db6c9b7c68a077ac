//! Days and times for languages that are none of ours.
//! Must not know: words.

use super::{Calendar, colon};

/// As ISO 8601 writes them.
pub(super) static NEUTRAL: Calendar =
    Calendar { date: |date| date.to_string(), day: |date| date.to_string(), time: colon };
