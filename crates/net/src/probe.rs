//! Whether a port of the host is free: asked of the kernel by binding a socket to it for a moment.

use std::net::{Ipv4Addr, SocketAddrV4};

use plan::network::{PortRequest, Protocol};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use types::Kind;

use crate::{Error, Result};

/// Fails when a request names an address that the host does not have.
pub(crate) fn check_addresses(requests: &[PortRequest]) -> Result<()> {
    for PortRequest { host_ip, host_port, .. } in requests {
        if !host_ip.is_unspecified() && bind(Protocol::Tcp, *host_ip, 0) == Err(Errno::ADDRNOTAVAIL) {
            let message = format!("Bind for {host_ip}:{host_port} failed: cannot assign requested address");
            return Err(Error::new(Kind::InvalidInput, message));
        }
    }
    Ok(())
}

/// Whether no socket is bound there. What cannot be probed counts as free.
pub(crate) fn is_free(proto: Protocol, ip: Ipv4Addr, port: u16) -> bool {
    bind(proto, ip, port) != Err(Errno::ADDRINUSE)
}

fn bind(proto: Protocol, ip: Ipv4Addr, port: u16) -> Result<(), Errno> {
    let kind = match proto {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
        Protocol::Sctp => return Ok(()),
    };
    let socket = rustix::net::socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?;
    if proto == Protocol::Tcp {
        // Connections in TIME_WAIT do not count, listeners do.
        rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &SocketAddrV4::new(ip, port))
}
