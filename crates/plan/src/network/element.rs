//! The map elements that publish one container's ports.

use std::fmt;
use std::net::Ipv4Addr;

use super::ports::{Protocol, Published};

/// The two maps of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Map {
    /// protocol . host address . port → address . port
    Exact,
    /// protocol . port → address . port, for every address of the host
    Wildcard,
}

/// A map element: what arrives here goes there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Element {
    /// The protocol.
    pub proto: Protocol,
    /// The host's address; nothing means each of them.
    pub host_ip: Option<Ipv4Addr>,
    /// The host's port.
    pub host_port: u16,
    /// The container's address.
    pub ip: Ipv4Addr,
    /// The container's port.
    pub port: u16,
}

impl Map {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Exact, Self::Wildcard];

    /// Its name in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "published",
            Self::Wildcard => "published-anywhere",
        }
    }

    /// The key's type as nft writes it.
    #[must_use]
    pub const fn key_type(self) -> &'static str {
        match self {
            Self::Exact => "inet_proto . ipv4_addr . inet_service",
            Self::Wildcard => "inet_proto . inet_service",
        }
    }
}

impl Element {
    /// The element that publishes a port of the container with this address.
    #[must_use]
    pub fn new(published: &Published, ip: Ipv4Addr) -> Self {
        let Published { proto, host_ip, host_port, container_port } = *published;
        let host_ip = (!host_ip.is_unspecified()).then_some(host_ip);
        Self { proto, host_ip, host_port, ip, port: container_port }
    }

    /// Which map it belongs to.
    #[must_use]
    pub const fn map(&self) -> Map {
        if self.host_ip.is_some() { Map::Exact } else { Map::Wildcard }
    }

    /// The key as the kernel compares it: every field padded to 32 bits.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        let mut key = vec![self.proto.number(), 0, 0, 0];
        key.extend(self.host_ip.map(|ip| ip.octets()).into_iter().flatten());
        key.extend(padded(self.host_port));
        key
    }

    /// The value: address and port, padded likewise.
    #[must_use]
    pub fn value(&self) -> Vec<u8> {
        [self.ip.octets(), padded(self.port)].concat()
    }

    /// Reads an element of `map` back; nothing when it is not one of ours.
    #[must_use]
    pub fn read(map: Map, key: &[u8], value: &[u8]) -> Option<Self> {
        let (proto, rest) = key.split_first_chunk::<4>()?;
        let (host_ip, rest) = match map {
            Map::Wildcard => (None, rest),
            Map::Exact => {
                rest.split_first_chunk::<4>().map(|(ip, rest)| (Some(Ipv4Addr::from(*ip)), rest))?
            }
        };
        let (ip, port) = value.split_first_chunk::<4>()?;
        let proto = Protocol::of_number(proto[0])?;
        let element =
            Self { proto, host_ip, host_port: unpadded(rest)?, ip: (*ip).into(), port: unpadded(port)? };
        (element.key() == key && element.value() == value).then_some(element)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} . ", self.proto)?;
        if let Some(ip) = self.host_ip {
            write!(f, "{ip} . ")?;
        }
        write!(f, "{} : {} . {}", self.host_port, self.ip, self.port)
    }
}

const fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

fn unpadded(bytes: &[u8]) -> Option<u16> {
    let bytes: [u8; 4] = bytes.try_into().ok()?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}
