//! The wire: connections, bodies, and how a file goes out without passing through this program.

mod body;
mod incoming;
mod page;
mod patient;
mod respond;
mod segments;
mod serve;
mod socket;
mod tls;

pub(crate) use body::Body;
pub(crate) use incoming::{next, whole};
pub(crate) use page::serve_metrics;
pub(crate) use segments::Segments;
pub(crate) use serve::{HEAD, Listener, serve};
pub(crate) use tls::Tls;
pub use tls::TlsOptions;
