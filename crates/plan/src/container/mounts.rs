//! The document's mounts, the cgroup tree, read-only and masked paths.

use oci::runtime::{Mount, Spec};
use protocol::plan::{Act, Attributes, Bind, Cgroup, Filesystem, Link, NamespaceKind, Paths, Step};

use super::namespaces::Namespaces;
use super::options::{Mounting, bit};
use crate::Error;
use crate::cgroup::step;
use crate::facts::Facts;

/// What a mount's meaning depends on.
pub(super) struct Context<'a> {
    pub namespaces: &'a Namespaces,
    pub cgroup: &'a Cgroup,
    pub facts: &'a Facts,
    pub users: bool,
    pub bundle: &'a str,
    /// Mounts are opened where they can be copied with the host's propagation (by the parent, or in a slave tree).
    pub host_propagation: bool,
}

/// The document's mounts, in the document's order: a later one may lie in an earlier one.
pub(super) fn steps(
    spec: &Spec,
    context: &Context<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    for mount in &spec.mounts {
        let target = target(&mount.destination)?;
        refuse_over_proc(mount, &target)?;
        let mounting = Mounting::of(&mount.options)?;
        if !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() {
            return Err(Error::unimplemented(format!(
                "mounts: {target}: id maps of its own are not supported, only those of the container"
            )));
        }
        match mount.kind.as_str() {
            "cgroup" => steps.extend(cgroup_tree(&target, &mounting, context)),
            "bind" | "none" | "" => steps.push(bind(mount, target, mounting, context, warnings)?),
            _ if mounting.bind => steps.push(bind(mount, target, mounting, context, warnings)?),
            _ => steps.push(filesystem(mount, target, mounting, context)?),
        }
    }
    Ok(steps)
}

/// Files of proc that tools such as lxcfs may replace. Anything else mounted over proc would fool whoever reads or
/// writes it later (CVE-2019-19921).
const PROC_FILES: [&str; 9] =
    ["cpuinfo", "diskstats", "loadavg", "meminfo", "net/dev", "slabinfo", "stat", "swaps", "uptime"];

fn refuse_over_proc(mount: &Mount, target: &str) -> Result<(), Error> {
    let refused = match target.strip_prefix("/proc") {
        Some("") => mount.kind != "proc" && mount.source != "/proc",
        Some(rest) => rest.strip_prefix('/').is_some_and(|file| !PROC_FILES.contains(&file)),
        None => false,
    };
    if refused {
        return Err(Error::invalid(format!(
            "mounts: {target:?} cannot be mounted because it is inside /proc"
        )));
    }
    Ok(())
}

/// Does the document put the host's `/dev` into the container?
pub(super) fn binds_dev(spec: &Spec) -> bool {
    spec.mounts.iter().any(|m| {
        m.destination.trim_end_matches('/') == "/dev"
            && (m.kind == "bind" || m.options.iter().any(|o| o == "bind" || o == "rbind"))
    })
}

/// Read-only paths, then masks.
pub(super) fn protections(spec: &Spec) -> Vec<Step> {
    let Some(linux) = &spec.linux else { return Vec::new() };
    let mut steps = Vec::new();
    if !linux.readonly_paths.is_empty() {
        steps.push(step(Act::ReadOnly(Paths { paths: linux.readonly_paths.clone() })));
    }
    if !linux.masked_paths.is_empty() {
        steps.push(step(Act::Mask(Paths { paths: linux.masked_paths.clone() })));
    }
    steps
}

/// An absolute path without `.`, `..` and double slashes.
fn target(destination: &str) -> Result<String, Error> {
    let mut parts: Vec<&str> = Vec::new();
    for part in destination.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() || destination.contains('\0') {
        return Err(Error::invalid(format!("mounts: {destination:?} is not a place inside the root")));
    }
    Ok(format!("/{}", parts.join("/")))
}

fn bind(
    mount: &Mount,
    target: String,
    mounting: Mounting,
    context: &Context<'_>,
    warnings: &mut Vec<String>,
) -> Result<Step, Error> {
    let source = match (mount.source.as_str(), context.bundle) {
        (source, _) if source.starts_with('/') => source.to_owned(),
        ("", _) | (_, "") => {
            return Err(Error::invalid(format!(
                "mounts: {target}: source {:?} is not an absolute path",
                mount.source
            )));
        }
        (relative, bundle) => format!("{}/{relative}", bundle.trim_end_matches('/')),
    };
    // As for mount(8): they are a file system's options, and the file system is there already.
    for option in &mounting.data {
        warnings.push(format!("mounts: {target}: option {option:?} has no effect on a bind mount"));
    }
    if mounting.mapped && !context.users {
        return Err(Error::invalid(format!("mounts: {target}: idmap needs a user namespace")));
    }
    Ok(step(Act::Bind(Bind {
        source,
        target,
        recursive: mounting.recursive,
        set: mounting.set,
        clear: mounting.clear,
        set_all: mounting.set_all,
        clear_all: mounting.clear_all,
        propagation: propagation(&mounting, context),
        propagate_all: mounting.propagation == 0 || mounting.propagate_all,
        mapped: mounting.mapped,
        no_follow: mounting.no_follow,
    })))
}

