//! What happens to every request before and after its handler; the order is in `edge`.
//! Must not know: what a call does.

pub(crate) mod accept;
pub(crate) mod access_log;
pub(crate) mod edge;
mod elsewhere;
pub(crate) mod measures;
pub(crate) mod rate_limit;
pub(crate) mod request_name;
