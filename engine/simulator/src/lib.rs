//! What the engine must be seen to do: an independent model that judges every record and every reply.
//! Must not know: how the engine decides.

pub mod oracle;
