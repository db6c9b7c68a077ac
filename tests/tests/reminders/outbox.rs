//! The file that the embedded program writes its messages to.
//! Must not know: when there should be any.

use std::path::PathBuf;
use std::time::Duration;

use blackbox::{Server, eventually};
use serde_json::{Value, json};

/// How long a message may be on its way on a busy machine. A bound of liveness, not of speed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// `outbox.jsonl` of one server.
pub struct Outbox(PathBuf);

impl Outbox {
    /// The server's.
    pub fn of(server: &Server) -> Self {
        Self(server.directory().join("outbox.jsonl"))
    }

    /// Every whole line; a line that is just being written has no end yet.
    pub fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }

    /// Those of one appointment.
    pub fn lines_of(&self, id: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["appointment_id"] == json!(id)).collect()
    }

    /// The first line that `fits`, when there is one.
    pub async fn until(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(what, PATIENCE, async || self.lines().into_iter().find(&fits)).await
    }
}
