//! Where new identifiers come from, as a port: a simulator gives the same ones for the same seed.
//! Must not know: what is being named.

use uuid::Uuid;

/// A source of identifiers that never repeat.
pub trait Ids: Send + Sync + 'static {
    /// A new UUID, version 7.
    fn next(&self) -> Uuid;
}

/// UUID version 7 from the machine's clock and randomness.
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "the engine's id port is the one place that makes ids")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}
