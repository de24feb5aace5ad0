//! Which subnet a bridge gets.

use ipnet::Ipv4Net;
use types::Kind;

use crate::Error;

/// Routes broader than this (a default route, a VPN's halves of everything) do not count as a network in use.
const BROADEST: u8 = 7;

/// The subnet of a new bridge: the one asked for, or the first of the private ranges that nothing on this host uses.
/// `present` are the host's addresses with their networks and its routes, without those of the bridge itself.
///
/// # Errors
/// [`Kind::Conflict`] when the subnet asked for overlaps something, [`Kind::InvalidInput`] when it has no room for two
/// endpoints, [`Kind::Exhausted`] when every private range is in use.
pub fn choose(requested: Option<Ipv4Net>, present: &[Ipv4Net]) -> Result<Ipv4Net, Error> {
    let Some(subnet) = requested.map(|net| net.trunc()) else {
        let free = candidates().find(|c| clash(*c, present).is_none());
        return free.ok_or_else(|| {
            Error::new(Kind::Exhausted, "every private subnet overlaps a network of this host")
        });
    };
    if !(8..=29).contains(&subnet.prefix_len()) {
        return Err(Error::invalid(format!("subnet {subnet} is not between /8 and /29")));
    }
    if let Some(other) = clash(subnet, present) {
        let message = format!("subnet {subnet} overlaps {other}, which this host already uses");
        return Err(Error::new(Kind::Conflict, message));
    }
    Ok(subnet)
}

fn clash(subnet: Ipv4Net, present: &[Ipv4Net]) -> Option<Ipv4Net> {
    let overlaps = |other: &Ipv4Net| other.contains(&subnet.network()) || subnet.contains(&other.network());
    present.iter().copied().filter(|other| other.prefix_len() > BROADEST).find(overlaps)
}

/// The private ranges in the order they are tried: first those that Docker takes last.
fn candidates() -> impl Iterator<Item = Ipv4Net> {
    let medium = [30, 31].into_iter().chain((18..30).rev()).map(|b| ([172, b, 0, 0], 16));
    let large = (200..=219).map(|b| ([10, b, 0, 0], 16));
    let small = (0..=15).rev().map(|c| ([192, 168, c * 16, 0], 20));
    medium.chain(large).chain(small).filter_map(|(octets, prefix)| Ipv4Net::new(octets.into(), prefix).ok())
}
