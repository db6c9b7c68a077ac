//! Where new identifiers come from, as a port: a simulator gives the same ones for the same seed; and such as follow from what they name.
//! Must not know: what is being named.

use uuid::{Builder, Uuid};

/// A source of identifiers that never repeat.
pub trait Ids: Send + Sync + 'static {
    /// A new UUID, version 7.
    fn next(&self) -> Uuid;
}

/// A UUID of version 5 over `parts`, one behind the other: the same for the same parts. Parts of one meaning each have one length, or come last.
pub(crate) fn derived(parts: &[&[u8]]) -> Uuid {
    let mut digest = sha1_smol::Sha1::new();
    parts.iter().for_each(|part| digest.update(part));
    let [hash @ .., _, _, _, _] = digest.digest().bytes();
    Builder::from_sha1_bytes(hash).into_uuid()
}

/// UUID version 7 from the machine's clock and randomness.
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "the engine's id port is the one place that makes ids")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}
