//! The whole engine in a simulated world: the real core, actors, committer, directory, applier and moves, on virtual time, in one
//! thread, under one seed; with stores, clocks, clients and a network that fail as the seed decides, and an oracle that judges every reply.
//! Must not know: HTTP, SQL, real time.

pub mod kernel;
pub mod random;
