//! The Docker Engine API as a client speaks it: one connection per request, hijacked streams as plain descriptors.

mod client;
mod endpoint;
mod hijack;
mod query;
mod summon;

pub(crate) use client::{Client, Payload, Stream};
pub(crate) use endpoint::Endpoint;
pub(crate) use hijack::Hijacked;
pub(crate) use query::Query;
