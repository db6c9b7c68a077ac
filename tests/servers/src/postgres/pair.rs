//! A PostgreSQL primary with a standby that must have each commit before it is answered.
//! Must not know: who decides that the standby takes over.

use std::time::Duration;

use super::{Postgres, PostgresOptions, new_directory, template};
use crate::launch::Launch;
use crate::port::Port;
use crate::process::OldPrimary;
use crate::proxy::Proxy;
use crate::wait::until;

/// The name by which the primary knows the standby.
const STANDBY: &str = "standby";
const SYNC_DEADLINE: Duration = Duration::from_secs(30);

/// A primary and its synchronous standby, with a network between them that can be broken ([`SynchronousPair::link`]).
///
/// ```no_run
/// # async fn example() {
/// use servers::{OldPrimary, Postgres, PostgresOptions};
///
/// let mut pair = Postgres::with_synchronous_standby(PostgresOptions::default()).await;
/// pair.primary().execute("CREATE TABLE confirmed (id int)").await;
/// pair.promote_standby(OldPrimary::Killed).await;
/// // Whatever was answered is there.
/// pair.primary().execute("INSERT INTO confirmed VALUES (1)").await;
/// # }
/// ```
#[derive(Debug)]
pub struct SynchronousPair {
    primary: Postgres,
    standby: Option<Postgres>,
    former: Option<Postgres>,
    link: Proxy,
}

impl SynchronousPair {
    pub(super) async fn start(options: PostgresOptions) -> Self {
        let of_primary = options.clone().with("synchronous_standby_names", STANDBY);
        let primary = Postgres::start_with(of_primary).await;
        let link = Proxy::in_front_of(primary.address());
        let directory = new_directory(primary.user, options.fsync);
        let mut backup = Launch::new(template::binary("pg_basebackup"), directory.path());
        backup.user = primary.user;
        let address = primary.address();
        let source = format!("host={} port={} user=postgres application_name={STANDBY}", address.ip(), address.port());
        backup.argue(&["--pgdata=data", "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast"]);
        backup.argue(&["--no-sync", "--dbname", &source]);
        template::run(&mut backup.command());
        let (host, port) = (link.address().ip(), link.address().port());
        let conninfo = format!("host={host} port={port} user=postgres sslmode=disable application_name={STANDBY}");
        // What is on the command line wins over what the backup wrote: the standby follows through the link.
        let of_standby = options.with("primary_conninfo", &conninfo);
        let standby = Postgres::start_on(directory, Port::claim(), of_standby, primary.user).await;
        let pair = Self { primary, standby: Some(standby), former: None, link };
        pair.wait_until_synchronous().await;
        pair
    }

    /// The primary of now.
    pub fn primary(&self) -> &Postgres {
        &self.primary
    }

    /// The primary of now, to kill or to stop it.
    pub fn primary_mut(&mut self) -> &mut Postgres {
        &mut self.primary
    }

    /// The standby; panics after it was promoted.
    pub fn standby(&self) -> &Postgres {
        self.standby.as_ref().expect("the standby has not been promoted")
    }

    /// The standby, to kill or to stop it; panics after it was promoted.
    pub fn standby_mut(&mut self) -> &mut Postgres {
        self.standby.as_mut().expect("the standby has not been promoted")
    }

    /// The primary of before the promotion, if there was one.
    pub fn former_mut(&mut self) -> Option<&mut Postgres> {
        self.former.as_mut()
    }

    /// The network between them: the standby's requests, the primary's answers (which are the log). While it is stalled
    /// or cut, commits wait.
    pub fn link(&self) -> &Proxy {
        &self.link
    }

    /// The address of the database `postgres` of the primary of now.
    pub fn url(&self) -> String {
        self.primary.url()
    }

    /// Waits until the primary counts on the standby for its commits.
    pub async fn wait_until_synchronous(&self) {
        let query = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'";
        let look = async || (self.primary.ask(query).await.as_deref() == Some("1")).then_some(());
        let synchronous = until(SYNC_DEADLINE, look).await;
        assert!(synchronous.is_some(), "no synchronous standby; its log:\n{}", self.standby().process.last_lines());
    }

    /// Makes the standby the primary, alone from now on: its commits wait for nobody. The old one, if it still runs,
    /// cannot commit any more, since its standby is gone. Returns when the new primary takes writes.
    pub async fn promote_standby(&mut self, old_primary: OldPrimary) {
        self.link.cut();
        match old_primary {
            OldPrimary::Killed => self.primary.kill().await,
            OldPrimary::Stopped => self.primary.stop().await,
            OldPrimary::Isolated => {}
        }
        let standby = self.standby.take().expect("the standby has not been promoted");
        let promoted = standby.ask("SELECT pg_promote(true, 15)").await;
        assert_eq!(promoted.as_deref(), Some("true"), "promotion; log:\n{}", standby.process.last_lines());
        self.former = Some(std::mem::replace(&mut self.primary, standby));
    }
}
