//! The program `hotslot`: which command, which exit code.
//! Must not know: how a command does its work.
//!
//! Exit codes: 0 done, 1 a failure while running (of `verify`: findings), 2 wrong settings or a data directory in use (of
//! `verify`: everything that keeps it from its end).

use std::process::ExitCode;

/// A booking's parts are made on one thread and freed on another, which this allocator is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hotslot::run()
}
