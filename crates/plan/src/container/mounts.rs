//! The document's mounts, read-only and masked paths.

use oci::runtime::{LinuxIdMapping, Mount, Spec};
use protocol::plan::{
    Act, Attributes, Bind, Cgroup, Filesystem, IdMap, NamespaceKind, Paths, Propagation, Step, Users,
};

use super::cgroup_tree;
use super::namespaces::{self, Namespaces};
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
    /// Mounts of the host stay shared with it where the document says so (`linux.rootfsPropagation`).
    pub shared: bool,
    /// What the child opens is not the host's any more: its mounts were made private.
    pub apart: bool,
    /// The root's directory, where its mounts are seen before it is the root.
    pub root: &'a str,
    /// `linux.mountLabel`.
    pub label: &'a str,
}

/// Where a mount of the document goes, and its name for messages.
pub(super) struct Place {
    pub field: String,
    pub target: String,
}

impl Place {
    fn invalid(&self, text: impl std::fmt::Display) -> Error {
        Error::invalid(format!("{} {}: {text}", self.field, self.target))
    }
}

/// The document's mounts, in the document's order: a later one may lie in an earlier one.
pub(super) fn steps(
    spec: &Spec,
    context: &Context<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    for (index, mount) in spec.mounts.iter().enumerate() {
        let field = format!("mounts[{index}]");
        let target = target(&mount.destination).ok_or_else(|| {
            Error::invalid(format!("{field}: {:?} is not a place inside the root", mount.destination))
        })?;
        let place = Place { field, target };
        refuse_over_proc(mount, &place)?;
        let mounting = Mounting::of(&mount.options);
        if mounting.iversion {
            warnings.push(format!(
                "{} {}: option iversion has no effect: the kernel's mount API has no word for it",
                place.field, place.target
            ));
        }
        match mount.kind.as_str() {
            _ if mounting.bind && mounting.remount => steps.push(remount(mount, place, mounting)),
            _ if mounting.bind => steps.push(bind(mount, place, mounting, context, warnings)?),
            "bind" => steps.push(bind(mount, place, mounting, context, warnings)?),
            "" | "none" => {
                return Err(
                    place.invalid("it has no type of file system, and no bind or rbind among its options")
                );
            }
            _ if mounting.remount => steps.push(remount(mount, place, mounting)),
            "cgroup" => {
                if mounting.propagation.iter().any(|change| change.word != bit::PRIVATE) {
                    warnings.push(format!(
                        "{} {}: a mount of cgroups is private, whatever its options say",
                        place.field, place.target
                    ));
                }
                steps.extend(cgroup_tree::steps(&place, &mounting, context)?);
            }
            _ => steps.push(filesystem(mount, place, mounting, context)?),
        }
    }
    Ok(steps)
}

/// Files of proc that tools such as lxcfs may replace. Anything else mounted over proc would fool whoever reads or
/// writes it later (CVE-2019-19921).
const PROC_FILES: [&str; 11] = [
    "cpuinfo",
    "diskstats",
    "loadavg",
    "meminfo",
    "net/dev",
    "slabinfo",
    "stat",
    "swaps",
    "sys/crypto/fips_enabled",
    "sys/kernel/ns_last_pid",
    "uptime",
];

fn refuse_over_proc(mount: &Mount, place: &Place) -> Result<(), Error> {
    let refused = match place.target.strip_prefix("/proc") {
        Some("") => mount.kind != "proc" && mount.source != "/proc",
        Some(rest) => rest.strip_prefix('/').is_some_and(|file| !PROC_FILES.contains(&file)),
        None => false,
    };
    if refused {
        return Err(Error::invalid(format!(
            "{}: {:?} cannot be mounted because it is inside /proc",
            place.field, place.target
        )));
    }
    Ok(())
}

/// Does the document put the host's `/dev` into the container?
pub(super) fn binds_dev(spec: &Spec) -> bool {
    spec.mounts.iter().any(|m| {
        target(&m.destination).as_deref() == Some("/dev")
            && (m.kind == "bind" || m.options.iter().any(|o| o == "bind" || o == "rbind"))
    })
}

/// Does a bind begin inside the root, where other mounts of the document may lie?
pub(super) fn bind_of_the_root(spec: &Spec, root: &str) -> bool {
    spec.mounts.iter().any(|m| is_inside(&m.source, root))
}

