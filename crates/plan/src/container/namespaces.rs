//! Which namespaces the container is in, and who makes them: the clone, a step of the child, or somebody before.

use oci::runtime::{LinuxIdMapping, LinuxNamespaceType, Spec};
use protocol::plan::{IdMap, Namespace, NamespaceKind, Users};

use crate::Error;
use crate::facts::Facts;

/// The namespaces of a container.
pub(super) struct Namespaces {
    list: Vec<Namespace>,
}

impl Namespaces {
    /// Reads the document's list.
    pub(super) fn of(spec: &Spec, facts: &Facts) -> Result<Self, Error> {
        let linux = spec.linux.as_ref();
        let mut list: Vec<Namespace> = Vec::new();
        for entry in linux.map(|l| l.namespaces.as_slice()).unwrap_or_default() {
            let kind = kind_of(entry.kind);
            check(kind, &entry.path, facts)?;
            if list.iter().any(|n| n.kind == kind as i32) {
                return Err(Error::invalid(format!("linux.namespaces names {} twice", kind.link())));
            }
            list.push(Namespace { kind: kind as i32, path: entry.path.clone(), late: false });
        }
        list.sort_by_key(|n| n.kind);
        Ok(Self { list })
    }

    /// A new one is made.
    pub(super) fn makes(&self, kind: NamespaceKind) -> bool {
        self.find(kind).is_some_and(|n| n.path.is_empty())
    }

    /// One that exists is joined.
    pub(super) fn joined(&self, kind: NamespaceKind) -> bool {
        self.find(kind).is_some_and(|n| !n.path.is_empty())
    }

    /// Path of one that is joined.
    pub(super) fn path(&self, kind: NamespaceKind) -> &str {
        self.find(kind).map_or("", |n| n.path.as_str())
    }

    /// Leaves a new one to a step of the child.
    pub(super) fn make_late(&mut self, kind: NamespaceKind) {
        if let Some(namespace) = self.list.iter_mut().find(|n| n.kind == kind as i32) {
            namespace.late = namespace.path.is_empty();
        }
    }

    pub(super) fn into_list(self) -> Vec<Namespace> {
        self.list
    }

    fn find(&self, kind: NamespaceKind) -> Option<&Namespace> {
        self.list.iter().find(|n| n.kind == kind as i32)
    }
}

const fn kind_of(kind: LinuxNamespaceType) -> NamespaceKind {
    match kind {
        LinuxNamespaceType::Pid => NamespaceKind::Pid,
        LinuxNamespaceType::Network => NamespaceKind::Net,
        LinuxNamespaceType::Mount => NamespaceKind::Mount,
        LinuxNamespaceType::Ipc => NamespaceKind::Ipc,
        LinuxNamespaceType::Uts => NamespaceKind::Uts,
        LinuxNamespaceType::User => NamespaceKind::User,
        LinuxNamespaceType::Cgroup => NamespaceKind::Cgroup,
        LinuxNamespaceType::Time => NamespaceKind::Time,
    }
}

fn check(kind: NamespaceKind, path: &str, facts: &Facts) -> Result<(), Error> {
    let name = kind.link();
    if !facts.namespaces.iter().any(|n| n == name) {
        return Err(Error::unimplemented(format!("linux.namespaces: this kernel has no {name} namespaces")));
    }
    if kind == NamespaceKind::User && path.is_empty() && facts.max_user_namespaces == 0 {
        return Err(Error::unimplemented(
            "linux.namespaces: user namespaces are switched off (sysctl user.max_user_namespaces is 0)",
        ));
    }
    Ok(())
}

/// Id maps of the user namespace. One that is joined has its own already; callers may repeat them.
pub(super) fn users(spec: &Spec, namespaces: &Namespaces, facts: &Facts) -> Result<Option<Users>, Error> {
    let Some(linux) = spec.linux.as_ref() else { return Ok(None) };
    let joined = namespaces.joined(NamespaceKind::User);
    if !joined && !namespaces.makes(NamespaceKind::User) {
        let mapped = !linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty();
        return if mapped {
            Err(Error::invalid("linux.uidMappings and gidMappings need a user namespace"))
        } else if facts.uid != 0 {
            Err(Error::invalid(
                "linux.namespaces: an unprivileged user's container needs a user namespace (see `spec --rootless`)",
            ))
        } else {
            Ok(None)
        };
    }
    let maps = |field: &str, maps: &[LinuxIdMapping]| {
        let root = joined || maps.iter().any(|m| m.container_id == 0 && m.size > 0);
        match (root, id_maps(maps)) {
            (true, Some(maps)) => Ok(maps),
            (false, _) => Err(Error::invalid(format!("linux.{field} must map id 0 of the container"))),
            (_, None) => Err(Error::invalid(format!("linux.{field} reaches beyond the last id"))),
        }
    };
    let uid = maps("uidMappings", &linux.uid_mappings)?;
    let gid = maps("gidMappings", &linux.gid_mappings)?;
    Ok(Some(Users {
        inside: facts.uid != 0,
        uid_by_helper: !joined && lacks(CAP_SETUID, facts) && !itself(&uid, facts.uid),
        gid_by_helper: !joined && lacks(CAP_SETGID, facts) && !itself(&gid, facts.gid),
        deny_groups: !joined && lacks(CAP_SETGID, facts) && itself(&gid, facts.gid),
        uid,
        gid,
    }))
}

/// Id maps of the document; none when one reaches beyond the last id.
pub(super) fn id_maps(maps: &[LinuxIdMapping]) -> Option<Vec<IdMap>> {
    let read = |m: &LinuxIdMapping| {
        m.container_id.checked_add(m.size).and(m.host_id.checked_add(m.size))?;
        Some(IdMap { inside: m.container_id, outside: m.host_id, count: m.size })
    };
    maps.iter().map(read).collect()
}

const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;

/// Without the capability, the kernel lets a process map its own id and nothing else.
const fn lacks(capability: u32, facts: &Facts) -> bool {
    facts.uid != 0 && facts.effective & 1 << capability == 0
}

fn itself(maps: &[IdMap], own: u32) -> bool {
    matches!(maps, [map] if map.count == 1 && map.outside == own)
}
