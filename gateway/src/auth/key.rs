//! The key that signs tokens: 32 random bytes in the data directory, made by whoever comes first.
//! Must not know: what is signed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Length of a key in bytes.
pub(crate) const KEY_BYTES: usize = 32;
/// Name of the key file below the data directory.
pub(crate) const KEY_FILE: &str = "jwt.key";

/// A signing key. Not `Debug`, so that it reaches no log.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SigningKey([u8; KEY_BYTES]);

impl SigningKey {
    /// From raw bytes.
    pub(crate) fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub(crate) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The file or its directory cannot be used.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no key.
    #[error("{} has {length} bytes; a key has exactly {KEY_BYTES} raw bytes", .path.display())]
    Length {
        /// Which.
        path: PathBuf,
        /// Its length, as far as it was read.
        length: usize,
    },
    /// The system gives no randomness.
    #[error("the system gives no random bytes for a new key")]
    Randomness,
}

/// The key below `data_dir`, made there (and the directory with it, mode 0700) if it is absent. However many
/// processes do this at once, all of them get the same key.
pub(crate) fn load_or_create(data_dir: &Path) -> Result<SigningKey, KeyError> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(|source| file_error(data_dir, source))?;
    let path = data_dir.join(KEY_FILE);
    match load(&path) {
        Err(KeyError::File { source, .. }) if source.kind() == ErrorKind::NotFound => create(data_dir, &path),
        found => found,
    }
}

/// The key in `path`.
pub(crate) fn load(path: &Path) -> Result<SigningKey, KeyError> {
    let file = File::open(path).map_err(|source| file_error(path, source))?;
    let mut bytes = Vec::with_capacity(KEY_BYTES + 1);
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|source| file_error(path, source))?;
    let length = bytes.len();
    bytes.try_into().map(SigningKey).map_err(|_| KeyError::Length { path: path.to_owned(), length })
}

/// Writes a new key beside `path` and links it there, which fails if somebody else was faster: then theirs counts.
fn create(data_dir: &Path, path: &Path) -> Result<SigningKey, KeyError> {
    let temporary = data_dir.join(format!(".{KEY_FILE}.{:032x}", u128::from_be_bytes(random()?)));
    let key = SigningKey(random()?);
    write_whole(&temporary, &key).map_err(|source| file_error(&temporary, source))?;
    engine::crash_point!(KeyBeforeLink);
    let linked = fs::hard_link(&temporary, path);
    engine::crash_point!(KeyLinked);
    let removed = fs::remove_file(&temporary);
    match linked {
        Ok(()) => {
            removed.map_err(|source| file_error(&temporary, source))?;
            File::open(data_dir)
                .and_then(|directory| directory.sync_all())
                .map_err(|source| file_error(data_dir, source))?;
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => load(path),
        Err(source) => Err(file_error(path, source)),
    }
}

fn write_whole(path: &Path, key: &SigningKey) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&key.0)?;
    file.sync_all()
}

/// Random bytes of the cryptographic provider.
fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], KeyError> {
    let mut bytes = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KeyError::Randomness)?;
    Ok(bytes)
}

fn file_error(path: &Path, source: std::io::Error) -> KeyError {
    KeyError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn everyone_who_comes_at_once_gets_the_same_key() {
        let directory = tempfile::tempdir().expect("a directory");
        let data_dir = directory.path().join("deep/data");
        let keys: Vec<SigningKey> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| load_or_create(&data_dir).expect("a key"))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(keys.iter().all(|key| key == &keys[0]));
        let stored = fs::read(data_dir.join(KEY_FILE)).expect("stored");
        assert_eq!(stored, keys[0].as_bytes());
        let names: Vec<_> =
            fs::read_dir(&data_dir).expect("listed").map(|entry| entry.expect("entry").file_name()).collect();
        assert_eq!(names, [KEY_FILE], "nothing is left behind");
        let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        assert_eq!((mode(&data_dir), mode(&data_dir.join(KEY_FILE))), (0o700, 0o600));
    }

    #[test]
    fn a_file_of_another_length_is_no_key() {
        let directory = tempfile::tempdir().expect("a directory");
        for length in [0, 31, 33, 4096] {
            fs::write(directory.path().join(KEY_FILE), vec![7; length]).expect("written");
            assert!(matches!(load_or_create(directory.path()), Err(KeyError::Length { .. })), "{length}");
        }
    }

    #[test]
    fn two_directories_have_two_keys() {
        let directory = tempfile::tempdir().expect("a directory");
        let key = |name| load_or_create(&directory.path().join(name)).expect("a key");
        assert!(key("a") != key("b"));
    }
}
