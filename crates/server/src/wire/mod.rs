//! HTTP: connections, routing, parameters, bodies, headers, raw streams. Nothing here knows what a call means.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod fields;
pub(crate) mod hijack;
pub(crate) mod mux;
pub(crate) mod query;
pub(crate) mod router;
mod serve;
pub(crate) mod version;

pub use serve::{Bound, serve};
