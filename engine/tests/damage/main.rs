//! Does the program ever read something else than was written, and not say so? Bytes of records and whole files are
//! flipped, overwritten, zeroed and cut.
//! Must not know: HTTP.

mod bytes;
mod dice;
mod files;
mod history;
mod round;
mod world;
mod wound;
