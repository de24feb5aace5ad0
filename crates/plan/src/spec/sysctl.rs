//! Which kernel parameters a container may have: those that a namespace of its own holds.

use std::collections::BTreeMap;

use crate::Error;

const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Which namespaces the container shares with someone else.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shared {
    /// The host's (or another container's) network.
    pub network: bool,
    /// The host's IPC.
    pub ipc: bool,
    /// The host's UTS.
    pub uts: bool,
}

/// Docker's defaults and the request's, checked. A privileged container gets no defaults, as Docker has it.
///
/// # Errors
/// A parameter without a namespace, or whose namespace is not the container's own.
pub fn plan(
    asked: &BTreeMap<String, String>,
    shared: Shared,
    privileged: bool,
) -> Result<BTreeMap<String, String>, Error> {
    let mut all = BTreeMap::new();
    if !shared.network && !privileged {
        all.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
        all.insert("net.ipv4.ping_group_range".to_owned(), "0 2147483647".to_owned());
    }
    for (name, value) in asked {
        check(name, shared)?;
        all.insert(name.clone(), value.clone());
    }
    Ok(all)
}

fn check(name: &str, shared: Shared) -> Result<(), Error> {
    let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@'));
    let parts_ok = name.split(['.', '/']).all(|p| !p.is_empty());
    let is_shared = match name {
        _ if name.contains(odd) || !parts_ok => return Err(refused(name)),
        _ if name.starts_with("net.") => shared.network,
        _ if IPC.contains(&name) || name.starts_with("fs.mqueue.") => shared.ipc,
        "kernel.domainname" => shared.uts,
        _ => return Err(refused(name)),
    };
    if is_shared {
        return Err(Error::invalid(format!(
            "sysctl '{name}' is not allowed: the namespace that holds it is not the container's own"
        )));
    }
    Ok(())
}

fn refused(name: &str) -> Error {
    Error::invalid(format!("invalid sysctl '{name}': it is not in a namespace of the container"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_namespaced() {
        let own = Shared::default();
        let all = Shared { network: true, ipc: true, uts: true };
        for name in ["net.core.somaxconn", "kernel.shmmax", "fs.mqueue.msg_max", "kernel.domainname"] {
            let asked = BTreeMap::from([(name.to_owned(), "1".to_owned())]);
            assert!(plan(&asked, own, true).is_ok_and(|p| p == asked), "{name}");
            assert!(plan(&asked, all, true).is_err(), "{name}");
        }
        for name in ["", "kernel.panic", "vm.swappiness", "net..x", "net.", "../x", "net.a b", "fs.file-max"]
        {
            assert!(
                plan(&BTreeMap::from([(name.to_owned(), "1".to_owned())]), own, false).is_err(),
                "{name}"
            );
        }
        assert_eq!(plan(&BTreeMap::new(), own, false).map(|p| p.len()), Ok(2));
        assert_eq!(plan(&BTreeMap::new(), all, false).map(|p| p.len()), Ok(0));
    }
}
