//! How requests get onto the wire and answers off it, as cheaply as two shared cores demand.
//! Must not know: how many places there are, or how a run is judged.

pub(crate) mod clock;
pub(crate) mod connection;
pub(crate) mod cpu;
pub(crate) mod descriptors;
pub(crate) mod press;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod share;
pub(crate) mod target;
