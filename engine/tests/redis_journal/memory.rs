//! x
//! Must not know: x.
