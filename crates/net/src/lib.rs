//! Floor 4: a container's place on the default bridge network: namespace, veth pair, address, published ports.
//! Speaks netlink only and spawns nothing; knows neither containers nor how they are recorded.
//!
//! Packets never need the daemon: bridge, packet filter and endpoints stay when it dies, and a new one takes them over
//! ([`Network::open`], [`Network::reconcile`]).
//!
//! ```no_run
//! use net::{BridgeConfig, Network, PortRequest};
//! let network = Network::open(BridgeConfig::default())?;
//! let endpoint = network.claim("some-container", None)?;
//! let web = PortRequest { proto: net::Protocol::Tcp, host_ip: [0, 0, 0, 0].into(), host_port: 8080, host_port_last: 0, container_port: 80 };
//! let published = network.publish("some-container", endpoint.record.ip, &[web])?;
//! // ... the container runs in endpoint.netns ...
//! network.release(&endpoint.record, &published)?;
//! # Ok::<(), net::Error>(())
//! ```
#![allow(
    clippy::disallowed_methods,
    reason = "a doer: threads for its pool, clocks for their patience, sockets to probe ports"
)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bridge;
mod config;
mod error;
mod filter;
mod lower;
mod maker;
mod network;
mod pool;
mod probe;
mod reaper;
mod sysctl;
mod takeover;
mod watch;

pub use config::BridgeConfig;
pub use error::Error;
pub use network::{Endpoint, Info, Network};
pub use plan::network::{EndpointRecord, Mac, PortRequest, Protocol, Published};
pub use sys::netlink::Counters;

type Result<T, E = Error> = std::result::Result<T, E>;
