//! Links (rtnetlink(7), RTM_*LINK): bridges, veth pairs, bridge ports, counters.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::decode::{Message, find, text, u32_of};
use super::encode::{Batch, Writer};
use super::error::Error;
use super::socket::Socket;
use super::uapi::{
    AF_INET, AF_INET6, IFF_UP, IFLA_ADDRESS, IFLA_AF_SPEC, IFLA_BRPORT_MODE, IFLA_IFNAME, IFLA_INET_CONF,
    IFLA_INET6_ADDR_GEN_MODE, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND,
    IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, IFLA_NET_NS_FD, IFLA_NUM_RX_QUEUES, IFLA_NUM_TX_QUEUES,
    IFLA_STATS64, IN6_ADDR_GEN_MODE_NONE, IPV4_DEVCONF_ROUTE_LOCALNET, NLA_F_NESTED, NLM_F_CREATE,
    NLM_F_DUMP, NLM_F_EXCL, RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK, RTM_SETLINK, VETH_INFO_PEER,
};

/// Bytes of `struct ifinfomsg`.
const HEADER: usize = 16;

/// What a link is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A bridge.
    Bridge,
    /// One end of a veth pair.
    Veth,
    /// Anything else, by the kernel's name; empty for hardware and loopback.
    Other(String),
}

/// Bytes and packets that a link received and sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Errors while receiving.
    pub rx_errors: u64,
    /// Packets dropped while receiving.
    pub rx_dropped: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Errors while sending.
    pub tx_errors: u64,
    /// Packets dropped while sending.
    pub tx_dropped: u64,
}

/// A link as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number within its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: LinkKind,
    /// The bridge (or other master) it is a port of.
    pub master: Option<u32>,
    /// Whether it is set up.
    pub is_up: bool,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// Its MAC address, when it has one of six bytes.
    pub mac: Option<[u8; 6]>,
    /// Its traffic.
    pub counters: Counters,
}

/// A veth pair whose second end is made directly in another namespace.
#[derive(Clone, Copy, Debug)]
pub struct VethPair<'a> {
    /// The name of the end in the socket's namespace.
    pub name: &'a str,
    /// The bridge that end becomes a port of.
    pub master: u32,
    /// The name of the other end.
    pub peer_name: &'a str,
    /// The MAC address of the other end.
    pub peer_mac: [u8; 6],
    /// The namespace of the other end.
    pub peer_namespace: BorrowedFd<'a>,
    /// The largest packet, in bytes, on both ends.
    pub mtu: u32,
}

/// Which link a request is about.
#[derive(Clone, Copy, Debug)]
pub enum PortLink<'a> {
    /// By number.
    Index(u32),
    /// By name.
    Name(&'a str),
}

impl PortLink<'_> {
    fn header(self, up: bool) -> [u8; HEADER] {
        header(if let Self::Index(index) = self { index } else { 0 }, up)
    }

    fn put(self, w: &mut Writer<'_>) {
        if let Self::Name(name) = self {
            w.put_name(IFLA_IFNAME, name);
        }
    }
}

impl std::fmt::Display for PortLink<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Index(index) => write!(f, "link {index}"),
            Self::Name(name) => write!(f, "link {name}"),
        }
    }
}

/// `struct ifinfomsg`.
pub(super) fn header(index: u32, up: bool) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    let flags = if up { IFF_UP } else { 0 };
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&flags.to_ne_bytes());
    bytes
}

/// Makes a bridge with this number, or any for 0; `EEXIST` when the name or number is taken.
pub fn add_bridge(batch: &mut Batch, index: u32, name: &str, mac: [u8; 6], mtu: u32) {
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    batch.message(format!("create bridge {name}"), RTM_NEWLINK, flags, &header(index, false), |w| {
        w.put_name(IFLA_IFNAME, name);
        w.put(IFLA_ADDRESS, &mac);
        w.put_u32(IFLA_MTU, mtu);
        w.nest(IFLA_LINKINFO, |w| w.put_text(IFLA_INFO_KIND, "bridge"));
    });
}

/// Lets a bridge route packets from 127.0.0.0/8 (`route_localnet`) and sets it up.
pub fn configure_bridge(batch: &mut Batch, index: u32) {
    let label = format!("set route_localnet of bridge {index}");
    batch.message(label, RTM_SETLINK, 0, &header(index, true), |w| {
        w.nest(IFLA_AF_SPEC, |w| {
            w.nest(u16::from(AF_INET), |w| {
                w.nest(IFLA_INET_CONF, |w| w.put_u32(IPV4_DEVCONF_ROUTE_LOCALNET, 1));
            });
        });
    });
}

/// Makes a veth pair, one end here as a port of a bridge, the other in its namespace. Both are down.
pub fn add_veth(batch: &mut Batch, pair: &VethPair<'_>) {
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    let label = format!("create veth {} on bridge {}", pair.name, pair.master);
    batch.message(label, RTM_NEWLINK, flags, &header(0, false), |w| {
        w.put_name(IFLA_IFNAME, pair.name);
        one_queue(w);
        w.put_u32(IFLA_MTU, pair.mtu);
        w.put_u32(IFLA_MASTER, pair.master);
        w.nest(IFLA_LINKINFO, |w| {
            w.put_text(IFLA_INFO_KIND, "veth");
            w.nest(IFLA_INFO_DATA, |w| {
                w.nest_after(VETH_INFO_PEER | NLA_F_NESTED, &header(0, false), |w| {
                    w.put_name(IFLA_IFNAME, pair.peer_name);
                    one_queue(w);
                    w.put(IFLA_ADDRESS, &pair.peer_mac);
                    w.put_u32(IFLA_MTU, pair.mtu);
                    w.put_u32(IFLA_NET_NS_FD, pair.peer_namespace.as_raw_fd() as u32);
                });
            });
        });
    });
}

