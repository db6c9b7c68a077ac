//! What happens when this process ends without having cleaned up: killed, or stopped by its runner.
//! Must not know: what the server is.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::launch::find;

/// Waits for the end of its input, which comes with the end of this process. Then it deletes the directory, as often as a
/// server that is still ending writes to it. The servers themselves end by the kernel's signal, and a stopped one too: the
/// kernel continues what it orphans, and a postmaster that shuts down at once kills what does not end.
const SCRIPT: &str = r#"read -r line
tries=0
until rm -rf "$1" || [ $tries = 100 ]; do tries=$((tries + 1)); sleep 0.1; done"#;

/// A shell that outlives this process for a moment. Dropping it ends it, without any effect.
#[derive(Debug)]
pub(crate) struct Guard(Child);

impl Guard {
    /// Guards a directory.
    pub(crate) fn of(directory: &Path) -> Self {
        let mut command = Command::new(find("sh", "dash"));
        command.args(["-c", SCRIPT, "guard"]).arg(directory);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Self(command.spawn().expect("a shell can be started"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Killed before its input ends.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
