//! Making an endpoint: a namespace, a veth pair into it, address and route. Three messages in the host's namespace
//! with the port's, four in the new one, each lot sent at once.

use std::os::fd::{AsFd, OwnedFd};

use plan::network::EndpointRecord;
use rustix::io::Errno;
use sys::netlink::{Address, Batch, Family, PortLink, Socket, VethPair};
use types::Kind;

use crate::bridge::Bridge;
use crate::{Endpoint, Error, Result, sysctl};

/// The name of the container's end.
const INNER: &str = "eth0";

/// What one thread needs to make endpoints. The thread changes its namespace while it does, so nothing else may run on
/// it.
#[derive(Debug)]
pub(crate) struct Maker {
    home: OwnedFd,
    route: Socket,
    bridge: Bridge,
    bridge_name: String,
}

impl Maker {
    /// For the calling thread, which is in the host's namespace.
    pub(crate) fn new(bridge: Bridge, bridge_name: &str) -> Result<Self> {
        let home = sys::netlink::namespace::current()
            .map_err(|e| Error::call("open network namespace", "/proc", e))?;
        let route =
            Socket::open(Family::Route).map_err(|e| Error::netlink("open netlink socket", "rtnetlink", e))?;
        Ok(Self { home, route, bridge, bridge_name: bridge_name.to_owned() })
    }

    /// Makes the endpoint with this address. When it fails, what was made vanishes with its namespace.
    pub(crate) fn make(&mut self, ip: std::net::Ipv4Addr) -> Result<Endpoint> {
        let record = EndpointRecord::new(ip, self.bridge.subnet.prefix_len(), self.bridge.gateway);
        sys::netlink::namespace::enter_new()
            .map_err(|e| Error::call("create network namespace", "network namespaces (CONFIG_NET_NS)", e))?;
        let made = self.fill(&record);
        // The thread must not keep the container's namespace alive; if it cannot go home, its next one replaces it.
        let _ = sys::netlink::namespace::enter(&self.home);
        made.map(|netns| Endpoint { netns, record })
    }

    /// In the new namespace.
    fn fill(&mut self, record: &EndpointRecord) -> Result<OwnedFd> {
        let netns = sys::netlink::namespace::current()
            .map_err(|e| Error::call("open new network namespace", "/proc", e))?;
        sysctl::disable_ipv6()
            .map_err(|e| Error::call("turn IPv6 off in a new network namespace", "/proc/sys", e))?;
        let mut inner =
            Socket::open(Family::Route).map_err(|e| Error::netlink("open netlink socket", "rtnetlink", e))?;
        self.connect(record, &netns)?;
        let index = rustix::net::netdevice::name_to_index(&inner, INNER)
            .map_err(|e| Error::call("find the new link", "network devices", e))?;
        let mut batch = Batch::new();
        sys::netlink::set_up(&mut batch, PortLink::Name("lo"));
        sys::netlink::set_up(&mut batch, PortLink::Index(index));
        let address = Address { link: index, address: record.ip, prefix: record.prefix };
        sys::netlink::add_address(&mut batch, address);
        sys::netlink::add_neighbour(&mut batch, index, record.gateway, self.bridge.mac);
        sys::netlink::add_default_route(&mut batch, record.gateway, index);
        inner
            .apply(batch)
            .map_err(|e| Error::netlink(format!("give {} to a container", record.ip), "IPv4", e))?;
        Ok(netns)
    }

    /// The veth pair, from the host's side.
    fn connect(&mut self, record: &EndpointRecord, netns: &OwnedFd) -> Result<()> {
        let mut batch = Batch::new();
        let pair = VethPair {
            name: &record.host_link,
            master: self.bridge.index,
            peer_name: INNER,
            peer_mac: record.mac.0,
            peer_namespace: netns.as_fd(),
            mtu: self.bridge.mtu,
        };
        sys::netlink::add_veth(&mut batch, &pair);
        sys::netlink::enable_port(&mut batch, &record.host_link);
        sys::netlink::add_neighbour(&mut batch, self.bridge.index, record.ip, record.mac.0);
        let what = format!("connect {} to bridge {}", record.ip, self.bridge_name);
        let failures = self.route.send(batch).map_err(|e| Error::netlink(what.clone(), "rtnetlink", e))?;
        // Only the kernel without IPv6 may refuse, and only to turn IPv6 off.
        let refused = failures.into_iter().find(|f| f.errno != Errno::AFNOSUPPORT || f.index == 0);
        match refused {
            None => Ok(()),
            Some(failure) if failure.errno == Errno::XFULL => {
                let sentence = "has 1023 ports, as many as Linux allows: remove containers from it";
                Err(Error::new(Kind::Exhausted, format!("bridge {} {sentence}", self.bridge_name)))
            }
            Some(failure) => Err(Error::netlink(what, "veth pairs (CONFIG_VETH)", failure.into())),
        }
    }
}