/// The kernel's default is a queue per processor, which costs memory by the processor and serves only XDP programs: a packet goes
/// through a veth pair without being queued.
fn one_queue(w: &mut Writer<'_>) {
    w.put_u32(IFLA_NUM_TX_QUEUES, 1);
    w.put_u32(IFLA_NUM_RX_QUEUES, 1);
}

/// Makes a link ready as a bridge port: a packet may leave by the port it came in on (so that a container reaches its
/// own published port), no IPv6 address of its own; then sets it up. Two messages.
pub fn enable_port(batch: &mut Batch, name: &str) {
    let port = PortLink::Name(name);
    // Only RTM_NEWLINK reads IFLA_LINKINFO; without NLM_F_CREATE it changes the link that is there.
    batch.message(format!("set port of bridge, {port}"), RTM_NEWLINK, 0, &port.header(false), |w| {
        port.put(w);
        w.nest(IFLA_LINKINFO, |w| {
            w.put_text(IFLA_INFO_SLAVE_KIND, "bridge");
            w.nest(IFLA_INFO_SLAVE_DATA, |w| w.put_u8(IFLA_BRPORT_MODE, 1));
        });
    });
    batch.message(format!("stop IPv6 on {port}"), RTM_SETLINK, 0, &port.header(false), |w| {
        port.put(w);
        w.nest(IFLA_AF_SPEC, |w| {
            w.nest(AF_INET6, |w| w.put_u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE));
        });
    });
    set_up(batch, port);
}

/// Makes a link a port of a bridge.
pub fn attach(batch: &mut Batch, link: PortLink<'_>, master: u32) {
    let label = format!("attach {link} to bridge {master}");
    batch.message(label, RTM_SETLINK, 0, &link.header(false), |w| {
        link.put(w);
        w.put_u32(IFLA_MASTER, master);
    });
}

/// Sets a link up.
pub fn set_up(batch: &mut Batch, link: PortLink<'_>) {
    batch.message(format!("set {link} up"), RTM_SETLINK, 0, &link.header(true), |w| link.put(w));
}

/// Removes a link; of a veth pair both ends go.
pub fn remove_link(batch: &mut Batch, link: PortLink<'_>) {
    batch.message(format!("remove {link}"), RTM_DELLINK, 0, &link.header(false), |w| link.put(w));
}

/// Looks one link up.
///
/// # Errors
/// `ENODEV` when there is none.
pub fn link(socket: &mut Socket, which: PortLink<'_>) -> Result<Link, Error> {
    let mut batch = Batch::new();
    batch.message(format!("look up {which}"), RTM_GETLINK, 0, &which.header(false), |w| which.put(w));
    let mut found = None;
    socket.ask(batch, |message| found = parse(message))?;
    found.ok_or_else(|| Error::Silence(which.to_string()))
}

/// Lists links: all, or those of one master.
///
/// # Errors
/// When the dump fails.
pub fn links(socket: &mut Socket, master: Option<u32>) -> Result<Vec<Link>, Error> {
    let request = || {
        let mut batch = Batch::new();
        batch.message("list links", RTM_GETLINK, NLM_F_DUMP, &header(0, false), |w| {
            if let Some(master) = master {
                w.put_u32(IFLA_MASTER, master);
            }
        });
        batch
    };
    let matches = |link: &Link| master.is_none() || link.master == master;
    socket.dump(request, |message| parse(message).filter(matches))
}

fn parse(message: &Message<'_>) -> Option<Link> {
    if message.kind != RTM_NEWLINK || message.payload.len() < HEADER {
        return None;
    }
    let (head, rest) = message.payload.split_at(HEADER);
    let kind = find(rest, IFLA_LINKINFO).and_then(|info| find(info, IFLA_INFO_KIND)).map(text);
    Some(Link {
        index: u32_of(&head[4..8])?,
        name: find(rest, IFLA_IFNAME).map(text)?,
        kind: match kind.as_deref() {
            Some("bridge") => LinkKind::Bridge,
            Some("veth") => LinkKind::Veth,
            other => LinkKind::Other(other.unwrap_or_default().to_owned()),
        },
        master: find(rest, IFLA_MASTER).and_then(u32_of),
        is_up: u32_of(&head[8..12])? & IFF_UP != 0,
        mac: find(rest, IFLA_ADDRESS).and_then(|mac| mac.try_into().ok()),
        mtu: find(rest, IFLA_MTU).and_then(u32_of).unwrap_or(0),
        counters: find(rest, IFLA_STATS64).map(counters).unwrap_or_default(),
    })
}

/// `struct rtnl_link_stats64`: packets, bytes, errors, dropped; received before sent.
fn counters(bytes: &[u8]) -> Counters {
    let field =
        |n: usize| bytes.get(n * 8..n * 8 + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_ne_bytes);
    Counters {
        rx_packets: field(0),
        tx_packets: field(1),
        rx_bytes: field(2),
        tx_bytes: field(3),
        rx_errors: field(4),
        tx_errors: field(5),
        rx_dropped: field(6),
        tx_dropped: field(7),
    }
}
