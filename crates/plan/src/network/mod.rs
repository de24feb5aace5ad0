//! Deciding about networks: which subnet, which address, which host port, and the packet filter's rules as data.
//! Knows no sockets and no host: what was seen there comes in as arguments.
//!
//! ```
//! use plan::network::{Addresses, PortRequest};
//! let mut addresses = Addresses::new("172.30.0.0/16".parse().unwrap());
//! assert_eq!(addresses.gateway().to_string(), "172.30.0.1");
//! assert_eq!(addresses.take().unwrap().to_string(), "172.30.0.2");
//! let request = PortRequest::parse("80/tcp", "127.0.0.1", "8080").unwrap();
//! assert_eq!((request.host_port, request.container_port), (8080, 80));
//! ```

mod addresses;
mod element;
mod endpoint;
mod ports;
mod ruleset;
mod subnet;

pub use addresses::Addresses;
pub use element::{Element, Map};
pub use endpoint::{EndpointRecord, LINK_PREFIX, Mac, link_address, link_name};
pub use ports::{EPHEMERAL, PortRequest, PortTable, Protocol, Published};
pub use ruleset::{Action, Chain, ChainKind, Hook, Point, Rule, Ruleset, Test};
pub use subnet::choose;

#[cfg(test)]
mod tests;
