//! The file channel: the lines of the contract, batches, torn ends, files moved away.
//! Must not know: how it writes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use messages::{ChannelKind, Channels, FileSettings, Kind, Settings};
use serde_json::Value;
use tempfile::TempDir;

use super::support::{NOW_MS, envelope, open, send};

const TO: &str = "0198-patient";

fn settings(path: &Path) -> Settings {
    Settings { file: Some(FileSettings { path: path.to_owned() }), ..Settings::default() }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the file");
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

#[tokio::test]
async fn a_line_has_what_the_contract_says_and_only_its_owner_reads_it() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("outbox.jsonl");
    let channel = open(settings(&path), ChannelKind::File);
    let message = envelope(ChannelKind::File, Kind::Reminder, TO);
    send(&*channel, &message).await.expect("written");
    let line = lines(&path).remove(0);
    let names: Vec<&str> = line.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut contract = [
        "message_id",
        "kind",
        "appointment_id",
        "appointment_version",
        "offset_seconds",
        "channel",
        "to",
        "subject",
        "text",
        "sent_at",
        "calendar",
    ];
    contract.sort_unstable();
    assert_eq!(names, contract);
    assert_eq!(line["kind"], "reminder");
    assert_eq!(line["channel"], "file");
    assert_eq!(line["to"], TO);
    assert_eq!(line["offset_seconds"], 86_400);
    assert_eq!(line["appointment_version"], 1);
    assert_eq!(line["sent_at"], "2027-01-01T00:00:00.123Z");
    assert_eq!(line["text"], message.rendered.text.as_str());
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_batch_is_written_in_order() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("outbox.jsonl");
    let channel = open(settings(&path), ChannelKind::File);
    let batch: Vec<_> = (0..channel.batch_max() as u32)
        .map(|version| {
            let mut message = envelope(ChannelKind::File, Kind::Change, TO);
            message.notice.version = version;
            message
        })
        .collect();
    let results = channel.send(&batch, NOW_MS).await;
    assert!(results.len() == batch.len() && results.iter().all(Result::is_ok));
    let versions: Vec<u64> = lines(&path).iter().filter_map(|line| line["appointment_version"].as_u64()).collect();
    assert!(versions.iter().copied().eq(0..batch.len() as u64));
    assert!(channel.send(&[], NOW_MS).await.is_empty());
}

#[tokio::test]
async fn wherever_a_crash_tears_the_last_line_the_file_is_whole_again_after_the_start() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("outbox.jsonl");
    let first = open(settings(&path), ChannelKind::File);
    let message = envelope(ChannelKind::File, Kind::Reminder, TO);
    for _ in 0..2 {
        send(&*first, &message).await.expect("written");
    }
    let whole = fs::read(&path).expect("the file");
    let line = whole.len() / 2;
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).expect("torn");
        drop(open(settings(&path), ChannelKind::File));
        // A line that lacks only its end is whole.
        let kept = (length + 1) / line;
        assert_eq!(lines(&path).len(), kept, "torn at {length} of {}", whole.len());
    }
}

#[tokio::test]
async fn a_long_torn_line_is_cut_and_what_others_wrote_into_the_file_meanwhile_stays() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("outbox.jsonl");
    let channel = open(settings(&path), ChannelKind::File);
    let message = envelope(ChannelKind::File, Kind::Reminder, TO);
    send(&*channel, &message).await.expect("written");
    let mut text = fs::read_to_string(&path).expect("the file");
    text.push_str(&"{".repeat(200_000));
    fs::write(&path, text).expect("torn");
    send(&*channel, &message).await.expect("written after mending, in the same life");
    assert_eq!(lines(&path).len(), 2);
}

#[tokio::test]
async fn a_file_that_is_moved_away_is_followed_by_a_new_one() {
    let folder = TempDir::new().expect("a folder");
    let (path, old) = (folder.path().join("outbox.jsonl"), folder.path().join("outbox.jsonl.1"));
    let channel = open(settings(&path), ChannelKind::File);
    let message = envelope(ChannelKind::File, Kind::Reminder, TO);
    send(&*channel, &message).await.expect("written");
    fs::rename(&path, &old).expect("moved");
    send(&*channel, &message).await.expect("written to a new file");
    assert_eq!((lines(&old).len(), lines(&path).len()), (1, 1));
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("something else is there");
    let error = send(&*channel, &message).await.expect_err("no file");
    assert!(!error.is_permanent(), "{error}");
}

#[tokio::test]
async fn a_file_that_cannot_be_is_told_at_the_start() {
    let folder = TempDir::new().expect("a folder");
    let errors = Channels::open(settings(folder.path())).expect_err("a folder is no file");
    assert!(errors.len() == 1 && errors[0].to_string().starts_with("outbox: cannot be opened: "), "{errors:?}");
}
