//! What a process has used so far: processor time and memory, as Linux tells it.
//! Must not know: which process it is, what it does.

use std::collections::BTreeMap;

/// Ticks a second of the times in `/proc/<id>/stat`: fixed in Linux towards programs (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
/// Places in `/proc/<id>/stat` of the parent's id, of user and of system time, and of both of the children that have ended and were
/// waited for, counted after the name in brackets.
const PARENT: usize = 1;
const USER: usize = 11;
const SYSTEM: usize = 12;
const CHILDREN_USER: usize = 13;
const CHILDREN_SYSTEM: usize = 14;

/// A process as one reading of `/proc/<id>/stat` has it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    parent: u32,
    /// Of all its threads.
    own_seconds: f64,
    /// Of its children that have ended and were waited for, and of theirs.
    ended_children_seconds: f64,
}

/// Seconds of processor time, of all threads, in user and system mode; exact to a hundredth. `None` if it is gone.
pub(crate) fn cpu_seconds(id: u32) -> Option<f64> {
    seen(id).map(|seen| seen.own_seconds)
}

/// Seconds of processor time of a process and of everything that it has started, running or ended. PostgreSQL serves each connection by
/// a child, and each child leads a process group of its own, so that parents are followed. `None` if it is gone.
pub(crate) fn tree_seconds(id: u32) -> Option<f64> {
    let entries = std::fs::read_dir("/proc").ok()?;
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    of_tree(&ids.filter_map(|id| Some((id, seen(id)?))).collect(), id)
}

fn of_tree(processes: &BTreeMap<u32, Seen>, root: u32) -> Option<f64> {
    processes.get(&root)?;
    let (mut seconds, mut open) = (0.0, vec![root]);
    while let Some(id) = open.pop() {
        seconds += processes.get(&id).map_or(0.0, |seen| seen.own_seconds + seen.ended_children_seconds);
        // Nobody is its own parent, but for the id 0 that is none.
        open.extend(
            processes.iter().filter(|(child, seen)| seen.parent == id && **child != id).map(|(child, _)| *child),
        );
    }
    Some(seconds)
}

fn seen(id: u32) -> Option<Seen> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// Resident memory in bytes.
pub(crate) fn resident_bytes(id: u32) -> Option<u64> {
    parse_status(&std::fs::read_to_string(format!("/proc/{id}/status")).ok()?)
}

/// The name may have spaces and brackets in it, so what counts stands behind the last bracket.
fn parse_stat(text: &str) -> Option<Seen> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = |place: usize| fields.get(place)?.parse::<f64>().ok();
    Some(Seen {
        parent: fields.get(PARENT)?.parse().ok()?,
        own_seconds: (ticks(USER)? + ticks(SYSTEM)?) / TICKS_PER_SECOND,
        ended_children_seconds: (ticks(CHILDREN_USER)? + ticks(CHILDREN_SYSTEM)?) / TICKS_PER_SECOND,
    })
}

fn parse_status(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added_whatever_the_name() {
        let text = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 150 30 20 20 0 9 0 1 2 3";
        assert_eq!(parse_stat(text), Some(Seen { parent: 1, own_seconds: 4.0, ended_children_seconds: 0.5 }));
        assert_eq!(parse_stat("42 (short) S 1"), None);
        assert_eq!(parse_stat("nothing"), None);
    }

    #[test]
    fn a_tree_counts_children_and_their_children_and_nobody_else() {
        let seen = |parent, own_seconds, ended_children_seconds| Seen { parent, own_seconds, ended_children_seconds };
        let processes = BTreeMap::from([
            (1, seen(0, 100.0, 100.0)),
            (7, seen(1, 1.0, 0.5)),
            (8, seen(7, 2.0, 0.0)),
            (9, seen(8, 4.0, 0.25)),
            (10, seen(1, 50.0, 0.0)),
        ]);
        assert_eq!(of_tree(&processes, 7), Some(7.75));
        assert_eq!(of_tree(&processes, 11), None);
    }

    #[test]
    fn what_a_child_has_used_is_found_while_it_runs_and_after_it_has_ended() {
        // Counts to many, then says so and waits for the end of its input.
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; read line";
        let outer = format!("sh -c '{script}'; echo ended; read line");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &outer]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        assert_eq!(lines.next().unwrap().unwrap(), "done");
        let running = tree_seconds(child.id()).unwrap();
        assert!(running >= 0.02, "{running}");
        assert!(cpu_seconds(child.id()).unwrap() < running);
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"\n").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "ended");
        assert!(tree_seconds(child.id()).unwrap() >= running);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(tree_seconds(child.id()), None);
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(parse_status("Name:\tx\nVmRSS:\t    2 kB\nThreads:\t1\n"), Some(2_048));
        assert_eq!(parse_status("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let id = std::process::id();
        assert!(resident_bytes(id).is_some_and(|bytes| bytes > 0));
        assert!(cpu_seconds(id).is_some());
        assert_eq!(cpu_seconds(u32::MAX), None);
    }
}
