//! One more process in a running container: the document's program under the container's rules.

use std::collections::BTreeMap;

use oci::runtime::Process as Document;
use protocol::Plan;
use protocol::plan::{Act, Capabilities, Cgroup, ExecPlan, Hierarchy, NamespaceKind, Process};

use super::process;
use crate::Error;
use crate::facts::Facts;

/// What the caller decides beyond the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// Every capability this host can give, and no filter (`docker exec --privileged`).
    pub privileged: bool,
    /// The host's facts, as for the container.
    pub facts: Facts,
    /// Cgroups below the container's: one path for all hierarchies, or `controller[,controller]:path` each.
    pub cgroups: Vec<String>,
}

/// A plan, and what the user should be told about it.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedExec {
    /// The plan.
    pub plan: ExecPlan,
    /// What was asked for and can only be partly honoured, one sentence each.
    pub warnings: Vec<String>,
}

/// Decides an exec. What the document leaves open is the container's: capabilities, filter, limits, labels, scheduling.
///
/// # Errors
/// When the document contradicts itself or asks for something Berth does not have.
pub fn plan_exec(container: &Plan, document: &Document, options: &ExecOptions) -> Result<PlannedExec, Error> {
    let first =
        container.process.as_ref().ok_or_else(|| Error::invalid("the container's plan has no process"))?;
    let mut warnings = Vec::new();
    let mut process = process::process(document, &options.facts, &mut warnings)?;
    process.no_new_privs |= first.no_new_privs;
    process.unprivileged |= first.unprivileged;
    if options.privileged {
        let all = (2_u64 << options.facts.last_capability) - 1;
        let all = if options.facts.bounding == 0 { all } else { all & options.facts.bounding };
        process.capabilities =
            Some(Capabilities { bounding: all, effective: all, inheritable: 0, permitted: all, ambient: 0 });
        process.no_new_privs = false;
    } else {
        process.capabilities = process.capabilities.or(first.capabilities);
        process.seccomp.clone_from(&first.seccomp);
    }
    inherit(&mut process, first);
    let namespaces = container
        .namespaces
        .iter()
        .filter(|n| NamespaceKind::try_from(n.kind).is_ok())
        .map(|n| n.kind)
        .collect();
    let plan = ExecPlan {
        container: container.id.clone(),
        process: Some(process),
        namespaces,
        cgroup: container.cgroup.as_ref().map(|c| place(c, &options.cgroups)).transpose()?.map(|mut c| {
            c.hierarchies.extend(classes(container));
            c
        }),
        users: container.users.is_some(),
        from_inside: container.users.as_ref().is_some_and(|u| u.inside),
        named_cgroup: !options.cgroups.is_empty(),
        changed_root: !container.makes(NamespaceKind::Mount),
    };
    Ok(PlannedExec { plan, warnings })
}

/// What the document is silent about.
fn inherit(process: &mut Process, first: &Process) {
    process.umask = process.umask.or(first.umask);
    process.oom_score_adj = process.oom_score_adj.or(first.oom_score_adj);
    process.scheduler = process.scheduler.or(first.scheduler);
    process.io_priority = process.io_priority.or(first.io_priority);
    process.personality = first.personality;
    process.keep_keyring = first.keep_keyring;
    process.memory_policy.clone_from(&first.memory_policy);
    if process.exec_affinity.is_none() {
        process.exec_affinity.clone_from(&first.exec_affinity);
    }
    if process.rlimits.is_empty() {
        process.rlimits.clone_from(&first.rlimits);
    }
    if process.apparmor.is_empty() {
        process.apparmor.clone_from(&first.apparmor);
    }
    if process.selinux.is_empty() {
        process.selinux.clone_from(&first.selinux);
    }
}

/// Where else the container's processes belong.
fn classes(container: &Plan) -> Vec<Hierarchy> {
    let made = container.prepare.iter().find_map(|step| match &step.act {
        Some(Act::Class(class)) => Some(class),
        _ => None,
    });
    let paths = made.into_iter().flat_map(|class| [&class.path, &class.monitor]).filter(|p| !p.is_empty());
    paths.map(|path| Hierarchy { controllers: "resctrl".into(), path: path.clone() }).collect()
}

/// The container's cgroups, or those below them that the caller names.
fn place(cgroup: &Cgroup, asked: &[String]) -> Result<Cgroup, Error> {
    let mut placed = cgroup.clone();
    let mut named = read_places(asked)?;
    if let Some(everywhere) = named.remove("") {
        if placed.hierarchies.is_empty() {
            placed.unified = below(&placed.unified, everywhere)?;
        }
        for hierarchy in &mut placed.hierarchies {
            hierarchy.path = below(&hierarchy.path, everywhere)?;
        }
    }
    for (controller, path) in named {
        let has = |controllers: &str| controllers.split(',').any(|c| c == controller);
        let found = placed.hierarchies.iter_mut().find(|h| has(&h.controllers)).ok_or_else(|| {
            Error::invalid(format!(
                "--cgroup: unknown controller {controller:?}: it has no hierarchy of its own"
            ))
        })?;
        let above = cgroup.hierarchies.iter().find(|h| h.controllers == found.controllers);
        let wanted = below(above.map_or(&found.path, |h| &h.path), path)?;
        if above.is_some_and(|h| h.path != found.path) && wanted != found.path {
            return Err(Error::invalid(format!(
                "--cgroup: {} share one hierarchy, they cannot be in different cgroups",
                found.controllers
            )));
        }
        found.path = wanted;
    }
    Ok(placed)
}

