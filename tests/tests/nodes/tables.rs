//! The journal and the ledger as rows, after a storm.
//! Must not know: HTTP; what a record means, beyond the ids in it.

use std::time::Duration;

use blackbox::cluster::{Cluster, Journal};
use blackbox::{Day, Stopwatch};

use super::storm::{Fate, Told, Visit, pause};

/// The ledger has everything by then.
const APPLIED_DEADLINE: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the tables say that nobody was told, or the other way round.
pub async fn findings(cluster: &Cluster, journal: Journal, told: &Told, days: &[Day]) -> Vec<String> {
    let tables = Tables { cluster, doctors: quoted(days.iter().map(|day| day.doctor.clone())) };
    let log = if journal == Journal::Postgres { "journal_record" } else { "raw_record" };
    let mut findings: Vec<String> = tables.appointments(log, told).await.into_iter().collect();
    findings.extend(tables.seats(told).await);
    findings.extend(tables.chains(log).await);
    findings.extend(tables.acknowledged(log, told).await);
    if journal == Journal::Postgres {
        findings.extend(tables.epochs_in_order_of_commits().await);
    }
    findings
}

struct Tables<'c> {
    cluster: &'c Cluster,
    doctors: String,
}

impl Tables<'_> {
    async fn count(&self, query: &str) -> u64 {
        let answer = self.cluster.postgres().ask(query).await;
        answer.and_then(|text| text.parse().ok()).expect("a count")
    }

    /// Every appointment with the status that was told last, and none that nobody was told of.
    async fn appointments(&self, log: &str, told: &Told) -> Option<String> {
        let of_fate = |is_live: bool| {
            let has = move |visit: &&Visit| visit.booked.is_some() && (visit.fate != Fate::Cancelled) == is_live;
            quoted(told.visits.iter().filter(has).map(Visit::id))
        };
        let (live, cancelled) = (of_fate(true), of_fate(false));
        let wrong = format!(
            "SELECT count(*) FROM appointment WHERE doctor IN ({}) AND NOT coalesce( \
             status = 'booked' AND id IN ({live}) OR status = 'cancelled' AND id IN ({cancelled}), false)",
            self.doctors
        );
        let all = format!("SELECT count(*) FROM appointment WHERE doctor IN ({})", self.doctors);
        let expected = told.visits.iter().filter(|visit| visit.booked.is_some()).count() as u64;
        let watch = Stopwatch::start();
        while self.count(&all).await < expected || self.count(&wrong).await > 0 {
            if watch.elapsed() > APPLIED_DEADLINE {
                return Some(self.behind(log, &live, &cancelled).await);
            }
            pause(LOOK_EVERY).await;
        }
        let more = self.count(&all).await - expected;
        (more > 0).then(|| format!("the ledger has {more} appointments that nobody was told of"))
    }

    /// What the ledger has not, or has otherwise; its records in `log`, and how far the ledger says that it is with them.
    async fn behind(&self, log: &str, live: &str, cancelled: &str) -> String {
        let told = format!(
            "SELECT unnest(ARRAY[{live}]::uuid[]) AS id, 'booked' AS status \
             UNION ALL SELECT unnest(ARRAY[{cancelled}]::uuid[]), 'cancelled'"
        );
        let records = format!(
            "SELECT string_agg(concat(log.sequence, ' of epoch ', log.epoch, ' at ', log.position, ' of day ', log.doctor, \
             ' applied to ', day.sequence, ' and of shard ', log.shard, ' applied to epoch ', shard.epoch, ' at ', \
             shard.position), ', ' ORDER BY log.epoch, log.position) FROM {log} AS log \
             LEFT JOIN applied_day AS day ON day.doctor = log.doctor LEFT JOIN applied_shard AS shard ON shard.shard = log.shard \
             WHERE position(uuid_send(told.id) IN log.body) > 0"
        );
        let lines = format!(
            "SELECT string_agg(concat(told.id, ' was told ', told.status, ', is ', has.status, ' in version ', has.version, \
             ', by records ', ({records})), '; ') FROM ({told}) AS told LEFT JOIN appointment AS has USING (id) \
             WHERE has.status IS DISTINCT FROM told.status"
        );
        let lines = self.cluster.postgres().ask(&lines).await;
        format!("the ledger is behind after {APPLIED_DEADLINE:?}: {lines:?}")
    }

    /// A seat for everyone who has a place.
    async fn seats(&self, told: &Told) -> Option<String> {
        let live = quoted(told.visits.iter().filter(|it| matches!(it.fate, Fate::Booked(_))).map(Visit::id));
        let seats = format!("SELECT count(*) FROM seat WHERE doctor IN ({})", self.doctors);
        let right = format!("{seats} AND appointment IN ({live})");
        let expected = told.visits.iter().filter(|it| matches!(it.fate, Fate::Booked(_))).count() as u64;
        let (seats, right) = (self.count(&seats).await, self.count(&right).await);
        (seats != expected || right != expected)
            .then(|| format!("{seats} seats, {right} of them of those {expected} who have a place"))
    }

    /// Each day is one log without gaps, whose owners only follow each other.
    async fn chains(&self, log: &str) -> Option<String> {
        let broken = format!(
            "SELECT count(*) FROM (SELECT sequence, epoch, position, lag(sequence, 1, 0::bigint) OVER of_day AS before, \
             lag(epoch, 1, 0::bigint) OVER of_day AS epoch_before, lag(position, 1, 0::bigint) OVER of_day AS position_before \
             FROM {log} WHERE doctor IN ({}) WINDOW of_day AS (PARTITION BY doctor, date ORDER BY sequence)) AS log \
             WHERE sequence <> before + 1 OR (epoch, position) <= (epoch_before, position_before)",
            self.doctors
        );
        let broken = self.count(&broken).await;
        (broken > 0).then(|| format!("{broken} records of {log} do not follow their predecessors"))
    }

    /// Nothing was written under an epoch once a newer one had written to its shard. A transaction gets its number before its
    /// locks on the owners' rows are gone, and a newer owner begins after its claim, which waits for these locks: so
    /// numbers of transactions order the epochs of a shard.
    async fn epochs_in_order_of_commits(&self) -> Option<String> {
        let fallen = "SELECT count(*) FROM (SELECT epoch, max(epoch) OVER (PARTITION BY shard ORDER BY xmin::text::bigint, position \
                      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS newest FROM journal_record) AS log WHERE epoch < newest";
        let ahead = "SELECT count(*) FROM journal_record JOIN shard_owner USING (shard) \
                     WHERE journal_record.epoch > shard_owner.epoch";
        let (fallen, ahead) = (self.count(fallen).await, self.count(ahead).await);
        (fallen + ahead > 0)
            .then(|| format!("{fallen} records of epochs that were over, {ahead} of epochs that never began"))
    }

    /// Every appointment that was acknowledged stands in a record.
    async fn acknowledged(&self, log: &str, told: &Told) -> Option<String> {
        let ids: Vec<String> = told.visits.iter().filter(|visit| visit.booked.is_some()).map(Visit::id).collect();
        let values = ids.iter().map(|id| format!("('{id}'::uuid)")).collect::<Vec<_>>().join(",");
        if ids.is_empty() {
            return Some("nobody got a place".to_owned());
        }
        let missing = format!(
            "SELECT count(*) FROM (VALUES {values}) AS told(id) WHERE NOT EXISTS (SELECT 1 FROM {log} AS log \
             WHERE doctor IN ({}) AND position(uuid_send(told.id) IN log.body) > 0)",
            self.doctors
        );
        let missing = self.count(&missing).await;
        (missing > 0).then(|| format!("{missing} of {} acknowledged appointments are in no record", ids.len()))
    }
}

fn quoted(ids: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = ids.map(|id| format!("'{id}'::uuid")).collect();
    // A list may not be empty.
    if all.is_empty() { "NULL".to_owned() } else { all.join(",") }
}
