//! Two nodes in one process, and who speaks for what set by hand: whichever is asked, the one that speaks answers.
//! Must not know: how shards change hands by themselves.

mod lists;
mod pair;
mod streams;
mod tls;
mod ways;
