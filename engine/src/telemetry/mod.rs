//! What operators are told: in numbers, and of single requests.
//! Must not know: how that is exported.

pub mod catalogue;
pub mod meters;
pub mod trace;
