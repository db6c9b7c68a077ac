//! Do the servers do what the tests of others rely on?
//! Must not know: how they are started.

mod cluster;
mod nats;
mod postgres;
mod process;
mod proxy;
mod redis;
