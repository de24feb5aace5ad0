//! The document itself, put together from a looked-up request.

use std::collections::BTreeMap;

use oci::runtime::{
    Linux, LinuxCapabilities, LinuxDeviceCgroup, LinuxNamespace, LinuxNamespaceType, LinuxResources, Mount,
    Process, Root, Spec, User,
};

use super::defaults;
use super::request::{Namespaces, Program, Request, Space};

/// Where the small init is put in the container.
pub const INIT: &str = "/sbin/docker-init";

/// Puts the document together. Nothing is decided here that a person could get wrong; that was refused before.
#[must_use]
pub fn spec(request: &Request) -> Spec {
    let own_uts = request.namespaces.uts == Space::New;
    let name = |text: &String| if own_uts { text.clone() } else { String::new() };
    Spec {
        oci_version: oci::runtime::VERSION.to_owned(),
        process: Some(process(request)),
        root: Some(Root { path: "rootfs".to_owned(), readonly: request.filesystems.readonly }),
        hostname: name(&request.hostname),
        domainname: name(&request.domainname),
        mounts: mounts(request),
        linux: Some(linux(request)),
        annotations: request.annotations.clone(),
        ..Spec::default()
    }
}

/// The `process` section of an exec or a container.
#[must_use]
pub fn program(program: &Program, capabilities: Option<&[String]>) -> Process {
    let user = program.user.as_ref();
    Process {
        terminal: program.terminal,
        user: User {
            uid: user.map_or(0, |u| u.uid),
            gid: user.map_or(0, |u| u.gid),
            additional_gids: user.map_or_else(Vec::new, |u| u.groups.clone()),
            ..User::default()
        },
        args: program.args.clone(),
        env: program.env.clone(),
        cwd: if program.cwd.is_empty() { "/".to_owned() } else { program.cwd.clone() },
        capabilities: capabilities.map(|names| sets(names, user.is_none_or(|u| u.uid == 0))),
        rlimits: program.rlimits.clone(),
        oom_score_adj: program.oom_score_adj,
        ..Process::default()
    }
}

/// Docker's sets: nothing inheritable or ambient; a user other than root gets the bounding set only.
fn sets(names: &[String], is_root: bool) -> LinuxCapabilities {
    let held = if is_root { names.to_vec() } else { Vec::new() };
    LinuxCapabilities {
        bounding: names.to_vec(),
        effective: held.clone(),
        permitted: held,
        inheritable: Vec::new(),
        ambient: Vec::new(),
    }
}

fn process(request: &Request) -> Process {
    let confinement = &request.confinement;
    let mut process = program(&request.program, Some(&confinement.capabilities));
    process.no_new_privileges = confinement.no_new_privileges;
    if request.program.init.is_some() {
        let mut args = vec![INIT.to_owned(), "--".to_owned()];
        args.append(&mut process.args);
        process.args = args;
    }
    process
}

fn mounts(request: &Request) -> Vec<Mount> {
    let filesystems = &request.filesystems;
    let spaces = &request.namespaces;
    let mut mounts = defaults::mounts(request.confinement.privileged);
    match spaces.ipc {
        Space::Host => {
            if filesystems.host_mqueue {
                mounts.push(defaults::mount("/dev/mqueue", "bind", "/dev/mqueue", &["rbind", "rprivate"]));
            }
            mounts.push(defaults::mount("/dev/shm", "bind", "/dev/shm", &["rbind", "rprivate"]));
        }
        _ => {
            mounts.push(defaults::mqueue());
            mounts.extend(filesystems.shm_bytes.map(defaults::shm));
        }
    }
    let is_masked = |d: &str| filesystems.mounts.iter().any(|m| m.destination == d);
    // In a user namespace of its own the container's root is to own its files, whoever owns them outside.
    let mapped = if spaces.users.is_some() { "ridmap" } else { "" };
    let options: Vec<&str> = ["rbind", "rprivate", mapped].into_iter().filter(|o| !o.is_empty()).collect();
    for (source, destination) in filesystems.files.iter().filter(|(_, d)| !is_masked(d)) {
        mounts.push(defaults::mount(destination, "bind", source, &options));
    }
    if let Some(init) = &request.program.init {
        mounts.push(defaults::mount(INIT, "bind", init, &["bind", "ro", "rprivate"]));
    }
    // What the request mounts replaces the default at the same place; parents go before what lies in them.
    let mut asked = filesystems.mounts.clone();
    asked.sort_by_key(|m| m.destination.matches('/').count());
    let own_dev = asked.iter().any(|m| m.destination == "/dev");
    mounts.retain(|m| !asked.iter().any(|a| a.destination == m.destination));
    mounts.retain(|m| !(own_dev && m.destination.starts_with("/dev/")));
    mounts.extend(asked);
    mounts
}