/// Paths by controller; the empty one for all.
fn read_places(asked: &[String]) -> Result<BTreeMap<&str, &str>, Error> {
    let mut places = BTreeMap::new();
    for text in asked {
        match text.split_once(':') {
            None if asked.len() == 1 => drop(places.insert("", text.as_str())),
            None => {
                return Err(Error::invalid(format!(
                    "invalid --cgroup argument: {text} (missing <controller>: prefix)"
                )));
            }
            Some((controllers, path)) => {
                for controller in controllers.split(',') {
                    if controller.is_empty() {
                        return Err(Error::invalid(format!(
                            "invalid --cgroup argument: {text} (empty <controller> prefix)"
                        )));
                    }
                    if places.insert(controller, path).is_some() {
                        return Err(Error::invalid(format!(
                            "invalid --cgroup arguments: controller {controller} specified multiple times"
                        )));
                    }
                }
            }
        }
    }
    Ok(places)
}

fn below(base: &str, path: &str) -> Result<String, Error> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(Error::invalid(format!("--cgroup: bad sub cgroup path: {path}")));
    }
    let parts = parts.iter().map(|part| format!("/{part}"));
    Ok([base.to_owned()].into_iter().chain(parts).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::plan::Class;

    fn of(hierarchies: &[(&str, &str)], unified: &str) -> Cgroup {
        let hierarchies = hierarchies
            .iter()
            .map(|(controllers, path)| Hierarchy { controllers: (*controllers).into(), path: (*path).into() })
            .collect();
        Cgroup { hierarchies, unified: unified.into() }
    }

    fn check(cgroup: &Cgroup, asked: &[&str], wanted: Result<&[&str], &str>) {
        let asked: Vec<String> = asked.iter().map(|text| (*text).to_owned()).collect();
        match (place(cgroup, &asked), wanted) {
            (Ok(placed), Ok(wanted)) => {
                let paths = placed.hierarchies.into_iter().map(|h| h.path).chain([placed.unified]);
                assert_eq!(paths.collect::<Vec<_>>(), wanted, "{asked:?}");
            }
            (Err(error), Err(wanted)) => assert!(error.to_string().contains(wanted), "{error}"),
            (placed, wanted) => panic!("{placed:?} is not {wanted:?}"),
        }
    }

    #[test]
    fn cgroups_of_v1() {
        let cgroup = of(&[("cpu,cpuacct", "/c/cpu/x"), ("memory", "/c/mem/x")], "/c/u/x");
        let check = |asked: &[&str], wanted| check(&cgroup, asked, wanted);
        check(&[], Ok(&["/c/cpu/x", "/c/mem/x", "/c/u/x"]));
        check(&["/"], Ok(&["/c/cpu/x", "/c/mem/x", "/c/u/x"]));
        check(&["a//b"], Ok(&["/c/cpu/x/a/b", "/c/mem/x/a/b", "/c/u/x"]));
        check(&["memory:m", "cpu,cpuacct:/c"], Ok(&["/c/cpu/x/c", "/c/mem/x/m", "/c/u/x"]));
        check(&["cpu:a", "cpuacct:b"], Err("share one hierarchy"));
        check(&["cpu:a", "cpuacct:a"], Ok(&["/c/cpu/x/a", "/c/mem/x", "/c/u/x"]));
        check(&[".."], Err("bad sub cgroup path: .."));
        check(&["memory:a/../../b"], Err("bad sub cgroup path"));
        check(&["moon:/"], Err("unknown controller \"moon\""));
        check(&["a", "b"], Err("missing <controller>: prefix"));
        check(&[":a"], Err("empty <controller> prefix"));
        check(&["cpu:a", "cpu:b"], Err("controller cpu specified multiple times"));
    }

    #[test]
    fn classes_of_service_are_entered_too() {
        let class = Class { path: "/r/c".into(), monitor: "/r/c/mon_groups/c".into(), ..Class::default() };
        let plan = Plan {
            process: Some(Process::default()),
            prepare: vec![crate::cgroup::step(Act::Class(class))],
            cgroup: Some(of(&[("pids", "/p/c")], "")),
            ..Plan::default()
        };
        let document = Document { args: vec!["x".into()], cwd: "/".into(), ..Document::default() };
        let options = ExecOptions { cgroups: vec!["below".into()], ..ExecOptions::default() };
        let placed = plan_exec(&plan, &document, &options).expect("an exec").plan.cgroup.expect("cgroups");
        let paths: Vec<&str> = placed.hierarchies.iter().map(|h| h.path.as_str()).collect();
        assert_eq!(paths, ["/p/c/below", "/r/c", "/r/c/mon_groups/c"]);
    }

    #[test]
    fn cgroups_of_v2() {
        let cgroup = of(&[], "/c/x");
        check(&cgroup, &["a"], Ok(&["/c/x/a"]));
        check(&cgroup, &["/"], Ok(&["/c/x"]));
        check(&cgroup, &["memory:a"], Err("unknown controller"));
    }
}
