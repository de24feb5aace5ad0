//! Where a container's cgroups are, and the steps that make them.

use oci::runtime::LinuxResources;
use protocol::plan::{Act, Cgroup, Hierarchy, MakeCgroup, Step};

use super::step;
use crate::facts::{Facts, V2};

/// Where a container's cgroups go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where.
    pub site: Site,
    /// The document names it: one that is there and empty is used as it is.
    pub keep: bool,
    /// The user of the host that may make cgroups in it.
    pub owner: Option<u32>,
}

/// Where a container's cgroups go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// This path in every hierarchy, absolute from the hierarchies' roots: `/berth/<id>`.
    Fixed(String),
    /// A cgroup of this name wherever the caller may make one. Hierarchies without such a place are left alone.
    Delegated(String),
}

impl Site {
    /// Where parents begin, and the cgroup, in a hierarchy that is mounted at `mount`.
    fn within(&self, mount: &str, delegated: &str) -> Option<(String, String)> {
        match self {
            Self::Fixed(path) => Some((mount.to_owned(), format!("{mount}{path}"))),
            Self::Delegated(_) if delegated.is_empty() => None,
            Self::Delegated(name) => Some((delegated.to_owned(), format!("{delegated}/{name}"))),
        }
    }
}

/// The container's cgroup in every hierarchy of the host, and the steps that make them.
///
/// Every hierarchy is entered, limited or not: otherwise whoever manages the host by cgroups (a service manager that
/// kills what belongs to the daemon's unit) would still count the container as a part of its starter.
pub(crate) fn layout(place: &Place, resources: &LinuxResources, facts: &Facts) -> (Cgroup, Vec<Step>) {
    let mut cgroup = Cgroup::default();
    let mut steps = Vec::new();
    for hierarchy in &facts.cgroups.v1 {
        let found = place.site.within(&hierarchy.mount, &hierarchy.delegated);
        let Some((mount, directory)) = found else { continue };
        steps.push(step(Act::MakeCgroup(MakeCgroup {
            path: directory.clone(),
            enable: String::new(),
            seed: hierarchy.controllers.iter().any(|c| c == "cpuset"),
            mount,
            keep: place.keep,
            owner: None,
        })));
        cgroup.hierarchies.push(Hierarchy { controllers: hierarchy.controllers.join(","), path: directory });
    }
    let v2 = facts.cgroups.v2.as_ref();
    let found = v2.and_then(|v2| Some((v2, place.site.within(&v2.mount, &v2.delegated)?)));
    if let Some((v2, (mount, directory))) = found {
        let alone = facts.cgroups.only_v2();
        cgroup.unified = directory;
        steps.push(step(Act::MakeCgroup(MakeCgroup {
            path: cgroup.unified.clone(),
            // Beside v1 hierarchies, a controller that is switched on here could not be mounted there any more.
            enable: if alone { enable(v2, resources) } else { String::new() },
            seed: false,
            mount,
            keep: place.keep,
            // v1 hierarchies cannot be handed over safely, and half of a container's cgroups is of no use.
            owner: place.owner.filter(|_| alone),
        })));
    }
    (cgroup, steps)
}

/// The controllers a container's cgroup gets on v2, as `cgroup.subtree_control` takes them: what limits may need, and whatever
/// else the document names.
fn enable(v2: &V2, resources: &LinuxResources) -> String {
    const WANTED: [&str; 8] = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"];
    let named = |controller: &str| resources.unified.keys().any(|k| k.split('.').next() == Some(controller));
    let wanted = v2.controllers.iter().filter(|c| WANTED.contains(&c.as_str()) || named(c));
    wanted.map(|c| format!("+{c}")).collect::<Vec<_>>().join(" ")
}

/// The container's directory in the v1 hierarchy of `controller`.
pub(super) fn v1_path(cgroup: &Cgroup, controller: &str) -> Option<String> {
    let hierarchy = cgroup.hierarchies.iter().find(|h| h.controllers.split(',').any(|c| c == controller))?;
    Some(hierarchy.path.clone())
}
