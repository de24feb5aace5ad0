//! Network devices that move from the runtime's network namespace into the container's.

use oci::runtime::Spec;
use protocol::plan::{Act, NamespaceKind, NetDevice, NetDevices, Step};

use super::namespaces::Namespaces;
use crate::Error;
use crate::cgroup::step;
use crate::facts::Facts;

/// Longest name of a device, IFNAMSIZ without its zero.
const LONGEST: usize = 15;

/// The step that waits for them.
pub(super) fn steps(spec: &Spec, namespaces: &Namespaces, facts: &Facts) -> Result<Option<Step>, Error> {
    let Some(asked) = spec.linux.as_ref().map(|l| &l.net_devices).filter(|d| !d.is_empty()) else {
        return Ok(None);
    };
    if !namespaces.makes(NamespaceKind::Net) && !namespaces.joined(NamespaceKind::Net) {
        return Err(Error::invalid("linux.netDevices need a network namespace that is not the host's"));
    }
    if facts.uid != 0 {
        return Err(Error::unimplemented("linux.netDevices: only root may move network devices"));
    }
    let mut devices: Vec<NetDevice> = Vec::new();
    for (name, device) in asked {
        let inside = if device.name.is_empty() { name } else { &device.name };
        if !is_name(name) || name.contains('%') || !is_name(inside) {
            let bad = if is_name(name) && !name.contains('%') { inside } else { name };
            return Err(Error::invalid(format!(
                "linux.netDevices: {bad:?} is not a name of a network device"
            )));
        }
        if !is_template(inside) {
            return Err(Error::invalid(format!(
                "linux.netDevices: {inside:?}: the only pattern in a name is one %d"
            )));
        }
        if !inside.contains('%') && devices.iter().any(|d| d.inside == *inside) {
            return Err(Error::invalid(format!("linux.netDevices: two devices would be named {inside:?}")));
        }
        devices.push(NetDevice { name: name.clone(), inside: inside.clone() });
    }
    Ok(Some(step(Act::NetDevices(NetDevices { devices }))))
}

/// As the kernel judges it.
fn is_name(name: &str) -> bool {
    let plain = !name.contains(|c: char| c == '/' || c == ':' || c == '\0' || c.is_ascii_whitespace());
    plain && (1..=LONGEST).contains(&name.len()) && !matches!(name, "." | "..")
}

/// No percent sign, or one `%d`.
fn is_template(name: &str) -> bool {
    match name.split_once('%') {
        None => true,
        Some((_, rest)) => rest.strip_prefix('d').is_some_and(|rest| !rest.contains('%')),
    }
}
