//! Netlink (netlink(7)): a checked encoder and decoder, the socket, and the rtnetlink batches of links, addresses and routes.
//! Knows message formats, not what they are used for. Every length is checked where it is written (CVE-2021-43784).

mod address;
mod decode;
mod encode;
mod error;
mod link;
pub mod namespace;
mod socket;
mod transfer;
mod uapi;

pub use address::{
    Address, Route, add_address, add_default_route, add_neighbour, addresses, remove_neighbour, routes,
};
pub(crate) use decode::find;
pub use decode::{Attribute, Malformed, Message, attributes, be16, be32, messages, text, u32_of};
pub use encode::{Batch, TooLong, Writer};
pub use error::{Error, Failure};
pub use link::{
    Counters, Link, LinkKind, PortLink, VethPair, add_bridge, add_veth, attach, configure_bridge,
    enable_port, link, links, remove_link, set_up,
};
pub use socket::{Family, Socket};
pub use transfer::{KeptAddress, kept_addresses, move_link, return_address};
pub(crate) use uapi::{NLM_F_CREATE, NLM_F_DUMP};

#[cfg(test)]
mod tests;
