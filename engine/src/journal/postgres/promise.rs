//! What an acknowledged record survives, as the server's settings say, and which settings are refused at the start.
//! Must not know: what is written.

use sqlx::{PgConnection, Row};

use crate::config::StartError;
use crate::postgres;

/// A standby whose details are hidden from this role counts as attached. `backup`: a copy is being taken, nothing follows.
const SETTINGS: &str = "
    SELECT current_setting('synchronous_commit') AS synchronous_commit, current_setting('fsync') AS fsync,
        current_setting('full_page_writes') AS full_page_writes,
        current_setting('synchronous_standby_names') AS synchronous_standby_names,
        (SELECT count(*) FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup') AS standbys,
        (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) AS synchronous_standbys";

/// What the server says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Settings {
    pub(super) synchronous_commit: String,
    fsync: bool,
    full_page_writes: bool,
    synchronous_standby_names: String,
    standbys: i64,
    synchronous_standbys: i64,
}

impl Settings {
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let row = postgres::within_deadline(sqlx::query(SETTINGS).fetch_one(connection)).await?;
        Ok(Self {
            synchronous_commit: row.try_get("synchronous_commit")?,
            fsync: row.try_get::<&str, _>("fsync")? == "on",
            full_page_writes: row.try_get::<&str, _>("full_page_writes")? == "on",
            synchronous_standby_names: row.try_get("synchronous_standby_names")?,
            standbys: row.try_get("standbys")?,
            synchronous_standbys: row.try_get("synchronous_standbys")?,
        })
    }

    fn names_standbys(&self) -> bool {
        !self.synchronous_standby_names.trim().is_empty()
    }

    /// Why an acknowledged record could be lost though everything works as set up; `None` if it could not.
    fn weakness(&self) -> Option<String> {
        if !self.fsync {
            return Some(
                "fsync is off: a crash of its machine loses acknowledged bookings, or the whole database".to_owned(),
            );
        }
        if self.synchronous_commit == "off" {
            return Some(
                "synchronous_commit is off: a crash loses bookings that were acknowledged just before".to_owned(),
            );
        }
        if self.names_standbys() && self.synchronous_commit == "local" {
            return Some(
                "synchronous_commit is local though synchronous_standby_names is set: no commit waits for a standby"
                    .to_owned(),
            );
        }
        if !self.names_standbys() && self.standbys > 0 {
            return Some(format!(
                "{} standby is attached and synchronous_standby_names is empty: its promotion loses acknowledged bookings, \
                 and it may forget who owned which shard",
                self.standbys
            ));
        }
        None
    }

    /// Refuses what the design does not stand on, unless `accept_asynchronous`.
    pub(super) fn require(&self, accept_asynchronous: bool) -> Result<(), StartError> {
        match self.weakness() {
            Some(weakness) if !accept_asynchronous => Err(StartError::Store(format!(
                "the database would not keep what it acknowledges: {weakness}; change its settings, or accept the loss with the \
                 flag for asynchronous databases"
            ))),
            _ => Ok(()),
        }
    }

    /// See [`crate::journal::Journal::promise`].
    pub(super) fn words(&self) -> String {
        let pages = if self.full_page_writes {
            ""
        } else {
            "; full_page_writes is off: its file system must write whole pages"
        };
        if let Some(weakness) = self.weakness() {
            return format!(
                "an acknowledged booking can be lost, as was accepted at the start: PostgreSQL, {weakness}{pages}"
            );
        }
        if self.names_standbys() {
            let how = if self.synchronous_commit == "remote_write" { "in the memory of" } else { "on the disk of" };
            return format!(
                "an acknowledged booking is on the database's disk and {how} its synchronous standby (synchronous_standby_names = \
                 '{}', synchronous_commit = {}; {} in step at the start): it survives the loss of either; with too few standbys \
                 nothing is acknowledged{pages}",
                self.synchronous_standby_names, self.synchronous_commit, self.synchronous_standbys
            );
        }
        format!(
            "an acknowledged booking survives the end of any process and the loss of power of the database's one honest disk, \
             not the loss of that disk (PostgreSQL without a standby, synchronous_commit = {}){pages}",
            self.synchronous_commit
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(synchronous_commit: &str, names: &str, standbys: i64) -> Settings {
        Settings {
            synchronous_commit: synchronous_commit.to_owned(),
            fsync: true,
            full_page_writes: true,
            synchronous_standby_names: names.to_owned(),
            standbys,
            synchronous_standbys: 0,
        }
    }

    #[test]
    fn what_loses_acknowledged_bookings_is_refused_unless_accepted() {
        let unsynced = Settings { fsync: false, ..settings("on", "", 0) };
        let weak = [
            unsynced,
            settings("off", "", 0),
            settings("off", "s", 1),
            settings("local", "s", 1),
            settings("on", "", 1),
        ];
        for settings in weak {
            assert!(settings.require(false).is_err(), "{settings:?}");
            assert!(settings.require(true).is_ok() && settings.words().contains("can be lost"), "{settings:?}");
        }
        let strong =
            [settings("on", "", 0), settings("local", "", 0), settings("on", "s", 0), settings("remote_apply", "s", 2)];
        for settings in strong {
            assert!(settings.require(false).is_ok() && !settings.words().contains("can be lost"), "{settings:?}");
        }
    }

    #[test]
    fn the_promise_says_what_it_rests_on() {
        assert!(settings("on", "", 0).words().contains("one honest disk"));
        assert!(settings("on", "ANY 1 (a, b)", 2).words().contains("ANY 1 (a, b)"));
        assert!(settings("remote_write", "s", 1).words().contains("in the memory of"));
        let torn = Settings { full_page_writes: false, ..settings("on", "", 0) };
        assert!(torn.words().contains("full_page_writes"));
    }
}
