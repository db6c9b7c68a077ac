//! The generator as several processes: one generator on one core is not enough for every server.
//! Must not know: how a run is judged.
//!
//! The parent draws nothing for its children: each draws the whole plan from the same scenario and seed and takes every
//! N-th arrival, so that together they offer exactly what one process would, in the same order. Each mints patients of
//! its own, which are new and so nobody else's. Afterwards it sends every record, not its sums: the parent sums up and
//! audits all of them at once, as if one process had made them.

pub(crate) mod child;
mod parent;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use parent::{Crew, CrewError, Part};
pub(crate) use words::{Order, Share};
