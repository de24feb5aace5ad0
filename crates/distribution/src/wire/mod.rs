//! The wire: connections, bodies, and how a file goes out without passing through this program.

mod body;
mod incoming;
mod page;
mod respond;
mod segments;
mod serve;
mod socket;

pub(crate) use body::Body;
pub(crate) use incoming::{next, whole};
pub(crate) use page::serve_metrics;
pub(crate) use segments::Segments;
pub(crate) use serve::{Listener, serve};
