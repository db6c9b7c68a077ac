//! The journal on Redis against real servers: alone, with replicas, as a cluster.
//! Must not know: how the journal is made.

mod cluster;
mod contract;
mod failover;
mod fence;
mod memory;
mod promises;
mod silent;
mod start;
mod support;