/// A bind takes its source's propagation; unless asked for, the container's stays its own. Where every source is private
/// already there is nothing to change.
fn propagation(mounting: &Mounting, context: &Context<'_>) -> u64 {
    match mounting.propagation {
        0 | bit::PRIVATE if context.host_propagation => bit::PRIVATE,
        0 | bit::PRIVATE => 0,
        asked => asked,
    }
}

fn filesystem(
    mount: &Mount,
    target: String,
    mounting: Mounting,
    context: &Context<'_>,
) -> Result<Step, Error> {
    let kind = mount.kind.as_str();
    if mounting.mapped {
        return Err(Error::unimplemented(format!("mounts: {target}: idmap is supported for binds only")));
    }
    if mounting.copy_up && kind != "tmpfs" {
        return Err(Error::invalid(format!("mounts: {target}: tmpcopyup is an option of tmpfs")));
    }
    // The network a sysfs shows must belong to the user namespace that mounts it.
    let foreign_net = !context.namespaces.makes(NamespaceKind::Net);
    if kind == "sysfs" && context.users && foreign_net && !context.namespaces.joined(NamespaceKind::Net) {
        return Ok(step(Act::Bind(Bind {
            source: "/sys".into(),
            target,
            recursive: true,
            set: mounting.set | bit::RDONLY,
            set_all: bit::RDONLY,
            propagation: bit::PRIVATE,
            propagate_all: true,
            ..Bind::default()
        })));
    }
    Ok(step(Act::Filesystem(Filesystem {
        kind: kind.to_owned(),
        source: if mount.source.is_empty() { kind.to_owned() } else { mount.source.clone() },
        target,
        options: mounting.data,
        attributes: mounting.set,
        strict: matches!(kind, "proc" | "sysfs"),
        early: kind == "sysfs" && context.users && foreign_net,
        copy_up: mounting.copy_up,
        propagation: mounting.propagation,
    })))
}

/// The container's own cgroups: one mount on v2; on v1 a small tree with one mount per hierarchy.
fn cgroup_tree(target: &str, mounting: &Mounting, context: &Context<'_>) -> Vec<Step> {
    let attributes = mounting.set | bit::NOSUID | bit::NODEV | bit::NOEXEC;
    let cgroups = &context.facts.cgroups;
    if cgroups.v1.is_empty() {
        let Some(v2) = &cgroups.v2 else { return Vec::new() };
        return vec![cgroup_mount(
            "cgroup2",
            target,
            &[],
            &context.cgroup.unified,
            &v2.mount,
            attributes,
            context,
        )];
    }
    let mut steps = vec![step(Act::Filesystem(Filesystem {
        kind: "tmpfs".into(),
        source: "tmpfs".into(),
        target: target.into(),
        options: vec!["mode=755".into()],
        attributes: attributes & !bit::RDONLY,
        ..Filesystem::default()
    }))];
    for (hierarchy, own) in cgroups.v1.iter().zip(&context.cgroup.hierarchies) {
        let directory = hierarchy.mount.rsplit('/').next().unwrap_or_default();
        let place = format!("{target}/{directory}");
        let data = options_of(&hierarchy.controllers);
        steps.push(cgroup_mount("cgroup", &place, &data, &own.path, &hierarchy.mount, attributes, context));
        // Where cpu and cpuacct share a hierarchy, programs look for each by its own name.
        for controller in hierarchy.controllers.iter().filter(|_| hierarchy.controllers.len() > 1) {
            let link = Link { path: format!("{target}/{controller}"), text: directory.into() };
            steps.push(step(Act::Link(link)));
        }
    }
    if let Some(v2) = &cgroups.v2 {
        let directory = v2.mount.rsplit('/').next().unwrap_or_default();
        let place = format!("{target}/{directory}");
        steps.push(cgroup_mount(
            "cgroup2",
            &place,
            &[],
            &context.cgroup.unified,
            &v2.mount,
            attributes,
            context,
        ));
    }
    if attributes & bit::RDONLY != 0 {
        steps.push(step(Act::Attributes(Attributes { target: target.into(), set: bit::RDONLY })));
    }
    steps
}

fn options_of(controllers: &[String]) -> Vec<String> {
    match controllers {
        [name] if name.starts_with("name=") => vec!["none".into(), name.clone()],
        controllers => controllers.to_vec(),
    }
}

/// With a cgroup namespace the hierarchy is mounted anew and begins at the container; without, the container's
/// directory is bound, so that other containers are not seen either way.
fn cgroup_mount(
    kind: &str,
    target: &str,
    options: &[String],
    own: &str,
    host: &str,
    attributes: u64,
    context: &Context<'_>,
) -> Step {
    let namespaces = context.namespaces;
    if namespaces.makes(NamespaceKind::Cgroup) {
        return step(Act::Filesystem(Filesystem {
            kind: kind.into(),
            source: "cgroup".into(),
            target: target.into(),
            options: options.to_vec(),
            attributes,
            ..Filesystem::default()
        }));
    }
    let source = if own.is_empty() { host } else { own };
    step(Act::Bind(Bind {
        source: source.into(),
        target: target.into(),
        set: attributes,
        propagation: if context.host_propagation { bit::PRIVATE } else { 0 },
        ..Bind::default()
    }))
}