fn linux(request: &Request) -> Linux {
    let confinement = &request.confinement;
    let map: Vec<_> = request.namespaces.users.iter().cloned().collect();
    Linux {
        uid_mappings: map.clone(),
        gid_mappings: map,
        sysctl: sysctls(request),
        resources: Some(LinuxResources { devices: device_rules(request), ..request.resources.clone() }),
        cgroups_path: request.cgroup.clone(),
        namespaces: namespaces(&request.namespaces),
        devices: request.devices.nodes.clone(),
        seccomp: confinement.seccomp.clone(),
        masked_paths: confinement.masked.clone(),
        readonly_paths: confinement.readonly.clone(),
        rootfs_propagation: root_propagation(&request.filesystems.mounts).to_owned(),
        ..Linux::default()
    }
}

/// As dockerd has it: what the most open of the binds asks for.
fn root_propagation(mounts: &[Mount]) -> &'static str {
    let asks = |words: [&str; 2]| mounts.iter().flat_map(|m| &m.options).any(|o| words.contains(&o.as_str()));
    match (asks(["shared", "rshared"]), asks(["slave", "rslave"])) {
        (true, _) => "shared",
        (false, true) => "rslave",
        (false, false) => "",
    }
}

fn device_rules(request: &Request) -> Vec<LinuxDeviceCgroup> {
    if request.confinement.privileged {
        return vec![LinuxDeviceCgroup {
            allow: true,
            kind: "a".to_owned(),
            access: "rwm".to_owned(),
            ..LinuxDeviceCgroup::default()
        }];
    }
    let mut rules = defaults::device_rules();
    rules.extend(request.devices.rules.iter().cloned());
    rules
}

fn namespaces(spaces: &Namespaces) -> Vec<LinuxNamespace> {
    let mut list = vec![LinuxNamespace { kind: LinuxNamespaceType::Mount, path: String::new() }];
    if spaces.users.is_some() {
        list.push(LinuxNamespace { kind: LinuxNamespaceType::User, path: String::new() });
    }
    for (kind, space) in [
        (LinuxNamespaceType::Network, &spaces.network),
        (LinuxNamespaceType::Uts, &spaces.uts),
        (LinuxNamespaceType::Pid, &spaces.pid),
        (LinuxNamespaceType::Ipc, &spaces.ipc),
        (LinuxNamespaceType::Cgroup, &spaces.cgroup),
        (LinuxNamespaceType::Time, &spaces.time),
    ] {
        match space {
            Space::Host => {}
            Space::New => list.push(LinuxNamespace { kind, path: String::new() }),
            Space::Join(path) => list.push(LinuxNamespace { kind, path: path.clone() }),
        }
    }
    list
}

/// A network made inside a user namespace takes only groups that are mapped, and none of the host's counts there: the
/// default that lets everybody ping is left out, as Docker does for remapped users.
fn sysctls(request: &Request) -> BTreeMap<String, String> {
    let mut all = request.sysctl.clone();
    if request.namespaces.users.is_some() && request.namespaces.network == Space::New {
        all.retain(|name, value| name != "net.ipv4.ping_group_range" || value != "0 2147483647");
    }
    all
}
