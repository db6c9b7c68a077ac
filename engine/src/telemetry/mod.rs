//! What operators are told in numbers.
//! Must not know: how numbers are exported.

pub mod catalogue;
pub mod events;
pub(crate) mod lag;
pub mod meters;
pub(crate) mod pools;
pub mod queues;
pub mod stages;
