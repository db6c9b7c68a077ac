//! What can be wrong, by name: every check of the oracle has one, so that a failing seed says at once which promise broke.
//! Must not know: how a check is made.

use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A check that failed. The names are stable: reports and tests refer to them.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, in kebab-case.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// Positions of the journal do not follow each other.
    PositionGap = "position-gap",
    /// Sequence numbers of a day do not follow each other.
    SequenceGap = "sequence-gap",
    /// A record of an older owner after one of a newer owner.
    EpochFell = "epoch-fell",
    /// A record that cannot be read.
    Undecodable = "undecodable",
    /// A record of an instant that has not come.
    FromTheFuture = "from-the-future",
    /// A day decided a record before the one that precedes it, in one process.
    TimeWentBack = "time-went-back",
    /// A change that the life of an appointment, or of a day, does not have.
    IllegalStep = "illegal-step",
    /// The version of an appointment did not rise by one.
    VersionGap = "version-gap",
    /// A hold expired before its instant, or something else than a hold did.
    IllegalExpiry = "illegal-expiry",
    /// A hold was confirmed, moved or cancelled after its instant.
    LateChange = "late-change",
    /// More places of a slot are taken than there are.
    Oversold = "oversold",
    /// One place was given to two.
    PlaceTwice = "place-twice",
    /// A place was given that the day does not have.
    NoSuchPlace = "no-such-place",
    /// A place was given that is released to nobody yet.
    WithheldPlace = "withheld-place",
    /// A place was given after its slot had begun.
    AfterStart = "after-start",
    /// A place was given on a closed day.
    ClosedDay = "closed-day",
    /// A patient has two live appointments on one day.
    TwoLiveOnADay = "two-live-on-a-day",
    /// Two live visits of a patient on two days overlap.
    OverlappingVisits = "overlapping-visits",
    /// A key won twice.
    KeyTwice = "key-twice",
    /// What a record remembers is not what it did.
    AnswerDiffers = "answer-differs",
    /// A step of a move that the steps before do not allow.
    MoveBroken = "move-broken",
    /// A slot with places taken was removed, moved or made too small.
    AmendedUnderBookings = "amended-under-bookings",
    /// Slots of two days of one doctor overlap.
    DaysOverlap = "days-overlap",
    /// Something was told that is not durable.
    ReplyBeforeDurable = "reply-before-durable",
    /// A success that is not what was recorded, or not what was asked.
    ReplyDiffers = "reply-differs",
    /// One effect was told as new to two requests.
    AcknowledgedTwice = "acknowledged-twice",
    /// A success under a key that is not remembered, or a remembered one that is refused.
    LostAcknowledgement = "lost-acknowledgement",
    /// An answer told as the first one again is not that.
    ReplayDiffers = "replay-differs",
    /// Refused, though it was possible all the time.
    MustSucceed = "must-succeed",
    /// Refused for a reason that never held.
    RefusalWrong = "refusal-wrong",
    /// A place that is not the one which the rules give.
    WrongPlace = "wrong-place",
    /// A read that shows less than was told before, or what never was.
    StaleRead = "stale-read",
    /// A hold was told as held after its instant.
    DueHoldTold = "due-hold-told",
    /// The engine reports a defect of its own.
    InternalError = "internal-error",
    /// A refusal that only the engine itself may see.
    InternalRefusal = "internal-refusal",
    /// The ledger is not the fold of the journal.
    LedgerDiffers = "ledger-differs",
    /// At rest a place is still kept for a move.
    MoveWithoutEnd = "move-without-end",
    /// At rest a hold is left whose instant has passed.
    DueHoldLeft = "due-hold-left",
    /// A 503 though nothing was wrong.
    UnavailableWithoutCause = "unavailable-without-cause",
    /// A request that was accepted and is never answered.
    Unanswered = "unanswered",
    /// Work without end at one instant.
    Livelock = "livelock",
    /// A process that does not start though nothing is wrong.
    DoesNotStart = "does-not-start",
    /// A process that does not stop though nothing is wrong.
    DoesNotStop = "does-not-stop",
}

/// A promise that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which check found it.
    pub kind: Kind,
    /// In words, with day, appointment and positions.
    pub text: String,
}

impl Violation {
    /// What was broken, and how.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Says where, before what.
    pub(super) fn at(self, place: &str) -> Self {
        Self { text: format!("{place}: {}", self.text), ..self }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind.name(), self.text)
    }
}

impl std::error::Error for Violation {}

/// `Err` of the kind, with the words, unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $kind:ident, $($words:tt)+) => {
        if !$condition {
            return Err($crate::oracle::violation::Violation::new(
                $crate::oracle::violation::Kind::$kind,
                format!($($words)+),
            ));
        }
    };
}

pub(super) use ensure;
