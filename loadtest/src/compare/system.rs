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
    /// hotslot, journal in Redis, ledger in PostgreSQL.
    HotslotRedis,
    /// hotslot, journal and ledger in PostgreSQL.
    HotslotPostgres,
    /// Three hotslots on one PostgreSQL.
    HotslotThreeNodes,
}

impl System {
    /// In the order of their turns.
    pub(crate) const ALL: [Self; 10] = [
        Self::Bare,
        Self::RowLock,
        Self::UniqueIndex,
        Self::RedisCounter,
        Self::RedisLock,
        Self::Batches,
        Self::Hotslot,
        Self::HotslotRedis,
        Self::HotslotPostgres,
        Self::HotslotThreeNodes,
    ];
    /// Other ways to book, and hotslot as it comes.
    pub(crate) const WAYS: [Self; 7] = [
        Self::Bare,
        Self::RowLock,
        Self::UniqueIndex,
        Self::RedisCounter,
        Self::RedisLock,
        Self::Batches,
        Self::Hotslot,
    ];
    /// hotslot with each of its stores, and as three nodes.
    pub(crate) const PROFILES: [Self; 4] =
        [Self::Hotslot, Self::HotslotRedis, Self::HotslotPostgres, Self::HotslotThreeNodes];

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
            Self::HotslotRedis => "hotslot-redis",
            Self::HotslotPostgres => "hotslot-postgres",
            Self::HotslotThreeNodes => "hotslot-three-nodes",
        }
    }

    /// Whether it is the program `hotslot`.
    pub(crate) const fn is_hotslot(self) -> bool {
        matches!(self, Self::Hotslot | Self::HotslotRedis | Self::HotslotPostgres | Self::HotslotThreeNodes)
    }

    /// How many processes of it share the work.
    pub(crate) const fn processes(self) -> usize {
        if matches!(self, Self::HotslotThreeNodes) { 3 } else { 1 }
    }

    /// Whether it stores in PostgreSQL.
    pub(crate) const fn needs_postgres(self) -> bool {
        !matches!(self, Self::Bare | Self::Hotslot)
    }

    /// Whether it stores in Redis.
    pub(crate) const fn needs_redis(self) -> bool {
        matches!(self, Self::RedisCounter | Self::RedisLock | Self::HotslotRedis)
    }
}

/// What is pressed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workload {
    /// Every press wins, on many doctor-days in turn, for long enough that writing behind would show.
    Burst,
    /// Every press is refused: one day whose only place is gone.
    SoldOut,
    /// As `burst`, shorter.
    Spread,
    /// Every press wins, all on one day of 200 slots of 1,000 places.
    OneHotDay,
    /// As `burst`, for a minute, and timed until everything is in the database too.
    Sustained,
    /// As `one-hot-day`, of several nodes, through the node that speaks for the day.
    AtOwner,
    /// As `one-hot-day`, of several nodes, through another node, which forwards every request.
    Forwarded,
}

/// A day as it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Slots that follow each other.
    pub(crate) slots: u32,
    /// Places of each.
    pub(crate) places: u32,
    /// Minutes of each.
    pub(crate) minutes: i64,
}

impl Shape {
    /// Places of a day.
    pub(crate) const fn places_of_day(self) -> usize {
        self.slots as usize * self.places as usize
    }
}

impl Workload {
    /// In the order of their turns.
    pub(crate) const ALL: [Self; 7] =
        [Self::Burst, Self::SoldOut, Self::Spread, Self::OneHotDay, Self::Sustained, Self::AtOwner, Self::Forwarded];
    /// What every way to book is measured by.
    pub(crate) const WAYS: [Self; 5] = [Self::Burst, Self::SoldOut, Self::Spread, Self::OneHotDay, Self::Sustained];
    /// What the profiles of hotslot are measured by.
    pub(crate) const PROFILES: [Self; 5] = [Self::Burst, Self::Spread, Self::OneHotDay, Self::AtOwner, Self::Forwarded];

    /// As on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Burst => "burst",
            Self::SoldOut => "sold-out",
            Self::Spread => "spread",
            Self::OneHotDay => "one-hot-day",
            Self::Sustained => "sustained",
            Self::AtOwner => "at-owner",
            Self::Forwarded => "forwarded",
        }
    }

    /// Whether that system takes part. A hot day is hotslot's own question: it is compared with hotslot's spread.
    pub(crate) const fn is_for(self, system: System) -> bool {
        match self {
            Self::OneHotDay => system.is_hotslot(),
            Self::AtOwner | Self::Forwarded => system.processes() > 1,
            Self::Burst | Self::SoldOut | Self::Spread | Self::Sustained => true,
        }
    }

    /// Whether the press goes to one node, chosen by who speaks for the day.
    pub(crate) const fn is_about_forwarding(self) -> bool {
        matches!(self, Self::AtOwner | Self::Forwarded)
    }

    /// Whether wins go to many days.
    pub(crate) const fn is_spread(self) -> bool {
        matches!(self, Self::Burst | Self::Spread | Self::Sustained)
    }

    /// The days that are published for it.
    pub(crate) const fn shape(self) -> Shape {
        match self {
            Self::Burst | Self::Spread | Self::Sustained => Shape { slots: 20, places: 1_000, minutes: 15 },
            Self::SoldOut => Shape { slots: 1, places: 1, minutes: 15 },
            Self::OneHotDay | Self::AtOwner | Self::Forwarded => Shape { slots: 200, places: 1_000, minutes: 5 },
        }
    }
}