fn is_inside(source: &str, root: &str) -> bool {
    !root.is_empty() && source.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
}

/// What was mounted writable so that the rest could be made in it, and is to be read-only.
pub(super) fn late_read_only(spec: &Spec) -> Vec<Step> {
    let late = spec.mounts.iter().filter_map(|mount| {
        let target = target(&mount.destination)?;
        let mounting = Mounting::of(&mount.options);
        let late = is_late(&mount.kind, &target, &mounting) && mounting.set & bit::RDONLY != 0;
        late.then(|| step(Act::Attributes(Attributes { target, set: bit::RDONLY })))
    });
    late.collect()
}

/// Places of later mounts and nodes are made in it.
fn is_late(kind: &str, target: &str, mounting: &Mounting) -> bool {
    !mounting.bind && !mounting.remount && kind != "bind" && (kind == "tmpfs" || target == "/dev")
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

/// An absolute path without `.`, `..` and double slashes. Relative ones begin at the root.
fn target(destination: &str) -> Option<String> {
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
    (!parts.is_empty() && !destination.contains('\0')).then(|| format!("/{}", parts.join("/")))
}

fn bind(
    mount: &Mount,
    place: Place,
    mounting: Mounting,
    context: &Context<'_>,
    warnings: &mut Vec<String>,
) -> Result<Step, Error> {
    let source = match (mount.source.as_str(), context.bundle) {
        (source, _) if source.starts_with('/') => source.to_owned(),
        ("", _) | (_, "") => {
            return Err(place.invalid(format!("source {:?} is not an absolute path", mount.source)));
        }
        (relative, bundle) => format!("{}/{relative}", bundle.trim_end_matches('/')),
    };
    // As for mount(8): they are a file system's options, and the file system is there already.
    for option in &mounting.data {
        let Place { field, target } = &place;
        warnings.push(format!("{field} {target}: option {option:?} has no effect on a bind mount"));
    }
    let maps = maps(mount, &place)?;
    let mapped = mounting.mapped || maps.is_some();
    if mapped && context.facts.uid != 0 {
        return Err(place.invalid(
            "id maps of a mount need rights over its file system, which an ordinary user does not have",
        ));
    }
    if mapped && maps.is_none() && !context.users {
        return Err(
            place.invalid("idmap needs uidMappings and gidMappings, or a user namespace of the container")
        );
    }
    let travels = mounting.propagation.iter().any(|p| p.word & (bit::SHARED | bit::SLAVE) != 0);
    let late = is_inside(&source, context.root);
    let mut words = propagation(&mounting, context, travels).into_iter();
    let first = words.next().unwrap_or_default();
    Ok(step(Act::Bind(Bind {
        source,
        target: place.target,
        recursive: mounting.recursive,
        set: mounting.set,
        clear: mounting.clear,
        set_all: mounting.set_all | of_whole_sys(mount, &mounting),
        clear_all: mounting.clear_all,
        propagation: first.word,
        propagate_all: first.word == 0 || first.all,
        mapped,
        no_follow: mounting.no_follow,
        field: place.field,
        then: words.collect(),
        early: travels && !context.users && !late,
        late,
        maps,
        map_all: mounting.map_all,
    })))
}

/// A mount's own id maps.
fn maps(mount: &Mount, place: &Place) -> Result<Option<Users>, Error> {
    match (mount.uid_mappings.is_empty(), mount.gid_mappings.is_empty()) {
        (true, true) => return Ok(None),
        (false, false) => {}
        _ => return Err(place.invalid("uidMappings and gidMappings need each other")),
    }
    let read = |name: &str, maps: &[LinuxIdMapping]| {
        namespaces::id_maps(maps).ok_or_else(|| place.invalid(format!("{name} reaches beyond the last id")))
    };
    let uid: Vec<IdMap> = read("uidMappings", &mount.uid_mappings)?;
    let gid = read("gidMappings", &mount.gid_mappings)?;
    Ok(Some(Users { uid, gid, ..Users::default() }))
}

/// Read-only goes for everything below `/sys` when that is bound whole: the cgroups mounted there are the caller's (CVE-2023-25809).
fn of_whole_sys(mount: &Mount, mounting: &Mounting) -> u64 {
    let sys = mount.source == "/sys" || mount.source.starts_with("/sys/");
    if sys && mounting.recursive { mounting.set & bit::RDONLY } else { 0 }
}

/// A bind takes its source's propagation; unless asked for, the container's stays its own. Where every source is private
/// already there is nothing to change.
fn propagation(mounting: &Mounting, context: &Context<'_>, travels: bool) -> Vec<Propagation> {
    let asked = mounting.propagation.iter().copied();
    if !travels {
        let apart = (!context.apart).then_some(Propagation { word: bit::PRIVATE, all: true });
        return apart.into_iter().chain(asked.skip_while(|p| p.word == bit::PRIVATE)).collect();
    }
    // As seen by the parent, the source may be shared with the host. What the container mounts there reaches the host only when its
    // root is to be shared, too, and never from a user namespace, whose root the host does not trust.
    let open = context.shared && !context.users;
    let apart = mounting.propagation.first().is_none_or(|first| first.all && first.word == bit::SLAVE);
    let apart = (!open && !apart).then_some(Propagation { word: bit::SLAVE, all: true });
    apart.into_iter().chain(asked).collect()
}

fn filesystem(
    mount: &Mount,
    place: Place,
    mut mounting: Mounting,
    context: &Context<'_>,
) -> Result<Step, Error> {
    let kind = mount.kind.as_str();
    if mounting.mapped || maps(mount, &place)?.is_some() {
        return Err(place.invalid("only a bind mount can have id maps"));
    }
    if mounting.copy_up && kind != "tmpfs" {
        return Err(place.invalid("tmpcopyup is an option of tmpfs"));
    }
    // There is nothing below it.
    let mut attributes = mounting.set & !mounting.clear_all | mounting.set_all;
    if is_late(kind, &place.target, &mounting) {
        attributes &= !bit::RDONLY;
    }
    // The network a sysfs shows must belong to the user namespace that mounts it.
    let foreign_net = !context.namespaces.makes(NamespaceKind::Net);
    let foreign_users = context.users || context.facts.nested;
    if kind == "sysfs" && foreign_users && foreign_net && !context.namespaces.joined(NamespaceKind::Net) {
        return Ok(step(Act::Bind(Bind {
            source: "/sys".into(),
            target: place.target,
            recursive: true,
            set: attributes | bit::RDONLY,
            set_all: bit::RDONLY,
            propagation: bit::PRIVATE,
            propagate_all: true,
            field: place.field,
            ..Bind::default()
        })));
    }
    let own_labels = matches!(kind, "proc" | "sysfs" | "cgroup" | "cgroup2" | "mqueue");
    if !context.label.is_empty() && !own_labels && !mounting.data.iter().any(|o| o.starts_with("context=")) {
        mounting.data.push(format!("context={}", context.label));
    }
    let mut words = mounting.propagation.into_iter();
    let first = words.next().unwrap_or_default();
    Ok(step(Act::Filesystem(Filesystem {
        kind: kind.to_owned(),
        source: if mount.source.is_empty() { kind.to_owned() } else { mount.source.clone() },
        target: place.target,
        attributes,
        strict: matches!(kind, "proc" | "sysfs"),
        early: kind == "sysfs" && context.users && foreign_net && context.facts.uid == 0,
        copy_up: mounting.copy_up,
        propagation: first.word,
        field: place.field,
        then: words.collect(),
        inherit_mode: kind == "tmpfs" && !mounting.data.iter().any(|o| o.starts_with("mode=")),
        options: mounting.data,
        ..Filesystem::default()
    })))
}

/// Changes what is mounted there: with `bind` the mount alone, without it the file system as well.
fn remount(mount: &Mount, place: Place, mounting: Mounting) -> Step {
    step(Act::Filesystem(Filesystem {
        kind: mount.kind.clone(),
        source: mount.source.clone(),
        target: place.target,
        options: if mounting.bind { Vec::new() } else { mounting.data },
        attributes: mounting.set | mounting.set_all,
        clear: mounting.clear | mounting.clear_all,
        field: place.field,
        then: mounting.propagation,
        remount: true,
        ..Filesystem::default()
    }))
}
