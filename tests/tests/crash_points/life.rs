//! One life of a process that is to die at a point: started armed, and found dead by exactly that.
//! Must not know: what is asked meanwhile.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use blackbox::{Launch, Point, Server, program};

/// A process that is to end by itself, or was asked to, has ended by then.
pub const END_DEADLINE: Duration = Duration::from_secs(20);

/// Settings of every life: days sleep soon, and the journal checkpoints after a few appends.
const ARGUMENTS: [&str; 4] = ["--idle-seconds", "1", "--workers", "1"];
const CHECKPOINT_PAGES: &str = "60";

/// How a life is to end.
#[derive(Clone, Debug)]
pub struct Armed {
    directory: PathBuf,
    marker: PathBuf,
    what: String,
}

/// A life that goes on for now.
pub struct Doomed {
    /// The process.
    pub server: Server,
    armed: Armed,
}

impl Armed {
    /// On `directory`, at the `passing`-th passing of `point`.
    pub fn at(directory: &Path, point: Point, passing: u64) -> Self {
        let marker = directory.with_file_name("marker");
        Self { directory: directory.to_path_buf(), marker, what: format!("{}:{passing}", point.name()) }
    }

    /// Starts. An error if the process has died before its first line, which is asserted to be by the point.
    pub async fn launch(self) -> Option<Doomed> {
        if self.marker.exists() {
            std::fs::remove_file(&self.marker).expect("the marker of the last life");
        }
        let mut launch = launch(&self.directory);
        let marker = self.marker.to_str().expect("a path in UTF-8").to_owned();
        launch.environment.push(("HOTSLOT_TEST_CRASH_AT".to_owned(), self.what.clone()));
        launch.environment.push(("HOTSLOT_TEST_CRASH_MARKER".to_owned(), marker));
        match Server::try_launch(launch).await {
            Ok(server) => Some(Doomed { server, armed: self }),
            Err(death) => {
                let status = death.status.unwrap_or_else(|| panic!("{}: {death}", self.what));
                self.assert_by_the_point(status);
                None
            }
        }
    }

    /// Starts and dies without being asked for anything.
    pub async fn die_at_start(self) {
        if let Some(mut doomed) = self.launch().await {
            doomed.assert_killed().await;
        }
    }

    fn assert_by_the_point(&self, status: ExitStatus) {
        assert_eq!(status.signal(), Some(9), "{}: it did not die by a kill: {status:?}", self.what);
        let marker = std::fs::read_to_string(&self.marker).unwrap_or_default();
        assert_eq!(marker, self.what, "it did not die by the point");
    }
}

impl Doomed {
    /// Waits for the end; fails unless it comes by the point.
    pub async fn assert_killed(&mut self) {
        let status = self.server.ended(END_DEADLINE).await;
        self.armed.assert_by_the_point(status);
    }
}

/// A life that is to die at no point.
pub async fn unarmed(directory: &Path) -> Server {
    Server::launch(launch(directory)).await
}

fn launch(directory: &Path) -> Launch {
    Launch {
        directory: Some(directory.to_path_buf()),
        arguments: ARGUMENTS.map(str::to_owned).to_vec(),
        environment: vec![("HOTSLOT_TEST_CHECKPOINT_PAGES".to_owned(), CHECKPOINT_PAGES.to_owned())],
        ..Launch::default()
    }
}

/// Audits a directory that nobody uses: nothing may be found.
pub async fn assert_verified(directory: &Path, when: &str) {
    let output = program::run(&["verify", "--data-dir", directory.to_str().expect("a path in UTF-8")]).await;
    assert_eq!(output.code, Some(0), "{when}: {output:?}");
    assert!(output.stdout.contains("days_not_compared=0 findings=0"), "{when}: {output:?}");
}
