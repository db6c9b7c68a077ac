//! What a process has used so far: processor time and memory, as Linux tells it.
//! Must not know: which process it is, what it does.

/// Ticks a second of the times in `/proc/<id>/stat`: fixed in Linux towards programs (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
/// Places of user and of system time in `/proc/<id>/stat`, counted after the name in brackets.
const USER: usize = 11;
const SYSTEM: usize = 12;

/// Seconds of processor time, of all threads, in user and system mode; exact to a hundredth. `None` if it is gone.
pub(super) fn cpu_seconds(id: u32) -> Option<f64> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// Resident memory in bytes.
pub(super) fn resident_bytes(id: u32) -> Option<u64> {
    parse_status(&std::fs::read_to_string(format!("/proc/{id}/status")).ok()?)
}

/// The name may have spaces and brackets in it, so what counts stands behind the last bracket.
fn parse_stat(text: &str) -> Option<f64> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = |place: usize| fields.get(place)?.parse::<f64>().ok();
    Some((ticks(USER)? + ticks(SYSTEM)?) / TICKS_PER_SECOND)
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
        let text = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0 9 0 1 2 3";
        assert_eq!(parse_stat(text), Some(4.0));
        assert_eq!(parse_stat("42 (short) S 1"), None);
        assert_eq!(parse_stat("nothing"), None);
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
