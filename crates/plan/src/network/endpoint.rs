//! A container's place on a network, and the names that follow from its address.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// How the host ends of endpoints are named: this, then the address in hexadecimal.
pub const LINK_PREFIX: &str = "bth";

/// A MAC address. Prints as `02:42:ac:1e:00:02`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

/// What has to be remembered of an endpoint: enough to find, show and remove it after a restart of the daemon.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// The address.
    pub ip: Ipv4Addr,
    /// Bits of the network part.
    pub prefix: u8,
    /// The bridge's address.
    pub gateway: Ipv4Addr,
    /// The MAC address of the container's end.
    pub mac: Mac,
    /// The name of the host's end.
    pub host_link: String,
}

impl EndpointRecord {
    /// The endpoint with this address on a network.
    #[must_use]
    pub fn new(ip: Ipv4Addr, prefix: u8, gateway: Ipv4Addr) -> Self {
        Self { ip, prefix, gateway, mac: Mac::of(ip), host_link: link_name(ip) }
    }
}

impl Mac {
    /// The address that Docker derives from an IPv4 address: locally administered, unique where the IP is.
    #[must_use]
    pub const fn of(ip: Ipv4Addr) -> Self {
        let [a, b, c, d] = ip.octets();
        Self([0x02, 0x42, a, b, c, d])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

impl FromStr for Mac {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fail = || Error::invalid(format!("{text:?} is not a MAC address"));
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()));
            *byte = part.and_then(|p| u8::from_str_radix(p, 16).ok()).ok_or_else(fail)?;
        }
        if parts.next().is_some() { Err(fail()) } else { Ok(Self(bytes)) }
    }
}

impl TryFrom<String> for Mac {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

/// The name of the host's end of the endpoint with this address. Unique on the host, because subnets do not overlap.
#[must_use]
pub fn link_name(ip: Ipv4Addr) -> String {
    format!("{LINK_PREFIX}{:08x}", u32::from(ip))
}

/// The address whose endpoint has a host end of this name.
#[must_use]
pub fn link_address(name: &str) -> Option<Ipv4Addr> {
    let digits = name.strip_prefix(LINK_PREFIX).filter(|d| d.len() == 8)?;
    u32::from_str_radix(digits, 16).ok().map(Ipv4Addr::from).filter(|ip| link_name(*ip) == name)
}
