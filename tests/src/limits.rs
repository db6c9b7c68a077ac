//! Limits of processes (open files, size of files), set from outside with `prlimit` and `sh`.
//! Must not know: what the limited process does.

use std::process::Command;

/// Open files that a thousand clients and some reserve need.
const OPEN_FILES_NEEDED: u64 = 8_192;

/// Raises this process's soft limit of open files if it is too low for a thousand clients; children inherit it.
pub fn allow_many_open_files() {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("/proc/self/limits");
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next())
        .expect("a line on open files");
    let enough = soft == "unlimited" || soft.parse::<u64>().is_ok_and(|files| files >= OPEN_FILES_NEEDED);
    if !enough {
        prlimit(std::process::id(), &format!("--nofile={OPEN_FILES_NEEDED}:"));
    }
}

/// Lets no file of the live process grow past `bytes` from now on. A process that ignores SIGXFSZ gets `EFBIG` from
/// its next write, which is an input/output error that no free space can explain.
pub fn cap_file_size(process: u32, bytes: u64) {
    prlimit(process, &format!("--fsize={bytes}:{bytes}"));
}

/// Sends a signal, such as `TERM`.
pub fn signal(process: u32, name: &str) {
    run(Command::new("sh").arg("-c").arg(format!("kill -s {name} {process}")));
}

/// Lets nobody else read that file, as the program demands of keys.
pub fn make_private(file: &std::path::Path) {
    run(Command::new("chmod").arg("600").arg(file));
}

fn prlimit(process: u32, limit: &str) {
    run(Command::new("prlimit").arg("--pid").arg(process.to_string()).arg(limit));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
