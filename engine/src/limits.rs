//! Every bound and interval of the engine, each with its reason.
//! Must not know: who is bounded by it.

/// Most place-taking commands that wait for one day. The release of a popular day must be let in whole (ten thousand
/// people in one second), and what is decided in memory at a million a second drains it within milliseconds; a request
/// costs about half a KiB here, so this bounds a day's queue to 16 MiB.
pub const DAY_COMMANDS_MAX: usize = 32_768;

/// Most place-taking commands admitted over all days and not yet answered: twice the above, so that one hot day leaves as
/// much room again for all the others.
pub const ADMITTED_MAX: usize = 65_536;

/// Most commands of any kind admitted over all days. Those that take no place (cancel, confirm, expire, close) are bounded by live
/// appointments and open connections; this is the last line, and reaching it means a defect or an attack.
pub const ADMITTED_HARD_MAX: usize = 4 * ADMITTED_MAX;

/// Most commands that a day takes in one turn: about 2 ms of decisions, after which its neighbours on the thread get theirs.
pub const TURN_COMMANDS_MAX: usize = 2_048;

/// While records of a day are on their way to the journal, so many commands must wait before they wake it; fewer are taken when
/// word of the journal comes, which no answer of theirs could leave before. A wake-up of another thread costs some ten decisions.
pub const WAITING_COMMANDS_MIN: usize = 32;

/// Most records of one day that are decided and not yet durable. Past it the day stops deciding and its queue fills instead: what a
/// failed append throws away stays bounded, and so does the journal's queue.
pub const UNDURABLE_RECORDS_MAX: usize = 8_192;

/// Panics of one day within [`PANIC_WINDOW_MILLIS`] after which it is parked: a defect that comes back after two replays
/// will come back again.
pub const PANICS_MAX: usize = 3;

/// See [`PANICS_MAX`].
pub const PANIC_WINDOW_MILLIS: i64 = 60_000;

/// A snapshot is saved once so many records were written since the last, and at least as many as the day has appointments, so that
/// its cost stays a constant share of the writing.
pub const SNAPSHOT_RECORDS_MIN: u64 = 256;

/// A day with more appointments waits with its snapshot until it sleeps: packing so many takes about 12 ms, in which nothing of
/// the day is decided. A load after a crash replays more records instead, at about a million a second.
pub const SNAPSHOT_AWAKE_APPOINTMENTS_MAX: usize = 16_384;

/// How often a busy day checks that its counts add up: the check reads every appointment, about a millisecond for ten thousand.
pub const CONSERVATION_LOOK_MICROS: u64 = 10_000_000;

/// When a day goes to sleep with at least so many records since its last snapshot, one is saved: it bounds what activation replays.
pub const SLEEP_SNAPSHOT_RECORDS_MIN: u64 = 16;

/// How often idle days are looked for, the clock is compared, and the journal's index of open work is read.
pub const MAINTENANCE_INTERVAL_MILLIS: u64 = 1_000;

/// How often keys are forgotten whose days are over: nobody waits for it, and an hour's keys go in a few transactions.
pub const FORGETTING_INTERVAL_MILLIS: u64 = 3_600_000;

/// Open work due within this time is armed from the journal's index at each sweep: ten times the interval, so that nine lost sweeps
/// cost nothing.
pub const OPEN_WORK_HORIZON_MILLIS: i64 = 10_000;

/// Most days that one sweep of the open-work index arms; the next sweep, a second later, goes on.
pub const OPEN_WORK_BATCH_MAX: usize = 10_000;

/// Most timers at once: one a day, and no more days than can be awake or armed by a few sweeps. Past it a day's timer is left to the
/// sweep of the open-work index, which costs seconds and not correctness.
pub const DEADLINES_MAX: usize = 200_000;

/// How long a command waits for something unsettled on another day (a claim whose record is being written, a move under way)
/// before its caller is told 503: a thousand group commits, and as long as a move waits for its day of arrival.
pub const PARKED_MILLIS_MAX: i64 = 2_000;

/// How long a move waits for the day of arrival to keep a place before it is given up (`protocols.md` A 5).
pub const MOVE_HOLD_MILLIS_MAX: u64 = 2_000;

/// How long another node may take to answer a question: as long as a move waits for its day of arrival (`protocols.md` A 5).
pub const PEER_MILLIS_MAX: u64 = MOVE_HOLD_MILLIS_MAX;

/// Days with open moves that wait to be looked at: past it the sweep of the open-work index finds them again.
pub const OPEN_MOVES_MAX: usize = 1_024;

/// How often a day asks what became of a move on its way in, at most.
pub const ASKING_PAUSE_MILLIS: i64 = 1_000;

/// What a shed caller is told to wait, before jitter.
pub const RETRY_AFTER_MILLIS: u64 = 1_000;

/// How long a stop waits for commands in flight before it goes on without them (their callers get 503).
pub const DRAIN_MILLIS: u64 = 5_000;

const _: () = assert!(DAY_COMMANDS_MAX < ADMITTED_MAX);
const _: () = assert!(TURN_COMMANDS_MAX < UNDURABLE_RECORDS_MAX);
