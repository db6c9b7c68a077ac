//! Readers of day streams: opened in thousands on a thread of their own, measured, and checked to have seen the last state.
//! Must not know: what load goes on meanwhile, how a run is judged.

use std::io;
use std::sync::Arc;

use serde::Serialize;

use crate::api::{Appointment, Day};
use crate::driver::clock::ServerClock;
use crate::driver::target::Target;
use crate::run::summary::Spread;

pub(crate) mod command;
mod crowd;
mod process;
mod sightings;
mod wire;

use crowd::{Crowd, Watching};
use process::ServerProcess;

pub(crate) use crowd::Watched;

/// What the readers of streams saw, and what they cost the server.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct WatchReport {
    /// Streams that were opened.
    pub(crate) watchers: u64,
    /// Streams that could not be.
    pub(crate) not_opened: u64,
    /// Events that they read.
    pub(crate) events: u64,
    /// Events that were not understood.
    pub(crate) unreadable_events: u64,
    /// Events whose id did not rise.
    pub(crate) falling_ids: u64,
    /// Streams that ended before the run did.
    pub(crate) ended_early: u64,
    /// Readers whose last event did not show the last state of their day.
    pub(crate) behind: u64,
    /// From when the last state was known here until everybody had seen it; left out if somebody had not.
    pub(crate) caught_up_ms: Option<f64>,
    /// From the server's time in an event to its being read.
    pub(crate) event_age: Spread,
    /// From the instant, by the server, of the oldest change that an event showed its reader first, to its being read; left out
    /// where the changes of the days are not bookings only.
    pub(crate) change_age: Option<Spread>,
    /// The server's process before the streams were opened, when all were open, and in the end.
    pub(crate) server: Option<ServerShare>,
    /// Processor time of the readers' thread.
    pub(crate) cpu_seconds: f64,
}

/// What the server's process had.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ServerShare {
    /// Resident memory for each stream when all were open.
    pub(crate) kib_per_watcher_open: f64,
    /// The same in the end: what the load left in the server is in it.
    pub(crate) kib_per_watcher_end: f64,
    /// Resident memory before the streams were opened.
    pub(crate) resident_mib_before: f64,
    /// Processor time from when all were open to the end.
    pub(crate) cpu_seconds: f64,
}

/// Open streams.
#[derive(Debug)]
pub(crate) struct Streams {
    crowd: Crowd,
    wanted: u64,
    target: Target,
    server_clock: Arc<ServerClock>,
    before: Option<ServerProcess>,
    open: Option<ServerProcess>,
}

impl Streams {
    /// Opens them; returns once each has shown an event.
    pub(crate) async fn open(
        watched: Vec<Watched>,
        target: Target,
        server_clock: Arc<ServerClock>,
    ) -> io::Result<Self> {
        let before = process::read(&target).await;
        let wanted = watched.len() as u64;
        let crowd = crowd::open(watched, target.clone(), Arc::clone(&server_clock)).await?;
        let open = process::read(&target).await;
        Ok(Self { crowd, wanted, target, server_clock, before, open })
    }

    /// Has everybody see `last`, the last state of each day, and ends all streams. `changes` are the instants of each day's bookings,
    /// UTC milliseconds in order, if there was nothing but bookings.
    pub(crate) async fn end(self, last: Vec<Day>, changes: Option<&[Vec<i64>]>) -> io::Result<WatchReport> {
        let end = process::read(&self.target).await;
        let watching = self.crowd.end(last).await?;
        let Watching { sightings, opened, ended_early, behind, caught_up_ms, cpu_nanos } = watching;
        let (unreadable_events, falling_ids) = sightings.faults();
        let three = self.before.zip(self.open).zip(end);
        Ok(WatchReport {
            watchers: opened,
            not_opened: self.wanted.saturating_sub(opened),
            events: sightings.events(),
            unreadable_events,
            falling_ids,
            ended_early,
            behind,
            caught_up_ms,
            event_age: sightings.event_age(),
            change_age: changes.and_then(|changes| sightings.change_age(changes, &self.server_clock)),
            server: three.map(|((before, open), end)| share_of(before, open, end, opened)),
            cpu_seconds: cpu_nanos.unwrap_or(0) as f64 / 1e9,
        })
    }
}

impl WatchReport {
    /// What must not be, in words.
    pub(crate) fn findings(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("watcher_not_opened", self.not_opened, "streams could not be opened"),
            ("watcher_missed_last_state", self.behind, "readers did not see the last state of their day"),
            ("watcher_event_unreadable", self.unreadable_events, "events are not of the contract's shape"),
            ("watcher_id_falls", self.falling_ids, "events had an id that did not rise"),
        ];
        let some = all.into_iter().filter(|(_, count, _)| *count > 0);
        some.map(|(kind, count, what)| (kind, format!("{count} {what}"))).collect()
    }
}

fn share_of(before: ServerProcess, open: ServerProcess, end: ServerProcess, opened: u64) -> ServerShare {
    let kib_each = |bytes: f64| (bytes - before.resident_bytes) / 1_024.0 / opened.max(1) as f64;
    ServerShare {
        kib_per_watcher_open: kib_each(open.resident_bytes),
        kib_per_watcher_end: kib_each(end.resident_bytes),
        resident_mib_before: before.resident_bytes / 1_048_576.0,
        cpu_seconds: end.cpu_seconds - open.cpu_seconds,
    }
}

/// The instants at which the bookings of a day were made, in order; `None` if not all of them are there and keep their place.
pub(crate) fn changes_of(rows: &[Appointment]) -> Option<Vec<i64>> {
    let instants = rows.iter().map(|row| row.created_millis.filter(|_| row.keeps_place));
    let mut instants = instants.collect::<Option<Vec<i64>>>()?;
    instants.sort_unstable();
    Some(instants)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_day_with_a_cancellation_has_no_list_of_changes() {
        let row = |created_millis, keeps_place| Appointment {
            id: Uuid::nil(),
            patient: Uuid::nil(),
            start_millis: 0,
            created_millis: Some(created_millis),
            keeps_place,
            held_until_millis: None,
        };
        assert_eq!(changes_of(&[row(7, true), row(3, true)]), Some(vec![3, 7]));
        assert_eq!(changes_of(&[row(7, true), row(3, false)]), None);
    }

    #[test]
    fn memory_is_told_for_each_reader_and_findings_only_where_there_are_some() {
        let process = |resident_bytes, cpu_seconds| ServerProcess { resident_bytes, cpu_seconds };
        let share = share_of(process(1_048_576.0, 1.0), process(2_097_152.0, 2.0), process(3_145_728.0, 5.5), 64);
        assert_eq!((share.kib_per_watcher_open, share.kib_per_watcher_end, share.cpu_seconds), (16.0, 32.0, 3.5));
        assert!(WatchReport::default().findings().is_empty());
        let behind = WatchReport { behind: 2, ..WatchReport::default() };
        assert_eq!(behind.findings()[0].0, "watcher_missed_last_state");
    }
}
