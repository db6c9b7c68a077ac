//! Does the oracle let pass what is right, and name what is wrong?
//! Must not know: the engine's actors, stores, time.

mod hand;
mod histories;
mod late;
mod records;
mod replies;
mod tour;
mod town;
mod travel;
mod wishes;
