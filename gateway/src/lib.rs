//! All of the program `hotslot` but its `main`: a library, so that micro-benchmarks reach the parts.
//! Must not know: how a command does its work.

mod alarms;
mod api;
mod auth;
mod cli;
mod commands;
mod config;
mod couriers;
mod demo;
#[cfg(test)]
mod fuzz;
mod logs;
mod machine;
mod metrics;
mod middleware;
mod nodes;
mod openapi;
#[cfg(feature = "testing")]
pub mod probes;
mod routes;
mod screen;
mod server;
mod signals;
mod startup;
mod state;
mod streams;
mod top;
mod traces;
mod waiting;

use std::process::ExitCode;

/// Does what the command line says; answers the exit code (see `main`). Must be the only thing its process does.
pub fn run() -> ExitCode {
    match commands::run(&cli::command().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in &failure.lines {
                screen::complain(line);
            }
            ExitCode::from(failure.exit_code)
        }
    }
}
