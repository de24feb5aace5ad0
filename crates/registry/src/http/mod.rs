//! HTTP/1.1 as a client: names, connections, TLS, proxies, and one exchange at a time. Knows nothing of registries: no
//! redirects, no credentials, no second tries. Several connections carry blobs faster than one with several streams.

mod body;
mod connect;
mod failure;
mod payload;
mod pool;
mod proxy;
mod resolve;
mod tls;
mod transport;
mod url;
mod watch;

pub(crate) use body::Body;
pub(crate) use failure::{Failure, Trouble};
pub(crate) use payload::{Payload, Pieces};
pub use proxy::Proxies;
pub(crate) use tls::{Tls, Trust};
pub(crate) use transport::{Patience, Request, Response, Transport};
pub(crate) use url::{Origin, Url, escape};
