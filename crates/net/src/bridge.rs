//! The bridge: made once, found again by later daemons.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use plan::network::{Addresses, Mac, choose};
use rustix::io::Errno;
use sys::netlink::{Address, Batch, Link, LinkKind, PortLink, Route, Socket};
use types::Kind;

use crate::{BridgeConfig, Error, Result, sysctl};

/// The bridge as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bridge {
    pub(crate) index: u32,
    pub(crate) subnet: Ipv4Net,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) mac: [u8; 6],
    pub(crate) mtu: u32,
}

/// Ethernet's usual size, where there is no default route to learn from.
const USUAL_MTU: u32 = 1500;

/// Finds or makes the bridge, gives it its address and sets it up.
pub(crate) fn open(socket: &mut Socket, config: &BridgeConfig) -> Result<Bridge> {
    let name = &config.bridge;
    let present = find(socket, name)?;
    let addresses =
        sys::netlink::addresses(socket).map_err(|e| Error::netlink("list addresses", "IPv4", e))?;
    let routes = sys::netlink::routes(socket).map_err(|e| Error::netlink("list routes", "IPv4", e))?;
    let mtu = config.mtu.or_else(|| uplink_mtu(socket, &routes)).unwrap_or(USUAL_MTU);
    let own = present.as_ref().and_then(|link| addresses.iter().find(|a| a.link == link.index));
    let own_net = own.and_then(|a| Ipv4Net::new(a.address, a.prefix).ok());
    let subnet = match (own_net, config.subnet) {
        (Some(own), None) => own.trunc(),
        (Some(own), Some(wanted)) if own.trunc() == wanted.trunc() => own.trunc(),
        (Some(own), Some(wanted)) => {
            let message =
                format!("bridge {name} already has {own}, which is not in the subnet asked for, {wanted}");
            return Err(Error::new(Kind::Conflict, message));
        }
        (None, wanted) => choose(wanted, &networks(&addresses, &routes))?,
    };
    // A subnet that is written with a host's address says which one the bridge has.
    let asked = config.subnet.map(|wanted| wanted.addr()).filter(|address| *address != subnet.network());
    let gateway = own_net.map(|own| own.addr()).or(asked).unwrap_or_else(|| Addresses::new(subnet).gateway());
    let link = match present {
        Some(link) => link,
        None => create(socket, name, 0, Mac::of(gateway).0, mtu)?,
    };
    let (index, mac) = (link.index, link.mac.unwrap_or(Mac::of(gateway).0));
    let bridge = Bridge { index, subnet, gateway, mac, mtu };
    set_up(socket, name, bridge, own.is_none())?;
    Ok(bridge)
}

/// Makes the bridge that somebody removed again, with the number that endpoints and threads know it by.
pub(crate) fn remake(socket: &mut Socket, name: &str, bridge: Bridge) -> Result<()> {
    create(socket, name, bridge.index, bridge.mac, bridge.mtu)?;
    set_up(socket, name, bridge, true)
}

fn set_up(socket: &mut Socket, name: &str, bridge: Bridge, with_address: bool) -> Result<()> {
    let Bridge { index, subnet, gateway, .. } = bridge;
    sysctl::disable_ipv6_of(name)
        .map_err(|e| Error::call(format!("turn IPv6 off on {name}"), "/proc/sys", e))?;
    let mut batch = Batch::new();
    sys::netlink::configure_bridge(&mut batch, index);
    if with_address {
        sys::netlink::add_address(
            &mut batch,
            Address { link: index, address: gateway, prefix: subnet.prefix_len() },
        );
    }
    socket.apply(batch).map_err(|e| Error::netlink(format!("set bridge {name} up"), "IPv4", e))
}

/// The link of this name, which must be a bridge.
pub(crate) fn find(socket: &mut Socket, name: &str) -> Result<Option<Link>> {
    match sys::netlink::link(socket, PortLink::Name(name)) {
        Ok(link) if link.kind == LinkKind::Bridge => Ok(Some(link)),
        Ok(_) => Err(Error::new(Kind::Conflict, format!("link {name} exists and is not a bridge"))),
        Err(error) if error.is(Errno::NODEV) => Ok(None),
        Err(error) => Err(Error::netlink(format!("look up bridge {name}"), "rtnetlink", error)),
    }
}

fn create(socket: &mut Socket, name: &str, index: u32, mac: [u8; 6], mtu: u32) -> Result<Link> {
    let mut batch = Batch::new();
    // With a fixed MAC the bridge does not change its own when ports come and go.
    sys::netlink::add_bridge(&mut batch, index, name, mac, mtu);
    let what = format!("create bridge {name}");
    socket.apply(batch).map_err(|e| Error::netlink(what, "bridges (CONFIG_BRIDGE)", e))?;
    find(socket, name)?.ok_or_else(|| Error::new(Kind::Internal, "the new bridge vanished"))
}

/// Every network that the host has an address in or a route to.
fn networks(addresses: &[Address], routes: &[Route]) -> Vec<Ipv4Net> {
    let routes = routes.iter().map(|route| (route.destination, route.prefix));
    let all = addresses.iter().map(|a| (a.address, a.prefix)).chain(routes);
    all.filter_map(|(ip, prefix)| Ipv4Net::new(ip, prefix).ok()).collect()
}

/// The largest packet of the link that the default route goes by: larger ones from containers would be lost where
/// somebody filters ICMP.
fn uplink_mtu(socket: &mut Socket, routes: &[Route]) -> Option<u32> {
    let link = routes.iter().find(|route| route.prefix == 0 && route.is_main)?.link?;
    let mtu = sys::netlink::link(socket, PortLink::Index(link)).ok()?.mtu;
    (mtu >= 576).then_some(mtu.min(USUAL_MTU))
}
