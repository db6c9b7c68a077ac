//! What is compared under which workload.
//! Must not know: how it is started or measured.

use clap::ValueEnum;
use serde::Serialize;

/// A system that books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    /// A handler that parses and answers at once: the ceiling.
    Bare,
    /// PostgreSQL, row lock.
    RowLock,
    /// PostgreSQL, unique index.
    UniqueIndex,
    /// Redis Lua counter, PostgreSQL afterwards.
    RedisCounter,
    /// Lock in Redis, transaction in PostgreSQL.
    RedisLock,
    /// PostgreSQL, one writer with batches.
    Batches,
    /// hotslot, embedded.
    Hotslot,
}

impl System {
    /// In the order of their turns.
    pub(crate) const ALL: [Self; 7] = [
        Self::Bare,
        Self::RowLock,
        Self::UniqueIndex,
        Self::RedisCounter,
        Self::RedisLock,
        Self::Batches,
        Self::Hotslot,
    ];

    /// As on the command line, and as `peers --kind` has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::RowLock => "row-lock",
            Self::UniqueIndex => "unique-index",
            Self::RedisCounter => "redis-counter",
            Self::RedisLock => "redis-lock",
            Self::Batches => "batches",
            Self::Hotslot => "hotslot",
        }
    }

    /// Whether it stores in PostgreSQL.
    pub(crate) const fn needs_postgres(self) -> bool {
        !matches!(self, Self::Bare | Self::Hotslot)
    }

    /// Whether it stores in Redis.
    pub(crate) const fn needs_redis(self) -> bool {
        matches!(self, Self::RedisCounter | Self::RedisLock)
    }
}

/// What is pressed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workload {
    /// Every press wins, on many doctor-days in turn.
    Spread,
    /// Every press is refused: one day whose only place is gone.
    SoldOut,
    /// Every press wins, all on one day of 200 slots of 1,000 places.
    OneHotDay,
}

impl Workload {
    /// In the order of their turns.
    pub(crate) const ALL: [Self; 3] = [Self::Spread, Self::SoldOut, Self::OneHotDay];

    /// As on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Spread => "spread",
            Self::SoldOut => "sold-out",
            Self::OneHotDay => "one-hot-day",
        }
    }

    /// Whether that system takes part. A hot day is hotslot's own question: it is compared with hotslot's spread.
    pub(crate) fn is_for(self, system: System) -> bool {
        self != Self::OneHotDay || system == System::Hotslot
    }

    /// Slots of a day, places of a slot, minutes of a slot.
    pub(crate) const fn shape(self) -> (u32, u32, i64) {
        match self {
            Self::Spread => (20, 1_000, 15),
            Self::SoldOut => (1, 1, 15),
            Self::OneHotDay => (200, 1_000, 5),
        }
    }
}
