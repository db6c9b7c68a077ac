//! The world in which processes are killed: doctors, days, and a directory left behind by a kill, with a ledger that lags.
//! Must not know: scripts, points but the one that makes it lag.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use blackbox::{Client, Day, Launch, Plan, Point, Server, Wish, fresh_id};
use tempfile::TempDir;

use super::life;
use super::notebook::Notebook;

/// Bookings of the first patients: enough records for a snapshot when their day sleeps.
const EARLIER: usize = 20;

/// Days that are there from the beginning, and doctors who publish more.
#[derive(Debug)]
pub struct Days {
    /// Where most is asked.
    pub busy: Day,
    /// Moves go between these two.
    pub home: Day,
    /// See `home`.
    pub away: Day,
    /// Many want its last slot at once.
    pub crowded: Day,
    /// Nothing is asked of these but holds, so that their own timers end them.
    pub brief: [Day; 2],
    /// Doctors who publish.
    pub doctors: [String; 2],
}

impl Days {
    /// All of the beginning.
    pub fn all(&self) -> impl Iterator<Item = &Day> {
        [&self.busy, &self.home, &self.away, &self.crowded].into_iter().chain(&self.brief)
    }

    async fn publish(server: &Server) -> Self {
        let (first, second) = (server.new_doctor().await, server.new_doctor().await);
        let (third, fourth) = (server.new_doctor().await, server.new_doctor().await);
        Self {
            busy: server.publish_for(&first, &Plan::quarters_of(8, 12)).await,
            home: server.publish_for(&second, &Plan::quarters_of(4, 4)).await,
            away: server.publish_for(&first, &Plan::quarters_of(4, 4).later(1)).await,
            crowded: server.publish_for(&third, &Plan::quarters_of(4, 3)).await,
            brief: [
                server.publish_for(&third, &Plan::quarters_of(2, 1).later(2)).await,
                server.publish_for(&fourth, &Plan::quarters_of(2, 1).later(2)).await,
            ],
            doctors: [first, second],
        }
    }
}

/// See the module.
pub struct Stage {
    directory: TempDir,
    /// What is published.
    pub days: Arc<Days>,
    /// What the first patients were told.
    pub earlier: Notebook,
    /// Who they are.
    pub patients: Vec<String>,
}

impl Stage {
    /// Publishes, stops cleanly, books, and dies before the ledger has any of the bookings.
    pub async fn prepare() -> Self {
        let directory = TempDir::with_prefix("hotslot-stage-").expect("a temporary directory");
        let data = directory.path().join("data");
        let mut server = Server::launch(Launch { directory: Some(data.clone()), ..Launch::default() }).await;
        let days = Days::publish(&server).await;
        assert!(server.terminate(life::END_DEADLINE).await.status.success());
        let (mut earlier, patients) = (Notebook::default(), (0..EARLIER).map(|_| fresh_id()).collect::<Vec<_>>());
        let mut armed = life::Armed::at(&data, Point::LedgerApplyBeforeCommit, 1).launch().await.expect("it starts");
        for (number, patient) in patients.iter().enumerate() {
            let wish = Wish::slot(&days.busy, number % 4);
            if earlier
                .ask(&format!("earlier {number}"), None, armed.server.patient_as(patient).book(&wish))
                .await
                .is_none()
            {
                break;
            }
        }
        assert!(earlier.answered() > 0, "something was sold before the applier came");
        armed.assert_killed().await;
        Self { directory, days: Arc::new(days), earlier, patients }
    }

    /// A copy of the directory, below `workspace`.
    pub fn copy(&self, workspace: &Path) -> PathBuf {
        let copy = workspace.join("data");
        std::fs::create_dir(&copy).expect("a directory");
        for file in std::fs::read_dir(self.directory.path().join("data")).expect("the stage") {
            let file = file.expect("a file of the stage");
            std::fs::copy(file.path(), copy.join(file.file_name())).expect("a copy");
        }
        copy
    }

    /// Asks again what the first patients asked, and what was not answered; `None` if the process dies.
    pub async fn play_earlier(&self, notebook: &mut Notebook, client: impl Fn(&str) -> Client) -> Option<()> {
        for (number, patient) in self.patients.iter().enumerate() {
            let wish = Wish::slot(&self.days.busy, number % 4);
            notebook.ask(&format!("earlier {number}"), None, client(patient).book(&wish)).await?;
        }
        Some(())
    }
}
