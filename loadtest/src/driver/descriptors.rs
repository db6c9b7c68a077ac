//! Room for open sockets: raises this process's own limit of open files where the system lets it.
//! Must not know: what the sockets are for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;

/// Files that are open beside the sockets that are asked for: standard streams, event queues, reports, the readers of
/// the audit.
const OTHERS: u64 = 64;

/// There is no room.
#[derive(Debug, Error)]
#[error(
    "{needed} files must be open at once, connections above all, but this system allows {allowed}: run `ulimit -n {needed}` \
     first, where necessary as root, or ask for fewer connections"
)]
pub(crate) struct DescriptorError {
    needed: u64,
    allowed: u64,
}

/// Makes room for that many sockets. Only the soft limit is raised, up to the hard one, and only as far as needed.
pub(crate) fn make_room(sockets: u64) -> Result<(), DescriptorError> {
    let needed = sockets.saturating_add(OTHERS);
    let Some(limit) = raised(getrlimit(Resource::Nofile), needed)? else { return Ok(()) };
    let maximum = limit.maximum;
    setrlimit(Resource::Nofile, limit).map_err(|_| DescriptorError { needed, allowed: maximum.unwrap_or(u64::MAX) })
}

/// The limit to be set; `None`: there is room already. `None` in a limit means that there is none.
fn raised(limit: Rlimit, needed: u64) -> Result<Option<Rlimit>, DescriptorError> {
    let is_room = |bound: Option<u64>| bound.is_none_or(|bound| bound >= needed);
    match limit {
        Rlimit { current, .. } if is_room(current) => Ok(None),
        Rlimit { maximum, .. } if is_room(maximum) => Ok(Some(Rlimit { current: Some(needed), maximum })),
        Rlimit { maximum, .. } => Err(DescriptorError { needed, allowed: maximum.unwrap_or(u64::MAX) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_as_far_as_needed_and_never_lowered() {
        let limit = |current, maximum| Rlimit { current, maximum };
        let soft = |limit, needed| raised(limit, needed).map(|limit| limit.map(|limit| limit.current));
        assert_eq!(soft(limit(Some(1_024), Some(20_000)), 8_064).unwrap(), Some(Some(8_064)));
        assert_eq!(soft(limit(Some(20_000), Some(20_000)), 8_064).unwrap(), None);
        assert_eq!(soft(limit(None, None), 8_064).unwrap(), None);
        assert_eq!(soft(limit(Some(1_024), None), 8_064).unwrap(), Some(Some(8_064)));
        let error = soft(limit(Some(1_024), Some(4_096)), 8_064).unwrap_err().to_string();
        assert!(error.contains("ulimit -n 8064") && error.contains("allows 4096"), "{error}");
    }

    #[test]
    fn a_few_sockets_always_have_room() {
        make_room(1).unwrap();
    }
}
