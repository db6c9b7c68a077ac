//! Other ways to book a place, each behind the same HTTP call, for `loadtest compare` to measure hotslot against.
//! Must not know: hotslot, who loads it, what is measured.

mod answer;
mod bare;
mod batches;
mod http;
mod peer;
mod postgres;
mod redis_counter;
mod redis_lock;
mod redis_store;
mod row_lock;
mod unique_index;
mod wish;

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use clap::Parser;

use crate::peer::{PeerError, Setup};

/// Exit code of a peer that could not be started.
const EXIT_NOT_STARTED: u8 = 2;

fn main() -> ExitCode {
    let setup = Setup::parse();
    match actix_web::rt::System::new().block_on(serve(setup)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be told if even this fails.
            drop(writeln!(std::io::stderr(), "peers: {error}"));
            ExitCode::from(EXIT_NOT_STARTED)
        }
    }
}

/// Serves until SIGTERM or SIGINT, or until standard input ends: a peer does not outlive the run that started it.
async fn serve(setup: Setup) -> Result<(), PeerError> {
    let shared = peer::prepare(&setup).await?;
    let (address, server) = http::start(&setup, shared)?;
    let handle = server.handle();
    std::thread::Builder::new().name("parent-watch".to_owned()).spawn(move || {
        wait_for_end_of_input();
        drop(handle.stop(false));
    })?;
    writeln!(std::io::stdout(), "listening http://{address}")?;
    std::io::stdout().flush()?;
    Ok(server.await?)
}

/// Returns once whoever holds the other end of standard input is gone.
fn wait_for_end_of_input() {
    let mut input = std::io::stdin().lock();
    let mut ignored = [0; 64];
    while matches!(input.read(&mut ignored), Ok(1..)) {}
}
