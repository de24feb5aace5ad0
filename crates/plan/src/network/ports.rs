//! Which host ports are asked for, and which are taken.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use types::Kind;

use crate::Error;

/// The host ports that are chosen from when none is asked for: Linux's usual `ip_local_port_range`.
pub const EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;

/// A transport protocol whose ports can be published.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A container's port that is to be reachable by a port of the host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PortRequest {
    /// The protocol.
    pub proto: Protocol,
    /// The host's address; 0.0.0.0 means each of them.
    pub host_ip: Ipv4Addr,
    /// The host's port; 0 means any free one of [`EPHEMERAL`].
    pub host_port: u16,
    /// The last one of a range that the first free port is chosen from; not above `host_port` means there is no range.
    #[serde(default)]
    pub host_port_last: u16,
    /// The container's port.
    pub container_port: u16,
}

/// A port that is published: like the request, with the host port that was chosen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Published {
    /// The protocol.
    pub proto: Protocol,
    /// The host's address; 0.0.0.0 means each of them.
    pub host_ip: Ipv4Addr,
    /// The host's port.
    pub host_port: u16,
    /// The container's port.
    pub container_port: u16,
}

/// The host ports that are taken by containers.
#[derive(Clone, Debug)]
pub struct PortTable {
    taken: HashMap<(Protocol, u16), Vec<Ipv4Addr>>,
    cursor: u16,
}

impl Protocol {
    /// Its name in lower case, as in `80/tcp`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Its number in the IP header.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// The protocol with this number.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Sctp].into_iter().find(|p| p.number() == number)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found =
            [Self::Tcp, Self::Udp, Self::Sctp].into_iter().find(|p| text.eq_ignore_ascii_case(p.name()));
        found.ok_or_else(|| Error::invalid(format!("invalid protocol: {text}")))
    }
}

impl PortRequest {
    /// Reads a binding of the Docker API: the container's port as in `80/tcp` (`80` means TCP), the host's address
    /// (empty means all) and the host's port (empty or `0` means any free one, `8000-8010` the first free one of these).
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] when a part is malformed; [`Kind::Unimplemented`] for an IPv6 address.
    pub fn parse(container: &str, host_ip: &str, host_port: &str) -> Result<Self, Error> {
        let (port, proto) = container.split_once('/').unwrap_or((container, "tcp"));
        let host_ip = match host_ip {
            "" => Ipv4Addr::UNSPECIFIED,
            text if text.contains(':') => {
                return Err(Error::unimplemented(format!("cannot publish on IPv6 address {text}")));
            }
            text => text.parse().map_err(|_| Error::invalid(format!("invalid host address: {text}")))?,
        };
        let (first, last) = host_port.split_once('-').unwrap_or((host_port, "0"));
        let (first, last) = (if first.is_empty() { 0 } else { number(first)? }, number(last)?);
        if host_port.contains('-') && (first == 0 || last < first) {
            return Err(Error::invalid(format!("invalid range of ports: {host_port:?}")));
        }
        Ok(Self {
            proto: proto.parse()?,
            host_ip,
            host_port: first,
            host_port_last: last,
            container_port: number(port).and_then(|p| match p {
                0 => Err(Error::invalid(format!("invalid container port: {port}"))),
                p => Ok(p),
            })?,
        })
    }
}

/// A port: digits only, where `parse` would take a plus sign.
fn number(text: &str) -> Result<u16, Error> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| Error::invalid(format!("invalid port: {text:?}")))
}

impl Default for PortTable {
    fn default() -> Self {
        Self { taken: HashMap::new(), cursor: *EPHEMERAL.start() }
    }
}

impl PortTable {
    /// Chooses and takes a host port for every request, or none at all. `is_free` answers whether no socket of the host
    /// is bound there.
    ///
    /// # Errors
    /// [`Kind::Conflict`] in Docker's words when a port is taken, [`Kind::Exhausted`] when no ephemeral one is left.
    pub fn take(
        &mut self,
        requests: &[PortRequest],
        is_free: &mut dyn FnMut(Protocol, Ipv4Addr, u16) -> bool,
    ) -> Result<Vec<Published>, Error> {
        let mut chosen = vec![0; requests.len()];
        // Ports asked for by number come first, so that none of them is given away as one of a range or an ephemeral one.
        let mut order: Vec<_> = requests.iter().enumerate().collect();
        order.sort_by_key(|(_, r)| (r.host_port == 0, r.host_port_last > r.host_port));
        for (index, request) in order {
            match self.take_one(request, is_free) {
                Ok(port) => chosen[index] = port,
                Err(error) => {
                    for (request, port) in requests.iter().zip(chosen).filter(|(_, port)| *port != 0) {
                        self.remove(request.proto, request.host_ip, port);
                    }
                    return Err(error);
                }
            }
        }
        Ok(requests.iter().zip(chosen).map(|(request, port)| request.at(port)).collect())
    }

    fn take_one(
        &mut self,
        request: &PortRequest,
        is_free: &mut dyn FnMut(Protocol, Ipv4Addr, u16) -> bool,
    ) -> Result<u16, Error> {
        let PortRequest { proto, host_ip, host_port, host_port_last, .. } = *request;
        let mut free =
            |table: &Self, port| !table.clashes(proto, host_ip, port) && is_free(proto, host_ip, port);
        let port = if host_port != 0 {
            let sentence = || format!("Bind for {host_ip}:{host_port} failed: port is already allocated");
            let found = (host_port..=host_port.max(host_port_last)).find(|port| free(self, *port));
            found.ok_or_else(|| Error::new(Kind::Conflict, sentence()))?
        } else {
            let order = (self.cursor..=*EPHEMERAL.end()).chain(*EPHEMERAL.start()..self.cursor);
            let port = order.into_iter().find(|port| free(self, *port)).ok_or_else(|| {
                let (first, last) = (EPHEMERAL.start(), EPHEMERAL.end());
                Error::new(Kind::Exhausted, format!("every {proto} port from {first} to {last} is taken"))
            })?;
            self.cursor = if port == *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            port
        };
        self.taken.entry((proto, port)).or_default().push(host_ip);
        Ok(port)
    }

    /// Takes ports that a running container has from an earlier daemon, without asking.
    pub fn adopt(&mut self, published: &[Published]) {
        for port in published {
            self.taken.entry((port.proto, port.host_port)).or_default().push(port.host_ip);
        }
    }

    /// Gives ports back.
    pub fn free(&mut self, published: &[Published]) {
        for port in published {
            self.remove(port.proto, port.host_ip, port.host_port);
        }
    }

    /// How many ports are taken.
    #[must_use]
    pub fn count(&self) -> usize {
        self.taken.values().map(Vec::len).sum()
    }

    /// An address clashes with itself, and 0.0.0.0 with each.
    fn clashes(&self, proto: Protocol, ip: Ipv4Addr, port: u16) -> bool {
        let clash = |other: &Ipv4Addr| *other == ip || other.is_unspecified() || ip.is_unspecified();
        self.taken.get(&(proto, port)).is_some_and(|ips| ips.iter().any(clash))
    }

    fn remove(&mut self, proto: Protocol, ip: Ipv4Addr, port: u16) {
        let Some(ips) = self.taken.get_mut(&(proto, port)) else { return };
        if let Some(found) = ips.iter().position(|other| *other == ip) {
            ips.swap_remove(found);
        }
        if ips.is_empty() {
            self.taken.remove(&(proto, port));
        }
    }
}

impl PortRequest {
    const fn at(self, host_port: u16) -> Published {
        Published { proto: self.proto, host_ip: self.host_ip, host_port, container_port: self.container_port }
    }
}
