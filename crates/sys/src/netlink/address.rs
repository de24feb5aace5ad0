//! IPv4 addresses, routes and neighbours (rtnetlink(7), RTM_*ADDR, RTM_*ROUTE and RTM_*NEIGH).

use std::net::Ipv4Addr;

use super::decode::{Message, be32, find, u32_of};
use super::encode::Batch;
use super::error::Error;
use super::socket::Socket;
use super::uapi::{
    AF_INET, IFA_ADDRESS, IFA_BROADCAST, IFA_LOCAL, NDA_DST, NDA_LLADDR, NLM_F_CREATE, NLM_F_DUMP,
    NLM_F_EXCL, NLM_F_REPLACE, NUD_PERMANENT, RT_TABLE_LOCAL, RT_TABLE_MAIN, RTA_DST, RTA_GATEWAY, RTA_OIF,
    RTA_TABLE, RTM_DELNEIGH, RTM_GETADDR, RTM_GETROUTE, RTM_NEWADDR, RTM_NEWNEIGH, RTM_NEWROUTE, RTN_UNICAST,
    RTPROT_BOOT,
};

/// An address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The link's number.
    pub link: u32,
    /// The address itself.
    pub address: Ipv4Addr,
    /// Bits of the network part.
    pub prefix: u8,
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The destination network; 0.0.0.0 with prefix 0 is the default route.
    pub destination: Ipv4Addr,
    /// Bits of the network part.
    pub prefix: u8,
    /// The link it goes out by, when it is one.
    pub link: Option<u32>,
    /// Whether it is in the main table; a VPN or a policy may have others.
    pub is_main: bool,
}

/// Gives a link an address; `EEXIST` when it has it.
pub fn add_address(batch: &mut Batch, address: Address) {
    let Address { link, address, prefix } = address;
    let [a, b, c, d] = link.to_ne_bytes();
    let header = [AF_INET, prefix, 0, 0, a, b, c, d];
    let label = format!("add address {address}/{prefix} to link {link}");
    batch.message(label, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, |w| {
        w.put(IFA_LOCAL, &address.octets());
        w.put(IFA_ADDRESS, &address.octets());
        if prefix < 31 {
            let broadcast = u32::from(address) | (u32::MAX >> prefix);
            w.put(IFA_BROADCAST, &broadcast.to_be_bytes());
        }
    });
}

/// Adds the default route by a gateway.
pub fn add_default_route(batch: &mut Batch, gateway: Ipv4Addr, link: u32) {
    let label = format!("add default route by {gateway}");
    let header = [AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0, 0, 0, 0];
    batch.message(label, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &header, |w| {
        w.put(RTA_GATEWAY, &gateway.octets());
        w.put_u32(RTA_OIF, link);
    });
}

/// Tells a link which MAC address a neighbour has, for good: nothing is asked by broadcast, and the entry does not count
/// towards the limit that all namespaces share (`gc_thresh3`, usually 1024).
pub fn add_neighbour(batch: &mut Batch, link: u32, address: Ipv4Addr, mac: [u8; 6]) {
    let label = format!("add neighbour {address} to link {link}");
    let flags = NLM_F_CREATE | NLM_F_REPLACE;
    batch.message(label, RTM_NEWNEIGH, flags, &neighbour(link, NUD_PERMANENT), |w| {
        w.put(NDA_DST, &address.octets());
        w.put(NDA_LLADDR, &mac);
    });
}

/// Forgets a neighbour.
pub fn remove_neighbour(batch: &mut Batch, link: u32, address: Ipv4Addr) {
    let label = format!("remove neighbour {address} from link {link}");
    batch.message(label, RTM_DELNEIGH, 0, &neighbour(link, 0), |w| w.put(NDA_DST, &address.octets()));
}

/// `struct ndmsg`.
fn neighbour(link: u32, state: u8) -> [u8; 12] {
    let [a, b, c, d] = link.to_ne_bytes();
    [AF_INET, 0, 0, 0, a, b, c, d, state, 0, 0, 0]
}

/// Lists the IPv4 addresses of all links.
///
/// # Errors
/// When the dump fails.
pub fn addresses(socket: &mut Socket) -> Result<Vec<Address>, Error> {
    let request = || {
        let mut batch = Batch::new();
        batch.message("list addresses", RTM_GETADDR, NLM_F_DUMP, &[AF_INET, 0, 0, 0, 0, 0, 0, 0], |_| {});
        batch
    };
    socket.dump(request, |message: &Message<'_>| {
        let (head, rest) = message.payload.split_at_checked(8)?;
        let local = find(rest, IFA_LOCAL).or_else(|| find(rest, IFA_ADDRESS)).and_then(be32)?;
        (message.kind == RTM_NEWADDR && head[0] == AF_INET).then_some(())?;
        Some(Address { link: u32_of(&head[4..8])?, address: local.into(), prefix: head[1] })
    })
}

/// Lists the IPv4 routes of every table but that of the host's own addresses.
///
/// # Errors
/// When the dump fails.
pub fn routes(socket: &mut Socket) -> Result<Vec<Route>, Error> {
    let request = || {
        let mut batch = Batch::new();
        let header = [AF_INET, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        batch.message("list routes", RTM_GETROUTE, NLM_F_DUMP, &header, |_| {});
        batch
    };
    socket.dump(request, |message: &Message<'_>| {
        let (head, rest) = message.payload.split_at_checked(12)?;
        let table = find(rest, RTA_TABLE).and_then(u32_of).unwrap_or(u32::from(head[4]));
        let wanted = message.kind == RTM_NEWROUTE && head[0] == AF_INET && table != u32::from(RT_TABLE_LOCAL);
        wanted.then(|| Route {
            destination: find(rest, RTA_DST).and_then(be32).unwrap_or(0).into(),
            prefix: head[1],
            link: find(rest, RTA_OIF).and_then(u32_of),
            is_main: table == u32::from(RT_TABLE_MAIN),
        })
    })
}
