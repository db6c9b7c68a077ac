//! Whether everybody was told after a crash what happened to their visits: each message at least once, again only under the same id and as
//! often as processes have died, and none after the death for what was over before it.
//! Must not know: scripts, points.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use blackbox::{Server, eventually, instant_of, now};
use serde_json::Value;

use super::notebook::Notebook;

/// What was claimed by the dead process, or waits for its next attempt, is out by then.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the dead have left: lines of the file, and the version of every appointment that was answered by then.
#[derive(Debug, Default)]
pub struct Before {
    lines: usize,
    versions: BTreeMap<String, u64>,
}

impl Before {
    /// Nobody is at work on `directory`.
    pub fn of(directory: &Path, notebooks: &[&Notebook]) -> Self {
        let known = notebooks.iter().flat_map(|notebook| &notebook.appointments);
        let versions = known.map(|(id, known)| (id.clone(), known.answered["version"].as_u64().expect("a version")));
        Self { lines: lines(directory).len(), versions: versions.collect() }
    }
}

/// Every whole line of the file to which messages go.
fn lines(directory: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(directory.join("outbox.jsonl")).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Fails unless every message of an appointment of `notebooks` is out that should be, after `deaths`.
pub async fn assert_all_are_told(server: &Server, notebooks: &[&Notebook], before: &Before, deaths: usize) {
    let admin = server.admin();
    for id in notebooks.iter().flat_map(|notebook| notebook.appointments.keys()) {
        let path = format!("/v1/appointments/{id}/reminders");
        let settled = async || {
            let rows = admin.get(&path).await.expect(200).json()["items"].as_array().expect("a list").clone();
            let is_open = |row: &Value| {
                row["status"] == "sending" || row["status"] == "pending" && instant_of(&row["due_at"]) <= now()
            };
            (!rows.iter().any(is_open)).then_some(rows)
        };
        let rows = eventually(&format!("the messages of {id} are out"), PATIENCE, settled).await;
        let all = lines(server.directory());
        for row in &rows {
            let copies: Vec<&Value> = all.iter().filter(|line| line["message_id"] == row["message_id"]).collect();
            match row["status"].as_str() {
                Some("sent") => assert!(!copies.is_empty(), "recorded and not sent: {row}"),
                // Perhaps out, by somebody who died before it was recorded.
                Some("cancelled") => {}
                _ => assert!(copies.is_empty(), "sent: {row}"),
            }
            assert!(copies.len() <= 1 + deaths, "{} copies after {deaths} deaths: {copies:#?}", copies.len());
            let same = |line: &&Value| ["kind", "appointment_version", "text", "to"].map(|name| line[name].clone());
            assert!(copies.windows(2).all(|pair| same(&pair[0]) == same(&pair[1])), "not copies: {copies:#?}");
        }
        let of_it = |line: &&Value| line["appointment_id"] == id.as_str();
        for line in all.iter().filter(of_it) {
            assert!(rows.iter().any(|row| row["message_id"] == line["message_id"]), "nobody's message: {line}");
        }
        let known = before.versions.get(id).copied().unwrap_or_default();
        for line in all[before.lines..].iter().filter(of_it) {
            let version = line["appointment_version"].as_u64().expect("a version");
            assert!(version >= known, "sent after a death, for what was version {known} before it: {line}");
        }
    }
}
