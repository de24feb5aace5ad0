//! Plans for callers who are not the host's root.

use serde_json::{Value, json};

use super::{Facts, Options, Spec, check_plan, document, host_hybrid, host_v2, plan};
use types::Rootfs;

/// An ordinary user, to whom nothing was handed down.
fn user(host: Facts) -> Facts {
    Facts { uid: 1000, gid: 100, rootless: true, effective: 0, ..host }
}

/// Root of a user namespace, such as podman makes one for an ordinary user.
fn nested(host: Facts) -> Facts {
    Facts { nested: true, rootless: true, ..host }
}

fn delegated(mut facts: Facts) -> Facts {
    if let Some(v2) = &mut facts.cgroups.v2 {
        v2.delegated = format!("{}/user.slice", v2.mount);
        v2.controllers = vec!["memory".into(), "pids".into()];
    }
    facts
}

/// What `spec --rootless` writes, in short.
fn ordinary() -> Value {
    let mut document = document();
    document["process"]["user"] = json!({"uid": 0, "gid": 0});
    document["process"].as_object_mut().expect("an object").remove("oomScoreAdj");
    let linux = document["linux"].as_object_mut().expect("an object");
    linux.remove("resources");
    linux.remove("sysctl");
    linux.insert(
        "namespaces".into(),
        json!([{"type": "mount"}, {"type": "uts"}, {"type": "pid"}, {"type": "ipc"}, {"type": "cgroup"}, {"type": "user"}]),
    );
    linux.insert("uidMappings".into(), json!([{"containerID": 0, "hostID": 1000, "size": 1}]));
    linux.insert("gidMappings".into(), json!([{"containerID": 0, "hostID": 100, "size": 1}]));
    let mounts = document["mounts"].as_array_mut().expect("a list");
    mounts.retain(|m| m["type"] != "bind");
    mounts.iter_mut().filter(|m| m["destination"] == "/sys").for_each(|m| {
        *m = json!({"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
    });
    document
}

fn planned(document: &Value, facts: &Facts) -> Result<super::super::Planned, crate::Error> {
    let spec: Spec = serde_json::from_value(document.clone()).expect("a document");
    let rootfs = Rootfs::Directory("/home/u/b/rootfs".into());
    plan(
        "c1",
        &spec,
        &rootfs,
        facts,
        &Options { cgroup_parent: "/berth".into(), bundle: "/home/u/b".into(), ..Options::default() },
    )
}

#[track_caller]
fn check(document: &Value, facts: &Facts, golden: &str) {
    check_plan(planned(document, facts), golden);
}

#[test]
fn an_ordinary_user_without_cgroups() {
    check(&ordinary(), &user(host_hybrid()), include_str!("../golden/rootless.txt"));
}

#[test]
fn an_ordinary_user_with_cgroups_and_many_ids() {
    let mut document = ordinary();
    document["linux"]["uidMappings"]
        .as_array_mut()
        .expect("a list")
        .push(json!({"containerID": 1, "hostID": 100_000, "size": 65_536}));
    document["linux"]["gidMappings"] = document["linux"]["uidMappings"].clone();
    document["process"]["user"]["additionalGids"] = json!([7]);
    document["linux"]["resources"] = json!({"memory": {"limit": 67_108_864}});
    check(&document, &delegated(user(host_v2())), include_str!("../golden/rootless-delegated.txt"));
}

#[test]
fn root_of_a_user_namespace() {
    let mut document = ordinary();
    let linux = document["linux"].as_object_mut().expect("an object");
    linux.insert("namespaces".into(), json!([{"type": "mount"}, {"type": "pid"}]));
    linux.insert("uidMappings".into(), json!([]));
    linux.insert("gidMappings".into(), json!([]));
    document.as_object_mut().expect("an object").remove("hostname");
    document["mounts"][3] =
        json!({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]});
    document["linux"]["devices"] = json!([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}, {"path": "/dev/pipe", "type": "p"}]);
    check(&document, &nested(host_hybrid()), include_str!("../golden/nested.txt"));
}

#[test]
fn what_an_ordinary_user_cannot_have_is_named() {
    type Change = fn(&mut Value);
    let table: [(Change, &str); 6] = [
        (
            |d| d["linux"]["namespaces"] = json!([{"type": "mount"}]),
            "linux.uidMappings and gidMappings need a user namespace",
        ),
        (
            |d| {
                d["linux"]["namespaces"] = json!([{"type": "mount"}]);
                d["linux"]["uidMappings"] = json!([]);
                d["linux"]["gidMappings"] = json!([]);
            },
            "linux.namespaces: an unprivileged user's container needs a user namespace",
        ),
        (
            |d| d["mounts"][3]["options"] = json!(["rbind", "idmap"]),
            "mounts[3] /sys: id maps of a mount need rights over its file system",
        ),
        (|d| d["linux"]["uidMappings"] = json!([]), "linux.uidMappings must map id 0"),
        (
            |d| d["process"]["user"]["additionalGids"] = json!([7]),
            "process.user.additionalGids cannot be set",
        ),
        (
            |d| d["linux"]["resources"] = json!({"pids": {"limit": 7}}),
            "linux.resources.pids.limit cannot be set: no cgroup with controller \"pids\" was handed down to this user",
        ),
    ];
    for (change, says) in table {
        let mut document = ordinary();
        change(&mut document);
        for host in [host_v2(), host_hybrid()] {
            let error = planned(&document, &user(host)).expect_err(says).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}

#[test]
fn a_cgroup_that_is_named_is_meant() {
    let mut document = ordinary();
    document["linux"]["cgroupsPath"] = json!("/mine/c");
    let plan = planned(&document, &user(host_v2())).expect("a plan").plan;
    assert_eq!(plan.cgroup.map(|c| c.unified).as_deref(), Some("/sys/fs/cgroup/mine/c"));
}

#[test]
fn processes_that_nobody_finds_are_warned_of() {
    let mut document = ordinary();
    document["linux"]["namespaces"].as_array_mut().expect("a list").retain(|n| n["type"] != "pid");
    let warnings = |facts| planned(&document, &facts).expect("a plan").warnings;
    assert!(warnings(user(host_v2())).iter().any(|w| w.contains("not all of the container's processes")));
    assert!(warnings(delegated(user(host_v2()))).is_empty());
}

#[test]
fn only_itself_is_mapped_without_a_helper() {
    for (map, uid_helper, gid_helper, denied) in [
        (json!([{"containerID": 0, "hostID": 1000, "size": 1}]), false, true, false),
        (json!([{"containerID": 0, "hostID": 100, "size": 1}]), true, false, true),
        (json!([{"containerID": 0, "hostID": 1000, "size": 2}]), true, true, false),
    ] {
        let mut document = ordinary();
        document["linux"]["uidMappings"] = map.clone();
        document["linux"]["gidMappings"] = map.clone();
        let users = planned(&document, &user(host_v2())).expect("a plan").plan.users.expect("users");
        assert_eq!(
            (users.uid_by_helper, users.gid_by_helper, users.deny_groups),
            (uid_helper, gid_helper, denied),
            "{map}"
        );
        assert!(users.inside);
        let users = planned(&document, &nested(host_v2())).expect("a plan").plan.users.expect("users");
        assert!(!users.inside && !users.uid_by_helper && !users.gid_by_helper && !users.deny_groups, "{map}");
    }
}
