//! When a hold that nobody touched lapsed, in the time of the run, and what became of it before. Pure.
//! Must not know: what else is taken, what is there afterwards.
//!
//! A hold's answer names its end in the server's time. The run knows the server's clock by samples: an instant of the
//! server is surely past a margin after the computed moment, and surely not reached a margin before it. Between the two
//! nothing can be said. The margin grows with the run, because two clocks part.

use std::collections::HashMap;

use uuid::Uuid;

use crate::run::audit::{Evidence, Finding, found};
use crate::run::job::Done;
use crate::run::operation::{Answer, Operation, Place, Status};

/// Half the width of what cannot be told at the start of the run, in microseconds: far more than a sample of the
/// server's clock is late by.
const MARGIN_MICROS: i64 = 50_000;
/// Added for each microsecond of the run, as a divisor: a clock that is being corrected runs wrong by a two-thousandth,
/// and there are two.
const MARGIN_DIVISOR: i64 = 1_000;
/// What the contract calls a confirmation that came too late.
const HOLD_EXPIRED: &str = "hold_expired";

/// When a hold lapses by itself, in microseconds from the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lapse {
    /// Until then it is surely kept.
    pub(super) kept_until: u64,
    /// From then on it is surely gone.
    pub(super) gone_from: u64,
}

/// How much a computed moment of the server may be wrong, either way.
pub(crate) const fn margin_micros(at_micros: i64) -> i64 {
    MARGIN_MICROS + at_micros.saturating_abs() / MARGIN_DIVISOR
}

/// When a hold lapses; `None` for what is no hold, or where the server's clock or the hold's end is not known.
pub(super) fn lapse(evidence: &Evidence<'_>, place: &Place) -> Option<Lapse> {
    let until_millis = place.held_until_millis.filter(|_| place.status == Status::Held)?;
    let at = until_millis.saturating_mul(1_000).saturating_sub(evidence.server_micros_at_start?);
    let margin = margin_micros(at);
    let micros = |at: i64| u64::try_from(at).unwrap_or(0);
    Some(Lapse { kept_until: micros(at.saturating_sub(margin)), gone_from: micros(at.saturating_add(margin)) })
}

/// What was asked about each appointment while it was held; nobody asks again after an answer.
pub(super) fn followers<'a>(evidence: &Evidence<'a>) -> HashMap<Uuid, &'a Done> {
    let about_holds = evidence.done.iter().filter(|done| done.sent_micros.is_some());
    about_holds
        .filter_map(|done| Some((done.subject.filter(|subject| subject.status == Status::Held)?.appointment, done)))
        .collect()
}

/// Confirmations that were judged against the end of their hold: none is granted surely after it, and none is told
/// `hold_expired` surely before it.
pub(super) fn check_confirmations(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    for done in evidence.done.iter().filter(|done| done.operation == Operation::Confirm) {
        let (Some(hold), Some(sent)) = (done.subject, done.sent_micros) else { continue };
        let Some(lapse) = lapse(evidence, &hold) else { continue };
        match &done.answer {
            Answer::Served(_) if sent > lapse.gone_from => {
                let late = sent - lapse.gone_from;
                let detail = format!("{} was asked for {late} µs after its hold was surely over", hold.appointment);
                found(findings, "confirmed_though_expired", detail);
            }
            Answer::Refused { code, .. } if code == HOLD_EXPIRED && done.ended_micros < lapse.kept_until => {
                let early = lapse.kept_until - done.ended_micros;
                let detail = format!("{} was told hold_expired {early} µs before it can have been", hold.appointment);
                found(findings, "expired_too_early", detail);
            }
            _ => {}
        }
    }
}
