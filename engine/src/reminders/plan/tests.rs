//! Which rows a change gives.
//! Must not know: stores.
