//! Has the log of an SQLite file (`-wal`) lost something that was synced? Looked at before SQLite opens it.
//! Must not know: what is in the pages.
//!
//! SQLite's recovery takes the log's frames up to the first that does not fit its running checksum, and silently drops the
//! rest: after a crash that is an unfinished transaction, which nobody was told of. A damaged frame looks the same and takes
//! every transaction after it along. The two can be told apart: with `synchronous=FULL` a transaction is written only when
//! the one before is synced, so a frame that does not fit, and beyond it the end of a transaction and a frame of the next one,
//! was whole once. Only the last transaction of a log cannot be judged so.
//!
//! Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>. Integers are big-endian; the checksum's words are
//! in the order that the magic number names.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::sqlite::failure::ADVICE;
use crate::config::StartError;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// Of a log whose checksums are over little-endian words; one more: over big-endian ones.
const MAGIC: u32 = 0x377f_0682;
/// What is taken for a page if the header does not say: the size that both stores have.
const PAGE_BYTES: usize = 4_096;
/// The largest page that SQLite knows.
const PAGE_BYTES_MAX: usize = 65_536;

/// Refuses the log of the database at `database` if a transaction in it was synced and is not whole any more. One pass over
/// the log, of which a stop leaves nothing.
pub(crate) fn require_whole(database: &Path) -> Result<(), StartError> {
    let path = log_of(database);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StartError::Store(format!("{} cannot be read: {error}", path.display()))),
    };
    match first_loss(BufReader::with_capacity(1 << 20, file)) {
        Ok(None) => Ok(()),
        Ok(Some(place)) => Err(StartError::Store(format!(
            "the log {} is damaged {place}: a transaction after it was durable, and SQLite would drop it. {ADVICE}",
            path.display(),
        ))),
        Err(error) => Err(StartError::Store(format!("{} cannot be read: {error}", path.display()))),
    }
}

fn log_of(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    PathBuf::from(path)
}

/// The running checksum, and the order of its words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sum {
    first: u32,
    second: u32,
}

impl Sum {
    fn over(mut self, bytes: &[u8], is_big_endian: bool) -> Self {
        let word = |bytes: &[u8; 4]| {
            if is_big_endian { u32::from_be_bytes(*bytes) } else { u32::from_le_bytes(*bytes) }
        };
        for pair in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
            self.first = self.first.wrapping_add(word(&pair[0])).wrapping_add(self.second);
            self.second = self.second.wrapping_add(word(&pair[1])).wrapping_add(self.first);
        }
        self
    }
}

/// A number in a header.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Where a log does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
enum Place {
    #[error("in its header")]
    Header,
    #[error("at frame {number}, byte {byte}")]
    Frame { number: u64, byte: u64 },
}

/// The first place that does not fit although a later transaction was begun.
fn first_loss(mut log: impl Read) -> std::io::Result<Option<Place>> {
    let mut header = [0; HEADER_BYTES];
    if !fill(&mut log, &mut header)? {
        return Ok(None);
    }
    let is_big_endian = number(&header, 0) == MAGIC | 1;
    let header_sum = Sum { first: number(&header, 24), second: number(&header, 28) };
    let is_header_whole = number(&header, 0) | 1 == MAGIC | 1
        && Sum { first: 0, second: 0 }.over(&header[..24], is_big_endian) == header_sum;
    let page_bytes = if is_header_whole { (number(&header, 8) as usize).min(PAGE_BYTES_MAX) } else { PAGE_BYTES };
    let mut loss = (!is_header_whole).then_some(Place::Header);
    let mut salts = is_header_whole.then(|| (number(&header, 16), number(&header, 20)));
    let (mut previous, mut has_ended) = (header_sum, false);
    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
    for count in 1_u64.. {
        if !fill(&mut log, &mut frame)? {
            return Ok(None);
        }
        let own_salts = (number(&frame, 8), number(&frame, 12));
        let stored = Sum { first: number(&frame, 16), second: number(&frame, 20) };
        // Without its header a log's generation is that of its first frame.
        let is_of_log = own_salts == *salts.get_or_insert(own_salts);
        let fits = |order| previous.over(&frame[..8], order).over(&frame[FRAME_HEADER_BYTES..], order) == stored;
        let is_whole = is_of_log && (fits(is_big_endian) || (!is_header_whole && fits(!is_big_endian)));
        if is_whole && loss.is_some() && has_ended {
            return Ok(loss);
        }
        if !is_whole {
            let byte = HEADER_BYTES as u64 + (count - 1) * frame.len() as u64;
            loss = loss.or(Some(Place::Frame { number: count, byte }));
        }
        has_ended |= loss.is_some() && is_of_log && number(&frame, 4) != 0;
        previous = stored;
    }
    Ok(None)
}

/// Reads as many bytes as `buffer` has; whether there were as many.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
