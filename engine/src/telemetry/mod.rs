//! What operators are told: in numbers, and of single requests.
//! Must not know: how that is exported.

pub mod catalogue;
pub mod events;
pub(crate) mod lag;
pub mod meters;
pub(crate) mod pools;
pub mod queues;
pub mod stages;
pub mod trace;
