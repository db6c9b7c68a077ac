//! What operators are told in numbers.
//! Must not know: how numbers are exported.

pub mod catalogue;
pub mod meters;
