//! Who may use a data directory: one process at a time.
//! Must not know: which stores live in it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::config::StartError;

/// The file whose lock is the right to use the directory. It stays when the lock goes.
const LOCK_FILE: &str = "hotslot.lock";

/// An exclusive lock of a data directory. The system releases it when this is dropped or the process ends, however it
/// ends.
#[derive(Debug)]
pub struct DirectoryLock {
    directory: PathBuf,
    /// Open for as long as the lock is held.
    _file: File,
}

impl DirectoryLock {
    /// Creates `directory` if absent (mode 0700) and locks it. [`StartError::InUse`] with the holder's process id if
    /// somebody else has it.
    pub fn acquire(directory: &Path) -> Result<Self, StartError> {
        let failed = |what: &str, error: std::io::Error| {
            StartError::Store(format!("cannot {what} {}: {error}", directory.display()))
        };
        create(directory).map_err(|error| failed("create the data directory", error))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join(LOCK_FILE))
            .map_err(|error| failed("open the lock file of", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StartError::InUse { directory: directory.to_path_buf(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", error)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| failed("write the lock file of", error))?;
        crash_point!(DirectoryLocked);
        Ok(Self { directory: directory.to_path_buf(), _file: file })
    }

    /// The locked directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the names of newly created files durable.
    pub fn sync_names(&self) -> std::io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// A directory that is new must itself survive a loss of power, so its parent's names are synced.
fn create(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let parent = std::path::absolute(directory)?;
    match parent.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// The process id in the lock file. `None` if the holder has not written it yet.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_holder_is_refused_with_the_first_ones_process_id() {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = parent.path().join("data");
        let lock = DirectoryLock::acquire(&directory).expect("the first gets it");
        let mode = std::fs::metadata(&directory).expect("it was created").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        match DirectoryLock::acquire(&directory) {
            Err(StartError::InUse { directory: named, holder }) => {
                assert_eq!(named, directory);
                assert_eq!(holder, Some(std::process::id()));
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
        drop(lock);
        DirectoryLock::acquire(&directory).expect("free again");
    }
}
