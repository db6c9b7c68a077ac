//! How much processor time the calling thread has used.
//! Must not know: what it was used for.

/// Nanoseconds on a processor since the calling thread began; `None` where the system does not tell (it does on
/// Linux, through the scheduler's statistics).
pub(crate) fn thread_nanos() -> Option<u64> {
    parse_schedstat(&std::fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// The first of the three numbers: time on the processor, in nanoseconds.
fn parse_schedstat(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_first_number_only() {
        assert_eq!(parse_schedstat("123456789 42 7\n"), Some(123_456_789));
        assert_eq!(parse_schedstat(""), None);
        assert_eq!(parse_schedstat("nothing here"), None);
    }
}
