//! Where a container's cgroups are, and the steps that make them.

use protocol::plan::{Act, Cgroup, Hierarchy, MakeCgroup, Step};

use super::step;
use crate::facts::{Facts, V2};

/// Where a container's cgroups go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// This path in every hierarchy, absolute from the hierarchies' roots: `/berth/<id>`.
    Fixed(String),
    /// A cgroup of this name wherever the caller may make one. Hierarchies without such a place are left alone.
    Delegated(String),
}

impl Place {
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
pub(crate) fn layout(place: &Place, facts: &Facts) -> (Cgroup, Vec<Step>) {
    let mut cgroup = Cgroup::default();
    let mut steps = Vec::new();
    for hierarchy in &facts.cgroups.v1 {
        let Some((mount, directory)) = place.within(&hierarchy.mount, &hierarchy.delegated) else { continue };
        steps.push(step(Act::MakeCgroup(MakeCgroup {
            path: directory.clone(),
            enable: String::new(),
            seed: hierarchy.controllers.iter().any(|c| c == "cpuset"),
            mount,
            delegated: facts.rootless,
        })));
        cgroup.hierarchies.push(Hierarchy { controllers: hierarchy.controllers.join(","), path: directory });
    }
    let v2 = facts.cgroups.v2.as_ref();
    if let Some((v2, (mount, directory))) =
        v2.and_then(|v2| Some((v2, place.within(&v2.mount, &v2.delegated)?)))
    {
        cgroup.unified = directory;
        steps.push(step(Act::MakeCgroup(MakeCgroup {
            path: cgroup.unified.clone(),
            enable: if facts.cgroups.only_v2() { enable(v2) } else { String::new() },
            seed: false,
            mount,
            delegated: facts.rootless,
        })));
    }
    (cgroup, steps)
}

/// The controllers a container's cgroup gets on v2, as `cgroup.subtree_control` takes them.
fn enable(v2: &V2) -> String {
    const WANTED: [&str; 8] = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"];
    let there: Vec<String> =
        WANTED.iter().filter(|w| v2.controllers.iter().any(|c| c == *w)).map(|w| format!("+{w}")).collect();
    there.join(" ")
}

/// The container's directory in the v1 hierarchy of `controller`.
pub(super) fn v1_path(cgroup: &Cgroup, controller: &str) -> Option<String> {
    let hierarchy = cgroup.hierarchies.iter().find(|h| h.controllers.split(',').any(|c| c == controller))?;
    Some(hierarchy.path.clone())
}
