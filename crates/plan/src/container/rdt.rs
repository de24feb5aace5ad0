//! Cache and memory bandwidth allocation (`linux.intelRdt`): a class of service of resctrl and what goes into it.

use oci::runtime::{LinuxIntelRdt, Spec};
use protocol::plan::{Act, Class, Step};

use crate::Error;
use crate::cgroup::step;
use crate::facts::{Facts, Resctrl};

/// Names in resctrl that are no class.
const TAKEN: [&str; 3] = ["info", "mon_data", "mon_groups"];

/// The step that finds or makes the class, and those by which the container's first process enters it.
pub(super) fn steps(id: &str, spec: &Spec, facts: &Facts) -> Result<Option<(Step, Vec<Step>)>, Error> {
    let Some(asked) = spec.linux.as_ref().and_then(|l| l.intel_rdt.as_ref()) else { return Ok(None) };
    let Some(resctrl) = &facts.resctrl else {
        return Err(Error::unimplemented("linux.intelRdt: no resctrl file system is mounted here"));
    };
    let name = if asked.clos_id.is_empty() { id } else { &asked.clos_id };
    let path = match name {
        "/" => resctrl.mount.clone(),
        "." | ".." => return Err(refused(format!("closID {name:?} is not a name"))),
        name if name.contains(['/', '\n']) || TAKEN.contains(&name) => {
            return Err(refused(format!("closID {name:?} is not a name")));
        }
        name => format!("{}/{name}", resctrl.mount.trim_end_matches('/')),
    };
    let schemata = schemata(asked, resctrl)?;
    let monitored = asked.enable_monitoring || asked.enable_cmt || asked.enable_mbm;
    if monitored && !has(resctrl, "L3_MON") {
        return Err(Error::unimplemented("linux.intelRdt: this machine has no monitoring of caches"));
    }
    let monitor = if monitored { format!("{path}/mon_groups/{id}") } else { String::new() };
    let tasks = [&path, &monitor].into_iter().filter(|path| !path.is_empty());
    let enter = tasks.map(|path| step(Act::EnterCgroup(format!("{path}/tasks")))).collect();
    let own = asked.clos_id.is_empty();
    let existing = name == "/" || !own && schemata.is_empty();
    Ok(Some((step(Act::Class(Class { path, own, existing, schemata, monitor })), enter)))
}

/// Lines of the `schemata` file, in the order in which they are to be written.
fn schemata(asked: &LinuxIntelRdt, resctrl: &Resctrl) -> Result<Vec<String>, Error> {
    for (field, set, resource) in [
        ("l3CacheSchema", !asked.l3_cache_schema.is_empty(), "L3"),
        ("memBwSchema", !asked.mem_bw_schema.is_empty(), "MB"),
    ] {
        if set && !has(resctrl, resource) {
            return Err(Error::unimplemented(format!(
                "linux.intelRdt.{field}: this machine cannot divide {resource}"
            )));
        }
    }
    let bandwidth = &asked.mem_bw_schema;
    if !bandwidth.is_empty() && (!bandwidth.starts_with("MB:") || bandwidth.contains('\n')) {
        return Err(refused(format!("memBwSchema {bandwidth:?} is not one line that begins with MB:")));
    }
    if let Some(line) = asked.schemata.iter().find(|line| line.contains('\n')) {
        return Err(refused(format!("schemata {line:?} is not one line")));
    }
    let cache = asked.l3_cache_schema.lines();
    let lines = cache.chain([bandwidth.as_str()]).chain(asked.schemata.iter().map(String::as_str));
    let lines: Vec<String> =
        lines.map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    match lines.iter().find(|line| !line.contains(':')) {
        Some(line) => Err(refused(format!("{line:?} names no resource"))),
        None => Ok(lines),
    }
}

fn has(resctrl: &Resctrl, resource: &str) -> bool {
    resctrl.resources.iter().any(|r| r == resource || resource == "L3" && r == "L3CODE")
}

