//! A disk that is small: a file system in memory with a few megabytes, which can be filled up and emptied.
//! Must not know: who writes on it.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What is written at once while filling up.
const CHUNK: [u8; 4_096] = [0; 4_096];

/// A mounted file system of limited size; unmounted when dropped. Declare it before what works on it.
#[derive(Debug)]
pub struct SmallDisk {
    mount_point: TempDir,
}

impl SmallDisk {
    /// Mounts a new one. Mounting needs root: without it the test fails, because a test that is left out proves nothing.
    pub fn mount(mebibytes: u32) -> Self {
        let mount_point = TempDir::with_prefix("hotslot-disk-").expect("a temporary directory");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "hotslot-test"])
            .arg(mount_point.path())
            .output()
            .expect("`mount` can be run");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cannot mount a small tmpfs; run the tests as root: {complaint}");
        Self { mount_point }
    }

    /// A directory on it.
    pub fn directory(&self) -> PathBuf {
        self.mount_point.path().join("data")
    }

    /// Fills it up but for about `left_bytes`.
    pub fn fill(&self, left_bytes: u64) {
        let mut ballast = File::create(self.ballast()).expect("a file on the small disk");
        loop {
            match ballast.write(&CHUNK) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("filling the small disk: {error}"),
            }
        }
        let size = ballast.metadata().expect("the ballast's size").len();
        ballast.set_len(size.saturating_sub(left_bytes)).expect("the ballast can be cut");
    }

    /// Gives back what [`SmallDisk::fill`] took.
    pub fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("the ballast can be removed");
    }

    fn ballast(&self) -> PathBuf {
        self.mount_point.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(self.mount_point.path());
    }
}

/// Lazily, so that it also works while a killed process is still going away.
fn unmount(path: &Path) {
    let done = Command::new("umount").arg("-l").arg(path).status();
    if !done.is_ok_and(|status| status.success()) {
        eprintln!("could not unmount {}", path.display());
    }
}
