//! The file channel: JSON lines in `outbox.jsonl`. A batch is one write and one sync; a line that a crash tore is mended at the next start.
//! Must not know: who reads the file.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Channel, Envelope, Receipt, SendError};
use crate::alert::Alert;
use crate::instant::instant;
use crate::notice::ChannelKind;
use crate::secret::Address;

/// Messages of one write: one or two megabytes, which take milliseconds.
const BATCH_MAX: usize = 1_024;
/// A line is looked for in steps of this many bytes, from the end.
const STEP: usize = 64 << 10;

/// Appends to one file. It may be moved away at any time: the next batch begins a new one.
pub(super) struct FileChannel {
    outbox: Arc<Mutex<Outbox>>,
    /// One writer at a time: a disk that hangs keeps one thread and not many.
    turn: Arc<Semaphore>,
    deadline: Duration,
}

struct Outbox {
    path: PathBuf,
    file: File,
}

impl FileChannel {
    /// Opens or creates the file, readable by its owner only, and mends its end.
    pub(super) fn open(path: PathBuf, deadline: Duration) -> io::Result<Self> {
        let file = open(&path)?;
        Ok(Self { outbox: Arc::new(Mutex::new(Outbox { path, file })), turn: Arc::new(Semaphore::new(1)), deadline })
    }

    /// One write and one sync, in a thread that may block. Given up is not undone: the write may still happen.
    async fn append(&self, bytes: Vec<u8>) -> Result<(), SendError> {
        let write = async {
            let turn = Arc::clone(&self.turn).acquire_owned().await;
            let outbox = Arc::clone(&self.outbox);
            let written = spawn_blocking(move || {
                let _turn = turn;
                outbox.lock().append(&bytes)
            });
            written.await.map_err(io::Error::other).flatten()
        };
        match timeout(self.deadline, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(SendError::transient(format!("the file was not written: {}", error.kind()))),
            Err(_) => Err(SendError::transient("the file was not written in time")),
        }
    }
}

#[async_trait]
impl Channel for FileChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::File
    }

    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    async fn send(&self, batch: &[Envelope], now_ms: i64) -> Vec<Result<Receipt, SendError>> {
        let mut bytes = Vec::with_capacity(batch.len() * 1_536);
        for envelope in batch {
            Line::new(envelope, now_ms).write(&mut bytes);
        }
        let result = if batch.is_empty() { Ok(()) } else { self.append(bytes).await };
        batch.iter().map(|_| result.clone().map(|()| Receipt::default())).collect()
    }

    async fn alert(&self, to: &Address, alert: &Alert, now_ms: i64) -> Result<Receipt, SendError> {
        let mut bytes = Vec::new();
        Line::of_alert(to, alert, now_ms).write(&mut bytes);
        self.append(bytes).await.map(|()| Receipt::default())
    }
}

/// A line of the file, in the order of the contract. That of an alert has all the names too, so that whoever reads lines finds them.
#[derive(Serialize)]
struct Line<'a> {
    message_id: uuid::Uuid,
    kind: &'static str,
    appointment_id: Option<uuid::Uuid>,
    appointment_version: Option<u32>,
    offset_seconds: Option<u32>,
    channel: &'static str,
    to: &'a str,
    subject: Cow<'a, str>,
    text: Cow<'a, str>,
    sent_at: String,
    /// The same visit as in a mail, without mail addresses in it.
    calendar: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<serde_json::Value>,
}

impl<'a> Line<'a> {
    fn new(envelope: &'a Envelope, now_ms: i64) -> Self {
        let (notice, rendered) = (&envelope.notice, &envelope.rendered);
        Self {
            message_id: envelope.message_id,
            kind: notice.kind.word(),
            appointment_id: Some(notice.appointment_id),
            appointment_version: Some(notice.version),
            offset_seconds: Some(notice.offset_seconds),
            channel: ChannelKind::File.word(),
            to: envelope.to.expose(),
            subject: Cow::Borrowed(&rendered.subject),
            text: Cow::Borrowed(&rendered.text),
            sent_at: instant(now_ms),
            calendar: rendered.calendar.as_ref().map(|event| event.to_ics(None, now_ms)),
            alert: None,
        }
    }

    fn of_alert(to: &'a Address, alert: &Alert, now_ms: i64) -> Self {
        Self {
            message_id: alert.message_id,
            kind: Alert::WORD,
            appointment_id: None,
            appointment_version: None,
            offset_seconds: None,
            channel: ChannelKind::File.word(),
            to: to.expose(),
            subject: Cow::Owned(alert.subject()),
            text: Cow::Owned(alert.text()),
            sent_at: instant(now_ms),
            calendar: None,
            alert: Some(alert.figures()),
        }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        serde_json::to_writer(&mut *bytes, self).expect("a line is plain text and numbers");
        bytes.push(b'\n');
    }
}

impl Outbox {
    /// All or nothing, as far as the disk lets us: what a failed write has left is cut off again, here or at the next one.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.is_at_its_path() {
            self.file = open(&self.path)?;
        }
        mend(&mut self.file)?;
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        written.inspect_err(|_| {
            // If this fails too, the next append mends the torn line; whole lines stay, and go out twice.
            let _ = self.file.set_len(before);
        })
    }

    /// Whether the path still leads to the open file.
    fn is_at_its_path(&self) -> bool {
        let (Ok(open), Ok(there)) = (self.file.metadata(), self.path.metadata()) else { return false };
        (open.dev(), open.ino()) == (there.dev(), there.ino())
    }
}

/// Opens for appending; a new file is made durable in its folder too.
fn open(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    if is_new && let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    mend(&mut file)?;
    Ok(file)
}

/// Makes the file end in a whole line: a last line that lacks only its end gets it, any other torn one is cut off. What is torn was never
/// answered as sent, so it goes out again.
fn mend(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut last = [0];
    if length == 0 || file.read_exact_at(&mut last, length - 1).is_ok() && last == *b"\n" {
        return Ok(());
    }
    let begin = begin_of_last_line(file, length)?;
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(begin))?;
    file.read_to_end(&mut tail)?;
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&tail) {
        Ok(_) => file.write_all(b"\n")?,
        Err(_) => file.set_len(begin)?,
    }
    file.sync_data()
}

/// Where the last line begins, in bytes from the start.
fn begin_of_last_line(file: &File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut step = vec![0; STEP];
    while end > 0 {
        let begin = end.saturating_sub(STEP as u64);
        let bytes = &mut step[..usize::try_from(end - begin).unwrap_or(STEP)];
        file.read_exact_at(bytes, begin)?;
        if let Some(position) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + position as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}
