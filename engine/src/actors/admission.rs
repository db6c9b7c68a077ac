//! How many commands may be inside the engine at once, and who is turned away.
//! Must not know: what the commands are about.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::{ADMITTED_HARD_MAX, ADMITTED_MAX};

/// Which lane a command takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    /// Takes a place: shed under load.
    Sheddable,
    /// Gives a place back, confirms, expires, manages a day: never shed by load.
    Protected,
}

/// Counts commands that were admitted and not yet answered.
#[derive(Default)]
pub struct Admission {
    admitted: AtomicUsize,
}

impl Admission {
    /// A permit for one command, or `None` if it must be turned away.
    pub fn admit(self: &Arc<Self>, lane: Lane) -> Option<Permit> {
        let bound = match lane {
            Lane::Sheddable => ADMITTED_MAX,
            Lane::Protected => ADMITTED_HARD_MAX,
        };
        let before = self.admitted.fetch_add(1, Ordering::AcqRel);
        let permit = Permit { admission: Arc::clone(self) };
        (before < bound).then_some(permit)
    }

    /// Commands inside now.
    pub fn admitted(&self) -> usize {
        self.admitted.load(Ordering::Acquire)
    }
}

/// The right of one command to be inside; given back when dropped.
pub struct Permit {
    admission: Arc<Admission>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.admitted.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protected_commands_pass_where_sheddable_ones_are_turned_away() {
        let admission = Arc::new(Admission::default());
        let held: Vec<_> = (0..ADMITTED_MAX).map(|_| admission.admit(Lane::Sheddable).expect("room")).collect();
        assert!(admission.admit(Lane::Sheddable).is_none());
        assert!(admission.admit(Lane::Protected).is_some());
        assert_eq!(admission.admitted(), ADMITTED_MAX);
        drop(held);
        assert_eq!(admission.admitted(), 0);
        assert!(admission.admit(Lane::Sheddable).is_some());
    }
}
