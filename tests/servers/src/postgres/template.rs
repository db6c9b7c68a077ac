//! A fresh cluster directory: made once for a version of PostgreSQL, kept under the build's target, copied from then on.
//! Must not know: what runs on it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::launch::{Launch, User, find, missing};

use super::new_directory;

/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// To be raised when `initdb` is called otherwise.
const EDITION: u32 = 1;

/// A program of the newest installed version.
pub(super) fn binary(program: &str) -> PathBuf {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let installed = versions.filter_map(|version| {
        let number: u32 = version.file_name().to_str()?.parse().ok()?;
        Some((number, version.path().join("bin").join(program))).filter(|(_, file)| file.is_file())
    });
    installed.max().map_or_else(|| missing(program, "postgresql"), |(_, file)| file)
}

/// Makes `data` a fresh cluster directory that belongs to the user. Costs a copy of 40 MB, and some
/// seconds the first time.
pub(super) fn copy_to(data: &Path, user: Option<User>) {
    let template = prepared(user);
    copy(&template, data);
}

/// The template; made, if no test has made it yet, while the others wait.
fn prepared(user: Option<User>) -> PathBuf {
    let cache = target().join("servers");
    fs::create_dir_all(&cache).unwrap_or_else(|error| panic!("{}: {error}", cache.display()));
    let initdb = binary("initdb");
    let version = fs::metadata(&initdb).expect("initdb is there");
    let owner = user.map_or_else(|| "own".to_owned(), |user| user.id.to_string());
    let name = format!("postgres-{EDITION}-{}-{}-{owner}", version.mtime(), version.size());
    let template = cache.join(&name);
    let lock = File::create(cache.join("postgres.lock")).expect("a lock file");
    // Ends with the file's value, or with the process.
    lock.lock().expect("a lock on a file");
    if !template.is_dir() {
        let workspace = new_directory(user, false);
        initialize(&initdb, workspace.path(), user);
        let half = cache.join(format!("{name}.half"));
        let _ = fs::remove_dir_all(&half);
        copy(&workspace.path().join("data"), &half);
        fs::rename(&half, &template).expect("a directory can be renamed");
    }
    template
}

fn initialize(initdb: &Path, workspace: &Path, user: Option<User>) {
    let mut launch = Launch::new(initdb.to_owned(), workspace);
    launch.user = user;
    launch.argue(&["--pgdata=data", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]);
    launch.argue(&["--no-sync", "--no-instructions", "--data-checksums"]);
    run(&mut launch.command());
}

/// With owners and modes; as root, to whomever they belong.
fn copy(from: &Path, to: &Path) {
    run(Command::new(find("cp", "coreutils")).args(["-a", "--reflink=auto"]).arg(from).arg(to));
}

/// Runs a command to its end.
pub(super) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The build's target directory: Cargo marks it as a cache. Elsewhere (an installed test), the temporary directory.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let marked = test.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file());
    marked.map_or_else(std::env::temp_dir, Path::to_owned)
}
