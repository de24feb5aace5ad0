//! Daemons come and go: what one finds of an earlier one, and what it leaves when the network is to go.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use plan::network::{Element, EndpointRecord, Mac, PortTable, Published, link_address, link_name};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use sys::netlink::{Batch, Family, PortLink, Socket};
use types::Kind;

use crate::bridge::{self, Bridge};
use crate::network::{lock, open_socket};
use crate::{Error, Network, Result, sysctl};

impl Network {
    /// Makes the host agree with the records of running containers; to be called once, before the first claim. Endpoints
    /// that an earlier daemon left and no record has are removed, published ports likewise; missing ports are published
    /// again.
    ///
    /// # Errors
    /// When the packet filter refuses.
    pub fn reconcile(&self, live: &[(EndpointRecord, Vec<Published>)]) -> Result<()> {
        let elements = |(record, published): &(EndpointRecord, Vec<Published>)| {
            let ip = record.ip;
            published.iter().map(move |p| Element::new(p, ip)).collect::<Vec<_>>()
        };
        let wanted: BTreeSet<_> = live.iter().flat_map(elements).collect();
        let mut state = self.shared.lock();
        let kept: BTreeSet<_> = live.iter().map(|(record, _)| record.ip).collect();
        for ip in std::mem::take(&mut state.inherited).into_iter().filter(|ip| !kept.contains(ip)) {
            state.bury_after(ip, Duration::ZERO);
        }
        for ip in kept {
            state.addresses.take_this(ip);
        }
        state.ports = PortTable::default();
        live.iter().for_each(|(_, published)| state.ports.adopt(published));
        drop(state);
        self.shared.reaper_wakes.notify_one();
        let attached = self.attach(live.iter().map(|(record, _)| record.ip));
        lock(&self.filter).reconcile(wanted).and(attached)
    }

    /// Removes all of it: endpoints, bridge, table.
    ///
    /// # Errors
    /// When the kernel refuses; everything is tried all the same, the first refusal is the error.
    pub fn teardown(&self) -> Result<()> {
        self.stop();
        let mut route = open_socket(Family::Route)?;
        let mut batch = Batch::new();
        for (ip, _) in endpoints(&mut route, self.bridge).unwrap_or_default() {
            sys::netlink::remove_link(&mut batch, PortLink::Name(&link_name(ip)));
        }
        sys::netlink::remove_link(&mut batch, PortLink::Index(self.bridge.index));
        let fail = |e| Error::netlink("remove the bridge", "rtnetlink", e);
        // Links whose namespace was already dying are gone by now.
        let links = route.send(batch).map_err(fail).and_then(|failures| {
            let refused = failures.into_iter().find(|failure| failure.errno != Errno::NODEV);
            refused.map_or(Ok(()), |failure| Err(fail(failure.into())))
        });
        if self.forwarding_switched_on {
            sysctl::disable_forwarding()
                .map_err(|e| Error::call("switch forwarding off again", "ip_forward", e))?;
        }
        lock(&self.filter).close().and(links)
    }

    /// Makes the bridge again when somebody removed it, with every endpoint that was on it; answers a sentence about that.
    /// Cheap when all is well, so it can be asked before every claim.
    ///
    /// # Errors
    /// When the kernel refuses, and [`Kind::Conflict`] when another link took the bridge's name or number meanwhile.
    pub fn mend(&self) -> Result<Option<String>> {
        let name = &self.config.bridge;
        let mut route = lock(&self.route);
        match name_to_index(&*route, name) {
            Ok(index) if index == self.bridge.index => return Ok(None),
            Ok(_) => {
                let message =
                    format!("bridge {name} was replaced by another link; restart the daemon to use it");
                return Err(Error::new(Kind::Conflict, message));
            }
            Err(_) => {}
        }
        bridge::remake(&mut route, name, self.bridge)?;
        let all = endpoints(&mut route, self.bridge)?;
        drop(route);
        self.attach(all.into_iter().map(|(ip, _)| ip))?;
        Ok(Some(format!("bridge {name} had been removed: it was made again, with the endpoints on it")))
    }

    /// Makes endpoints ports of the bridge again, when somebody removed the bridge they were on.
    fn attach(&self, live: impl Iterator<Item = Ipv4Addr>) -> Result<()> {
        let mut route = lock(&self.route);
        let present = endpoints(&mut route, self.bridge)?;
        let mut batch = Batch::new();
        for ip in live {
            if present.iter().any(|(there, master)| *there == ip && *master != Some(self.bridge.index)) {
                let link = link_name(ip);
                sys::netlink::attach(&mut batch, PortLink::Name(&link), self.bridge.index);
                sys::netlink::enable_port(&mut batch, &link);
                sys::netlink::add_neighbour(&mut batch, self.bridge.index, ip, Mac::of(ip).0);
            }
        }
        let fail = |e| Error::netlink("attach endpoints to the bridge", "bridges", e);
        let failures = route.send(batch).map_err(fail)?;
        let refused = failures.into_iter().find(|failure| failure.errno != Errno::AFNOSUPPORT);
        refused.map_or(Ok(()), |failure| Err(fail(failure.into())))
    }
}

/// The host's ends of endpoints of this subnet, each with the bridge it is on.
pub(crate) fn endpoints(route: &mut Socket, bridge: Bridge) -> Result<Vec<(Ipv4Addr, Option<u32>)>> {
    let links = sys::netlink::links(route, None);
    let links = links.map_err(|e| Error::netlink("list links", "rtnetlink", e))?;
    let ours = links.iter().filter_map(|link| Some((link_address(&link.name)?, link.master)));
    Ok(ours.filter(|(ip, _)| bridge.subnet.contains(ip)).collect())
}
