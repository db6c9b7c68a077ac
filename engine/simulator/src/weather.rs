//! What goes wrong in one run, and how often: drawn from the seed once, so that each run is bad in its own way.
//! Must not know: how a fault is carried out.
//!
//! Each kind of fault is switched on or off by itself ("swarm testing", Groce and others, ISSTA 2012): a run with everything at once
//! hides what a run with two kinds shows, and one run in eight has none, so that nothing can be excused there.

use crate::random::Random;

/// The kinds of faults, for counting and for the trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// An append fails and says so.
    AppendFailed,
    /// An append does nothing, and nobody knows.
    AppendUnknownBefore,
    /// An append takes effect, and its acknowledgement is lost.
    AppendUnknownAfter,
    /// An append takes effect at the next barrier only.
    AppendUnknownLate,
    /// The barrier does not answer at first.
    BarrierFailed,
    /// The disk fails: the process must end.
    JournalPoisoned,
    /// The journal takes long.
    JournalSlow,
    /// The journal does not answer for many seconds.
    JournalStuck,
    /// A day cannot be read for a while.
    JournalReadFailed,
    /// A snapshot is not saved.
    SnapshotFailed,
    /// A stored record is damaged.
    RecordDamaged,
    /// The ledger does not take a bulk.
    LedgerUnavailable,
    /// The ledger takes a bulk and does not say so.
    LedgerUnavailableAfter,
    /// The ledger refuses a bulk that is right.
    LedgerRefused,
    /// The ledger takes long.
    LedgerSlow,
    /// The ledger is away for minutes.
    LedgerAway,
    /// The process is killed.
    Crash,
    /// The process is killed, and a write that it had given up lands all the same.
    CrashBeforeLateWrite,
    /// The process is asked to stop, and started again.
    Restart,
    /// The wall clock is set forward.
    ClockForward,
    /// The wall clock is set back.
    ClockBack,
    /// A request does not arrive.
    RequestLost,
    /// A request arrives twice.
    RequestDuplicated,
    /// A request or its reply takes long, so that others overtake it.
    RequestDelayed,
    /// A reply does not arrive.
    ReplyLost,
    /// A client goes away while its request is worked on.
    ClientVanished,
    /// A day's actor panics.
    ActorPanicked,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::AppendFailed,
        Self::AppendUnknownBefore,
        Self::AppendUnknownAfter,
        Self::AppendUnknownLate,
        Self::BarrierFailed,
        Self::JournalPoisoned,
        Self::JournalSlow,
        Self::JournalStuck,
        Self::JournalReadFailed,
        Self::SnapshotFailed,
        Self::RecordDamaged,
        Self::LedgerUnavailable,
        Self::LedgerUnavailableAfter,
        Self::LedgerRefused,
        Self::LedgerSlow,
        Self::LedgerAway,
        Self::Crash,
        Self::CrashBeforeLateWrite,
        Self::Restart,
        Self::ClockForward,
        Self::ClockBack,
        Self::RequestLost,
        Self::RequestDuplicated,
        Self::RequestDelayed,
        Self::ReplyLost,
        Self::ClientVanished,
        Self::ActorPanicked,
    ];

    /// Whether a caller can be told 503 because of it; otherwise it is the client's or the network's own affair, or has no effect that a
    /// caller may notice.
    pub const fn excuses(self) -> bool {
        !matches!(
            self,
            Self::SnapshotFailed
                | Self::LedgerUnavailable
                | Self::LedgerUnavailableAfter
                | Self::LedgerRefused
                | Self::LedgerSlow
                | Self::RequestLost
                | Self::RequestDuplicated
                | Self::RequestDelayed
                | Self::ReplyLost
                | Self::ClientVanished
                | Self::ClockForward
                | Self::ClockBack
        )
    }
}

/// How often each fault happens.
#[derive(Clone, Debug)]
pub struct Weather {
    /// In parts per million of the occasions of each kind: an append, a read, a request; for faults that come by themselves, of a tick
    /// (a virtual second). In the order of [`Fault::ALL`].
    rates: [u64; Fault::ALL.len()],
    /// How far apart a wake-up and its turn may be, in microseconds.
    pub jitter_micros: u64,
}

impl Weather {
    /// Nothing goes wrong.
    pub const fn calm() -> Self {
        Self { rates: [0; Fault::ALL.len()], jitter_micros: 20 }
    }

    /// The weather of a run.
    pub fn of(random: &mut Random) -> Self {
        let mut weather = Self::calm();
        weather.jitter_micros = *random.pick(&[0, 20, 200, 3_000]).unwrap_or(&20);
        if random.chance(125_000) {
            return weather;
        }
        for (rate, fault) in weather.rates.iter_mut().zip(Fault::ALL) {
            if random.chance(350_000) {
                *rate = random.between(1, 10) * Self::usual(fault) / 4;
            }
        }
        weather
    }

    /// A rate at which a run of five minutes and a thousand requests sees the fault a few times, and still gets something done.
    const fn usual(fault: Fault) -> u64 {
        match fault {
            Fault::AppendFailed | Fault::AppendUnknownBefore | Fault::AppendUnknownAfter | Fault::AppendUnknownLate => {
                20_000
            }
            Fault::BarrierFailed => 300_000,
            Fault::JournalPoisoned => 1_000,
            Fault::JournalSlow | Fault::LedgerSlow | Fault::SnapshotFailed => 30_000,
            Fault::JournalStuck => 2_000,
            Fault::JournalReadFailed => 20_000,
            Fault::RecordDamaged => 400,
            Fault::LedgerUnavailable | Fault::LedgerUnavailableAfter => 50_000,
            Fault::LedgerRefused => 5_000,
            Fault::LedgerAway => 4_000,
            Fault::Crash | Fault::CrashBeforeLateWrite => 15_000,
            Fault::Restart | Fault::ClockForward | Fault::ClockBack => 8_000,
            Fault::RequestLost | Fault::RequestDelayed | Fault::ReplyLost | Fault::ClientVanished => 30_000,
            Fault::RequestDuplicated => 60_000,
            Fault::ActorPanicked => 1_500,
        }
    }

    /// How often `fault` happens, in parts per million of its occasions.
    pub const fn rate(&self, fault: Fault) -> u64 {
        self.rates[fault as usize]
    }

    /// The same weather with another rate of `fault`: for scenarios.
    #[must_use]
    pub const fn with(mut self, fault: Fault, parts_per_million: u64) -> Self {
        self.rates[fault as usize] = parts_per_million;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_the_order_of_the_kinds() {
        for (index, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, index);
        }
    }

    #[test]
    fn some_runs_are_calm_and_every_fault_comes_in_some() {
        let weathers: Vec<Weather> = (0..200).map(|seed| Weather::of(&mut Random::new(seed))).collect();
        let is_calm = |weather: &&Weather| weather.rates.iter().all(|rate| *rate == 0);
        assert!((10..60).contains(&weathers.iter().filter(is_calm).count()));
        for fault in Fault::ALL {
            assert!(weathers.iter().any(|weather| weather.rate(fault) > 0), "{fault:?} never comes");
        }
    }
}