fn refused(why: String) -> Error {
    Error::invalid(format!("linux.intelRdt: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(rdt: Value, wanted: Result<(&str, &[&str], &str), &str>) {
        let spec: Spec = serde_json::from_value(json!({"linux": {"intelRdt": rdt}})).expect("a document");
        let resources = ["L3", "MB", "L3_MON"].iter().map(|r| (*r).to_owned()).collect();
        let facts = Facts { resctrl: Some(Resctrl { mount: "/r".into(), resources }), ..Facts::default() };
        match (steps("c1", &spec, &facts), wanted) {
            (Ok(Some((step, enter))), Ok((class, schemata, entered))) => {
                let Some(Act::Class(made)) = step.act else { panic!("{step:?}") };
                let kind = match (made.own, made.existing) {
                    (true, _) => "own",
                    (_, true) => "existing",
                    _ => "named",
                };
                assert_eq!(format!("{kind} {}", made.path), class);
                assert_eq!(made.schemata, schemata);
                let paths: Vec<String> = enter
                    .into_iter()
                    .filter_map(|step| match step.act {
                        Some(Act::EnterCgroup(path)) => Some(path),
                        _ => None,
                    })
                    .collect();
                assert_eq!(paths.join(" "), entered);
            }
            (Err(error), Err(wanted)) => assert!(error.to_string().contains(wanted), "{error}"),
            (made, wanted) => panic!("{made:?} is not {wanted:?}"),
        }
    }

    #[test]
    fn classes() {
        check(json!({}), Ok(("own /r/c1", &[], "/r/c1/tasks")));
        check(
            json!({"l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20", "schemata": ["L2:0=1"]}),
            Ok(("own /r/c1", &["L3:0=f", "MB:0=20", "L2:0=1"], "/r/c1/tasks")),
        );
        check(json!({"closID": "gold"}), Ok(("existing /r/gold", &[], "/r/gold/tasks")));
        check(
            json!({"closID": "gold", "schemata": ["L3:0=1"]}),
            Ok(("named /r/gold", &["L3:0=1"], "/r/gold/tasks")),
        );
        check(json!({"closID": "/"}), Ok(("existing /r", &[], "/r/tasks")));
        check(
            json!({"closID": "gold", "enableMonitoring": true}),
            Ok(("existing /r/gold", &[], "/r/gold/tasks /r/gold/mon_groups/c1/tasks")),
        );
    }

    #[test]
    fn what_cannot_be_meant() {
        for name in [".", "..", "a/b", "/a", "info", "a\nb"] {
            check(json!({"closID": name}), Err("is not a name"));
        }
        check(json!({"memBwSchema": "L3:0=1"}), Err("begins with MB:"));
        check(json!({"memBwSchema": "MB:0=1\nL3:0=1"}), Err("is not one line"));
        check(json!({"schemata": ["L3:0=1\nMB:0=1"]}), Err("is not one line"));
        check(json!({"schemata": ["moon"]}), Err("names no resource"));
        let bare: Spec = serde_json::from_value(json!({"linux": {"intelRdt": {}}})).expect("a document");
        let refusal = steps("c1", &bare, &Facts::default()).expect_err("a refusal").to_string();
        assert_eq!(refusal, "linux.intelRdt: no resctrl file system is mounted here");
        let facts =
            Facts { resctrl: Some(Resctrl { mount: "/r".into(), ..Resctrl::default() }), ..Facts::default() };
        for (rdt, wanted) in [
            (json!({"l3CacheSchema": "L3:0=1"}), "cannot divide L3"),
            (json!({"memBwSchema": "MB:0=1"}), "cannot divide MB"),
            (json!({"enableMonitoring": true}), "no monitoring"),
        ] {
            let spec: Spec = serde_json::from_value(json!({"linux": {"intelRdt": rdt}})).expect("a document");
            assert!(steps("c1", &spec, &facts).is_err_and(|e| e.to_string().contains(wanted)), "{wanted}");
        }
    }
}
