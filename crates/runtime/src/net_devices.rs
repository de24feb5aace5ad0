//! Network devices on their way into a container. Only somebody in their namespace may move them, so the parent does, while the
//! child waits; until the program runs they can come back.

use std::os::fd::{AsFd, OwnedFd};

use protocol::plan::{Namespace, NamespaceKind, NetDevice, NetDevices};
use sys::netlink::{Batch, Family, KeptAddress, Link, PortLink, Socket};
use types::Kind;

use crate::error::{Error, text_of};
use crate::join::Visit;

/// Devices that are in the container. Dropping it brings them back, unless [`Moved::settle`] was called.
#[derive(Debug)]
pub(crate) struct Moved {
    devices: Vec<Device>,
    inside: Socket,
    outside: Socket,
    home: OwnedFd,
}

#[derive(Debug)]
struct Device {
    name: String,
    index: u32,
    was_up: bool,
    addresses: Vec<KeptAddress>,
}

fn netlink(what: String) -> impl FnOnce(sys::netlink::Error) -> Error {
    move |error| {
        let why = error.errno().map(|errno| format!(": {}", text_of(errno))).unwrap_or_default();
        Error::said(Kind::Internal, format!("linux.netDevices: {what}: {error}{why}"))
    }
}

/// Moves the devices into the network namespace of process `pid`.
pub(crate) fn move_in(list: &NetDevices, pid: i32) -> Result<Moved, Error> {
    let path = format!("/proc/{pid}/ns/net");
    let target = open(&path)?;
    let home = open("/proc/self/ns/net")?;
    let outside = Socket::open(Family::Route).map_err(netlink("open a socket".into()))?;
    let there = Namespace { kind: NamespaceKind::Net as i32, path, late: false };
    let visit = Visit::join(&[there], &[])?;
    let inside = Socket::open(Family::Route);
    drop(visit);
    let inside = inside.map_err(netlink("open a socket in the container's namespace".into()))?;
    let mut moved = Moved { devices: Vec::new(), inside, outside, home };
    for device in &list.devices {
        moved.take(device, &target)?;
    }
    Ok(moved)
}

fn open(path: &str) -> Result<OwnedFd, Error> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::open(path, flags, rustix::fs::Mode::empty())
        .map_err(|errno| Error::kernel(&format!("open network namespace {path}"), errno))
}

impl Moved {
    /// They belong to the container now.
    pub(crate) fn settle(mut self) {
        self.devices.clear();
    }

    fn take(&mut self, wanted: &NetDevice, target: &OwnedFd) -> Result<(), Error> {
        let what = || format!("move {} into the container as {}", wanted.name, wanted.inside);
        let link = sys::netlink::link(&mut self.outside, PortLink::Name(&wanted.name))
            .map_err(netlink(format!("find {} in the runtime's namespace", wanted.name)))?;
        let before = sys::netlink::links(&mut self.inside, None).map_err(netlink(what()))?;
        if before.iter().any(|l| l.name == wanted.inside) {
            let text = format!("linux.netDevices: {}: a device of that name is there already", what());
            return Err(Error::said(Kind::Conflict, text));
        }
        let addresses =
            sys::netlink::kept_addresses(&mut self.outside, link.index).map_err(netlink(what()))?;
        let mut batch = Batch::new();
        sys::netlink::move_link(&mut batch, link.index, target.as_fd(), &wanted.inside);
        self.outside.apply(batch).map_err(netlink(what()))?;
        let after = sys::netlink::links(&mut self.inside, None).map_err(netlink(what()))?;
        let arrived = arrived(&before, &after, &link).ok_or_else(|| {
            Error::said(Kind::Internal, format!("linux.netDevices: {}: it has not arrived", what()))
        })?;
        let device =
            Device { name: wanted.name.clone(), index: arrived.index, was_up: link.is_up, addresses };
        let mut batch = Batch::new();
        for address in &device.addresses {
            sys::netlink::return_address(&mut batch, device.index, address);
        }
        sys::netlink::set_up(&mut batch, PortLink::Index(device.index));
        self.devices.push(device);
        self.inside.apply(batch).map_err(netlink(format!("set {} up in the container", wanted.inside)))
    }

    fn bring_back(&mut self, device: &Device) -> Result<(), sys::netlink::Error> {
        let mut batch = Batch::new();
        sys::netlink::move_link(&mut batch, device.index, self.home.as_fd(), &device.name);
        self.inside.apply(batch)?;
        let link = sys::netlink::link(&mut self.outside, PortLink::Name(&device.name))?;
        let mut batch = Batch::new();
        for address in &device.addresses {
            sys::netlink::return_address(&mut batch, link.index, address);
        }
        if device.was_up {
            sys::netlink::set_up(&mut batch, PortLink::Index(link.index));
        }
        self.outside.apply(batch)
    }
}

/// The one that was not there before. It keeps its number where that is free.
fn arrived<'a>(before: &[Link], after: &'a [Link], link: &Link) -> Option<&'a Link> {
    let mut new = after.iter().filter(|l| !before.iter().any(|b| b.index == l.index));
    let first = new.clone().find(|l| l.index == link.index);
    first.or_else(|| new.find(|l| l.mac == link.mac && l.kind == link.kind))
}

impl Drop for Moved {
    fn drop(&mut self) {
        for device in std::mem::take(&mut self.devices).iter().rev() {
            // Nobody is left to be told; the namespace's end gives hardware back in any case.
            let _ = self.bring_back(device);
        }
    }
}
