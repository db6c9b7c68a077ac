//! A restart with a hundred thousand messages pending: what is overdue goes out once or is missed, what is ahead waits, and only the
//! next hours are in memory.
//! Must not know: how they are found.

use std::ops::Range;

use engine::ledger::people::Channel;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::town::{HOUR, SECOND, Town, after};

/// Reminders of every visit, in hours before it; with its confirmation they are ten rows.
const OFFSETS_HOURS: [u32; 9] = [100, 90, 80, 70, 60, 50, 40, 30, 2];
const ROWS: u64 = OFFSETS_HOURS.len() as u64 + 1;
/// Visits of one doctor.
const PER_DOCTOR: u128 = 250;
/// When the machine is on again.
const ON_AGAIN: i64 = 102 * HOUR;
/// How far ahead messages are in memory. None is due so long after a look, give or take a minute.
const IN_MEMORY: Range<i64> = 0..2 * HOUR;

/// Doctors whose visits all begin so long after the beginning.
struct Group {
    doctors: Range<u128>,
    start: i64,
}

const GROUPS: [Group; 4] = [
    // Have begun when the machine is on again.
    Group { doctors: 0..4, start: 101 * HOUR },
    // Begin soon: every reminder but the last is overdue.
    Group { doctors: 4..8, start: 115 * HOUR },
    // Begin later: the first reminder is due within the next two hours.
    Group { doctors: 8..12, start: 203 * HOUR + HOUR / 2 },
    // Begin later still: only the confirmation is overdue.
    Group { doctors: 12..40, start: 240 * HOUR },
];

impl Group {
    fn visits(&self) -> u64 {
        (self.doctors.end - self.doctors.start) as u64 * PER_DOCTOR as u64
    }

    fn book(&self, town: &Town) {
        for doctor in self.doctors.clone() {
            town.publish(doctor, &[self.start], PER_DOCTOR as u32);
            town.book(doctor, self.start, doctor * PER_DOCTOR..(doctor + 1) * PER_DOCTOR);
        }
    }

    /// When each of the messages of one visit is due.
    fn due(&self) -> impl Iterator<Item = i64> {
        OFFSETS_HOURS.iter().map(|hours| self.start - i64::from(*hours) * HOUR).chain([0])
    }
}

/// What must have become of everything by then: sent, missed, pending; and how many are in memory.
fn expected(now: i64) -> [u64; 4] {
    let mut counts = [0; 4];
    for group in &GROUPS {
        for due in group.due() {
            let status = if due > now { 2 } else { usize::from(group.start <= ON_AGAIN) };
            counts[status] += group.visits();
            if status == 2 && IN_MEMORY.contains(&(due - now)) {
                counts[3] += group.visits();
            }
        }
    }
    counts
}

async fn found(town: &Town, memory: &PrometheusHandle) -> [u64; 4] {
    let statuses = town.house.statuses().await;
    let count = |status| statuses.get(status).copied().unwrap_or(0);
    let counts = [count("sent"), count("missed"), count("pending")];
    assert_eq!(counts.iter().sum::<u64>(), statuses.values().sum::<u64>(), "of every status: {statuses:?}");
    let text = memory.render();
    let timers = text.lines().find_map(|line| line.strip_prefix("hotslot_reminders_in_wheel "));
    let timers = timers.unwrap_or_else(|| panic!("timers in {text}")).parse::<f64>().expect("a number");
    [counts[0], counts[1], counts[2], timers as u64]
}

#[tokio::test]
async fn a_restart_with_a_hundred_thousand_pending_loses_nothing_and_repeats_nothing() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let memory = recorder.handle();
    let _recorder = metrics::set_default_local_recorder(&recorder);
    let offsets: Vec<u32> = OFFSETS_HOURS.iter().map(|hours| hours * 3_600).collect();
    let mut town = Town::with(&[Channel::File], &offsets).await;
    town.house.crash().await;
    GROUPS.iter().for_each(|group| group.book(&town));
    town.apply().await;
    let pending = GROUPS.iter().map(|group| group.visits() * ROWS).sum::<u64>();
    assert_eq!((pending, town.house.statuses().await), (100_000, [("pending".to_owned(), 100_000)].into()));
    town.house.time.jump(ON_AGAIN).await;
    town.house.start();
    town.house.time.pass(10 * SECOND).await;
    let now = ON_AGAIN + 10 * SECOND;
    assert_eq!(expected(now), [17_000, 10_000, 73_000, 1_000], "as is told above");
    assert_eq!(found(&town, &memory).await, expected(now));

    // Everything else at its instant, and nothing in between.
    let mut instants: Vec<i64> = GROUPS.iter().flat_map(Group::due).filter(|due| *due > now).collect();
    instants.sort_unstable();
    instants.dedup();
    for due in instants {
        town.house.sleep_until(after(due).plus_millis(-3 * SECOND)).await;
        assert_eq!(found(&town, &memory).await, expected(due - 3 * SECOND));
        town.house.time.pass(6 * SECOND).await;
        assert_eq!(found(&town, &memory).await, expected(due + 3 * SECOND));
    }
    assert_eq!(town.house.statuses().await.get("pending"), None);
    assert_eq!(town.post.count(), (90_000, 90_000), "each once");
    town.judge(1);
}
