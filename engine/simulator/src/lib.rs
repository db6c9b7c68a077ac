//! The whole engine in a simulated world: the real core, actors, committer, directory, applier and moves, on virtual time, in one
//! thread, under one seed; with stores, clocks, clients and a network that fail as the seed decides, and an oracle that judges every reply.
//! Must not know: HTTP, SQL, real time.

pub mod doubles;
pub mod kernel;
pub mod network;
pub mod node;
pub mod oracle;
pub mod planted;
pub mod random;
pub mod report;
mod rest;
pub mod scenario;
pub mod stage;
pub mod weather;
pub mod words;
pub mod workload;
pub mod world;

/// Has panics that a run plants go unmentioned; all others are told as usual.
pub fn quiet_planted_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some(node::PLANTED_PANIC) {
            usual(info);
        }
    }));
}
