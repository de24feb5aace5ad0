//! A mount of type `cgroup`: the container's own cgroups.

use protocol::plan::{Act, Attributes, Bind, Filesystem, Link, NamespaceKind, Step};

use super::mounts::{Context, Place};
use super::options::{Mounting, bit};
use crate::Error;
use crate::cgroup::step;

/// The container's own cgroups: one mount on v2; on v1 a small tree with one mount per hierarchy.
pub(super) fn steps(place: &Place, mounting: &Mounting, context: &Context<'_>) -> Result<Vec<Step>, Error> {
    let target = place.target.as_str();
    let attributes = mounting.set | bit::NOSUID | bit::NODEV | bit::NOEXEC;
    let cgroups = &context.facts.cgroups;
    if cgroups.v1.is_empty() {
        let Some(v2) = &cgroups.v2 else {
            let message = format!("{} {target}: this host has no cgroups", place.field);
            return Err(Error::unimplemented(message));
        };
        return Ok(vec![cgroup_mount(
            "cgroup2",
            target,
            &[],
            &context.cgroup.unified,
            &place_of(&v2.mount, &v2.own),
            attributes,
            context,
        )]);
    }
    let mut steps = vec![step(Act::Filesystem(Filesystem {
        kind: "tmpfs".into(),
        source: "tmpfs".into(),
        target: target.into(),
        options: vec!["mode=755".into()],
        attributes: attributes & !bit::RDONLY,
        ..Filesystem::default()
    }))];
    for hierarchy in &cgroups.v1 {
        let controllers = hierarchy.controllers.join(",");
        let own = context.cgroup.hierarchies.iter().find(|own| own.controllers == controllers);
        let own = own.map_or("", |own| own.path.as_str());
        let callers = place_of(&hierarchy.mount, &hierarchy.own);
        let directory = hierarchy.mount.rsplit('/').next().unwrap_or_default();
        let place = format!("{target}/{directory}");
        let data = options_of(&hierarchy.controllers);
        steps.push(cgroup_mount("cgroup", &place, &data, own, &callers, attributes, context));
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
            &place_of(&v2.mount, &v2.own),
            attributes,
            context,
        ));
    }
    if attributes & bit::RDONLY != 0 {
        steps.push(step(Act::Attributes(Attributes { target: target.into(), set: bit::RDONLY })));
    }
    Ok(steps)
}

/// The caller's cgroup; all of them, when it is outside of what is mounted.
fn place_of(mount: &str, own: &str) -> String {
    let own = if own.split('/').any(|part| part == "..") { "" } else { own };
    format!("{mount}{}", own.trim_end_matches('/'))
}

fn options_of(controllers: &[String]) -> Vec<String> {
    match controllers {
        [name] if name.starts_with("name=") => vec!["none".into(), name.clone()],
        controllers => controllers.to_vec(),
    }
}

/// With a cgroup namespace the hierarchy is mounted anew and begins at the container; without, the container's
/// directory is bound, so that other containers are not seen either way. Where it has none it is shown its caller's, which is never
/// writable, whatever the document says (CVE-2023-25809).
fn cgroup_mount(
    kind: &str,
    target: &str,
    options: &[String],
    own: &str,
    callers: &str,
    attributes: u64,
    context: &Context<'_>,
) -> Step {
    let namespaces = context.namespaces;
    let attributes = if own.is_empty() { attributes | bit::RDONLY } else { attributes };
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
    let source = if own.is_empty() { callers } else { own };
    step(Act::Bind(Bind {
        source: source.into(),
        target: target.into(),
        set: attributes,
        propagation: if context.apart { 0 } else { bit::PRIVATE },
        ..Bind::default()
    }))
}
