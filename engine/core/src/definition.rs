//! What a published day offers: its slots, their capacity, and from when which places can be booked by whom.
//! Must not know: time zones beyond their name, templates, who has booked what.

use crate::time::UtcMillis;

/// Most slots of one day (contract section 1).
pub const SLOTS_MAX: usize = 500;
/// Largest capacity of one slot (contract section 1).
pub const CAPACITY_MAX: u32 = 100_000;
/// Most releases of one day. The cost of a picture of the day is proportional to slots times releases.
pub const RELEASES_MAX: usize = 100;
/// Longest span from the first start to the last end of a day: 36 h, in milliseconds (contract section 3).
pub const SPAN_MILLIS_MAX: i64 = 36 * 3_600_000;

/// One `[start, end)` interval that can be booked `capacity` times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotDefinition {
    /// The identity of the slot within its day. A whole second.
    pub start: UtcMillis,
    /// Exclusive. A whole second, after `start`.
    pub end: UtcMillis,
    /// Number of places, 1 to [`CAPACITY_MAX`].
    pub capacity: u32,
    /// Seconds east of UTC of the doctor's zone at `start`, under the zone rules that made the slot: `start` plus
    /// this is the wall time that was meant, even if the rules change later.
    pub utc_offset_seconds: i32,
}

/// From `at` on, `places` of the day's places can be booked by holders of `audience`.
///
/// Places are handed to the releases in the order of their instants, and within the day in the order
/// (place number, slot start): first one place of every slot from the earliest on, then a second of each, and so
/// on. A release without `places` opens every place of the day that is still untaken then, also the ones that an
/// earlier release gave to an audience.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Release {
    /// The opening instant.
    pub at: UtcMillis,
    /// How many places; `None`: all the rest.
    pub places: Option<u32>,
    /// Who may book them; `None`: everyone.
    pub audience: Option<Box<str>>,
}

/// The whole of a published day, as PUT gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayDefinition {
    /// IANA name of the doctor's zone when the day was published.
    pub time_zone: Box<str>,
    /// Version of the zone database that placed the slots, such as `2026e`; empty if unknown.
    pub time_zone_database: Box<str>,
    /// Sorted by start, disjoint, 1 to [`SLOTS_MAX`].
    pub slots: Vec<SlotDefinition>,
    /// Sorted by instant (stable), 1 to [`RELEASES_MAX`].
    pub releases: Vec<Release>,
}

/// Why a definition cannot be accepted. Positions are indexes into the given lists.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DefinitionError {
    /// No slot at all.
    #[error("a day needs at least one slot")]
    NoSlots,
    /// More than [`SLOTS_MAX`].
    #[error("a day has at most {SLOTS_MAX} slots")]
    TooManySlots,
    /// `end` is not after `start`.
    #[error("end must be after start")]
    EndNotAfterStart {
        /// The slot.
        slot: usize,
    },
    /// A bound is not a whole second.
    #[error("slot instants are whole seconds")]
    NotWholeSecond {
        /// The slot.
        slot: usize,
    },
    /// Capacity 0 or over [`CAPACITY_MAX`].
    #[error("capacity must be 1 to {CAPACITY_MAX}")]
    Capacity {
        /// The slot.
        slot: usize,
    },
    /// Overlaps an earlier slot of the list sorted by start.
    #[error("overlaps another slot of the day")]
    Overlap {
        /// The slot, as an index into the list as given.
        slot: usize,
    },
    /// From first start to last end over [`SPAN_MILLIS_MAX`].
    #[error("a day spans at most 36 hours")]
    Span,
    /// More than [`RELEASES_MAX`].
    #[error("a day has at most {RELEASES_MAX} releases")]
    TooManyReleases,
    /// A release later than the last slot's start.
    #[error("a release must not lie after the last slot's start")]
    ReleaseAfterLastStart {
        /// The release.
        release: usize,
    },
    /// A release of no place.
    #[error("a release opens at least one place")]
    ReleaseOfNothing {
        /// The release.
        release: usize,
    },
    /// The releases name more places than the day has.
    #[error("the releases open more places than the day has")]
    ReleasesExceedCapacity {
        /// The first release that goes over.
        release: usize,
    },
    /// An empty list of releases.
    #[error("a day needs at least one release")]
    NoReleases,
}

impl DayDefinition {
    /// Position of the slot that starts at `start`.
    pub fn slot_at(&self, start: UtcMillis) -> Option<usize> {
        self.slots.binary_search_by_key(&start, |slot| slot.start).ok()
    }

    /// Sum of all capacities.
    pub fn capacity(&self) -> u64 {
        self.slots.iter().map(|slot| u64::from(slot.capacity)).sum()
    }
}
