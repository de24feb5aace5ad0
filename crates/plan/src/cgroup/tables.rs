//! Tables: a resources document, and the files that it becomes on each kind of host.

use oci::runtime::{LinuxResources, Spec};
use protocol::plan::{Act, IdMap, Plan, Users, Write};
use serde_json::{Value, json};

use super::{Place, Present, Site, layout, owner, update};
use crate::facts::{Cgroups, Facts, V1, V2};

const CONTROLLERS: &str = "cpuset cpu io memory hugetlb pids rdma dmem";

fn facts(v1: bool) -> Facts {
    let names = ["cpu", "cpuset", "memory", "blkio", "pids", "net_cls", "net_prio", "rdma", "hugetlb"];
    let hierarchies = names.iter().filter(|_| v1).map(|name| V1 {
        controllers: vec![(*name).into()],
        mount: format!("/cg/{name}"),
        own: "/".into(),
        ..V1::default()
    });
    let controllers = CONTROLLERS.split(' ').map(str::to_owned).collect();
    let v2 = (!v1).then(|| V2 { controllers, mount: "/cg".into(), own: "/".into(), ..V2::default() });
    Facts {
        cgroups: Cgroups { v1: hierarchies.collect(), v2 },
        kernel: (6, 1),
        swap_limit: true,
        ..Facts::default()
    }
}

fn place() -> Place {
    Place { site: Site::Fixed("/c".into()), keep: false, owner: None }
}

fn line(write: &Write) -> String {
    let file = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let other = write.otherwise.as_ref().map(|o| format!(" or {}={}", file(&o.path), o.value));
    format!("{}={}{}", file(&write.path), write.value, other.unwrap_or_default())
}

/// The writes, one sentence each of what has no effect, or the refusal.
fn outcome(document: &Value, facts: &Facts, present: &Present) -> String {
    let resources: LinuxResources = serde_json::from_value(document.clone()).expect("a document");
    let (cgroup, _) = layout(&place(), &resources, facts);
    let plan = Plan { cgroup: Some(cgroup), ..Plan::default() };
    match update(&resources, &plan, facts, present) {
        Ok(change) => change.writes.iter().map(line).chain(change.warnings).collect::<Vec<_>>().join("; "),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn check(document: Value, v1: &str, v2: &str) {
    let present = Present::default();
    for (wanted, old) in [(v1, true), (v2, false)] {
        let got = outcome(&document, &facts(old), &present);
        let matches = got == wanted
            || !wanted.is_empty() && wanted.ends_with('…') && got.contains(&wanted[..wanted.len() - 3]);
        assert!(matches, "{document} on v{}:\n{got}\nnot\n{wanted}", if old { 1 } else { 2 });
    }
}

#[test]
fn memory() {
    check(
        json!({"memory": {"limit": 100, "swap": 300, "reservation": 50}}),
        "memory.limit_in_bytes=100; memory.soft_limit_in_bytes=50; memory.memsw.limit_in_bytes=300",
        "memory.swap.max=200; memory.max=100; memory.low=50",
    );
    check(
        json!({"memory": {"limit": 100, "swap": 100}}),
        "memory.limit_in_bytes=100; memory.memsw.limit_in_bytes=100",
        "memory.swap.max=0; memory.max=100",
    );
    check(
        json!({"memory": {"limit": -1}}),
        "memory.limit_in_bytes=-1; memory.memsw.limit_in_bytes=-1",
        "memory.swap.max=max; memory.max=max",
    );
    check(
        json!({"memory": {"limit": -1, "swap": 300}}),
        "memory.limit_in_bytes=-1; memory.memsw.limit_in_bytes=300",
        "memory.swap.max=300; memory.max=max",
    );
    check(json!({"memory": {"limit": 0, "swap": 0, "kernel": 0, "reservation": 0}}), "", "");
    check(
        json!({"memory": {"swap": 300}}),
        "memory.memsw.limit_in_bytes=300",
        "memory.swap needs memory.limit as well…",
    );
    check(
        json!({"memory": {"limit": 300, "swap": 100}}),
        "memory.limit_in_bytes=300; memory.memsw.limit_in_bytes=100",
        "must not be below memory.limit…",
    );
    check(
        json!({"memory": {"swappiness": 7, "disableOOMKiller": true}}),
        "memory.swappiness=7; memory.oom_control=1",
        "memory.swappiness has no effect: cgroup v2 has no such limit; linux.resources.memory.disableOOMKiller has no effect…",
    );
    check(
        json!({"memory": {"swappiness": 101}}),
        "memory.swappiness 101 is not within 0 and 100…",
        "memory.swappiness has no effect…",
    );
    check(
        json!({"memory": {"kernel": 5, "kernelTCP": 6, "useHierarchy": false}}),
        "memory.kernel has no effect…",
        "memory.kernelTCP has no effect…",
    );
}

#[test]
fn processors() {
    check(
        json!({"cpu": {"shares": 1024, "quota": 5000, "period": 20000, "burst": 1000}}),
        "cpu.shares=1024; cpu.cfs_period_us=20000; cpu.cfs_quota_us=5000; cpu.cfs_burst_us=1000",
        "cpu.weight=100; cpu.max=5000 20000; cpu.max.burst=1000",
    );
    check(json!({"cpu": {"quota": -1}}), "cpu.cfs_quota_us=-1", "cpu.max=max");
    check(json!({"cpu": {"period": 20000}}), "cpu.cfs_period_us=20000", "cpu.max=max 20000");
    check(json!({"cpu": {"shares": 0, "quota": 0, "period": 0}}), "", "");
    check(json!({"cpu": {"shares": 1}}), "the minimum allowed cpu-shares is 2…", "cpu.weight=1");
    check(json!({"cpu": {"shares": 262145}}), "shares 262145 is out of range…", "cpu.weight=10000");
    check(
        json!({"cpu": {"cpus": "0-1", "mems": "0", "idle": 1}}),
        "cpu.idle=1; cpuset.cpus=0-1; cpuset.mems=0",
        "cpu.idle=1; cpuset.cpus=0-1; cpuset.mems=0",
    );
    check(
        json!({"cpu": {"realtimeRuntime": 5, "realtimePeriod": 6}}),
        "cpu.rt_period_us=6; cpu.rt_runtime_us=5",
        "cpu.realtimeRuntime has no effect…",
    );
}

#[test]
fn tasks_pages_and_adapters() {
    check(json!({"pids": {"limit": 7}}), "pids.max=7", "pids.max=7");
    check(json!({"pids": {"limit": 0}}), "pids.max=1", "pids.max=1");
    check(json!({"pids": {"limit": -1}}), "pids.max=max", "pids.max=max");
    check(json!({"pids": {}}), "", "");
    check(
        json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4096}]}),
        "hugetlb.2MB.limit_in_bytes=4096; hugetlb.2MB.rsvd.limit_in_bytes=4096",
        "hugetlb.2MB.max=4096; hugetlb.2MB.rsvd.max=4096",
    );
    for size in ["../../x.2MB", "MB", "2", "2mb", "2MB/../x", ""] {
        let document = json!({"hugepageLimits": [{"pageSize": size, "limit": 1}]});
        check(document, "is no page size like 2MB…", "is no page size like 2MB…");
    }
    check(
        json!({"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 100}, "rxe3": {"hcaObjects": 5}}}),
        "rdma.max=mlx5_1 hca_handle=3 hca_object=100; rdma.max=rxe3 hca_object=5",
        "rdma.max=mlx5_1 hca_handle=3 hca_object=100; rdma.max=rxe3 hca_object=5",
    );
    check(json!({"rdma": {"x y": {"hcaHandles": 3}}}), "is no device…", "is no device…");
    check(json!({"rdma": {"x": {}}}), "has neither hcaHandles nor hcaObjects…", "has neither…");
    check(
        json!({"network": {"classID": 5, "priorities": [{"name": "eth0", "priority": 3}]}}),
        "net_cls.classid=5; net_prio.ifpriomap=eth0 3",
        "network has no effect: cgroup v2 has no traffic classes…",
    );
    check(json!({"network": {"classID": 0}}), "", "");
}

#[test]
fn block_devices() {
    check(
        json!({"blockIO": {"weight": 500, "weightDevice": [{"major": 8, "minor": 0, "weight": 10}]}}),
        "blkio.bfq.weight=500; blkio.bfq.weight_device=8:0 10",
        "io.bfq.weight=500 or io.weight=default 4950; io.bfq.weight=8:0 10 or io.weight=8:0 1",
    );
    check(
        json!({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 1, "rate": 9}], "throttleWriteIOPSDevice": [{"major": 8, "minor": 1, "rate": 0}]}}),
        "blkio.throttle.read_bps_device=8:1 9; blkio.throttle.write_iops_device=8:1 0",
        "io.max=8:1 rbps=9; io.max=8:1 wiops=max",
    );
    check(json!({"blockIO": {"weight": 0, "leafWeight": 0}}), "", "");
    for (document, why) in [
        (json!({"weight": 5}), "weight 5 is not within 10 and 1000…"),
        (json!({"weight": 1001}), "weight 1001 is not within 10 and 1000…"),
        (json!({"leafWeight": 10}), "blockIO.leafWeight cannot be set…"),
        (
            json!({"weightDevice": [{"major": 8, "minor": 0, "leafWeight": 10}]}),
            "blockIO.leafWeight cannot be set…",
        ),
        (json!({"weightDevice": [{"major": 8, "minor": 0}]}), "8:0 has no weight…"),
    ] {
        check(json!({"blockIO": document}), why, why);
    }
}

#[test]
fn unified() {
    check(
        json!({"unified": {"io.max": "8:0 rbps=1\n8:16 wbps=2\n", "pids.max": "9"}}),
        "invalid configuration…",
        "io.max=8:0 rbps=1; io.max=8:16 wbps=2; pids.max=9",
    );
    check(
        json!({"memory": {"limit": 5}, "unified": {"memory.max": "7"}}),
        "unified.memory.max cannot be set…",
        "memory.max=5; memory.max=7",
    );
    check(
        json!({"unified": {"misc.max": "1"}}),
        "invalid configuration…",
        "no usable cgroup controller \"misc\"…",
    );
    for key in ["../x.y", "a/b.c", "memory", "..", ".x", "memory."] {
        check(
            json!({"unified": {key: "1"}}),
            "invalid configuration…",
            "is not of the form CONTROLLER.PARAMETER…",
        );
    }
    let enabled = |document: Value, facts: &Facts| {
        let resources: LinuxResources = serde_json::from_value(document).expect("a document");
        let steps = layout(&place(), &resources, facts).1;
        match steps.last().and_then(|step| step.act.clone()) {
            Some(Act::MakeCgroup(made)) => made.enable,
            other => format!("{other:?}"),
        }
    };
    assert_eq!(enabled(json!({}), &facts(false)), "+cpuset +cpu +io +memory +hugetlb +pids +rdma");
    assert!(enabled(json!({"unified": {"dmem.max": "x 1"}}), &facts(false)).ends_with("+rdma +dmem"));
    let mut hybrid = facts(true);
    hybrid.cgroups.v2 = facts(false).cgroups.v2;
    assert_eq!(enabled(json!({}), &hybrid), "");
    hybrid.cgroups.v1.retain(|h| h.controllers != ["hugetlb"]);
    let document = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]});
    assert_eq!(enabled(document.clone(), &hybrid), "", "others may want to mount it as v1");
    let said = outcome(&document, &hybrid, &Present::default());
    assert!(said.contains("this host has no usable cgroup controller \"hugetlb\""), "{said}");
}

#[test]
fn what_is_in_force_counts() {
    let present = Present {
        memory_usage: Some(1000),
        memory_limit: Some(2000),
        memory_and_swap: Some(5000),
        cpu_quota: Some(700),
    };
    for (document, wanted) in [
        (json!({"memory": {"swap": 3000}}), "memory.swap.max=1000"),
        (json!({"memory": {"limit": 4000}}), "memory.swap.max=1000; memory.max=4000"),
        (
            json!({"memory": {"limit": 6000}}),
            "linux.resources.memory.swap is memory and swap together and must not be below memory.limit",
        ),
        (json!({"memory": {"reservation": 10}}), "memory.low=10"),
        (json!({"cpu": {"period": 9000}}), "cpu.max=700 9000"),
        (json!({"cpu": {"quota": 800}}), "cpu.max=800"),
        (
            json!({"memory": {"limit": 900, "swap": 6000, "checkBeforeUpdate": true}}),
            "linux.resources.memory.limit: rejecting memory limit 900, 1000 bytes are in use",
        ),
        (
            json!({"memory": {"limit": 900, "swap": 1000, "checkBeforeUpdate": true}}),
            "linux.resources.memory.swap: rejecting memory+swap limit 1000, 1000 bytes are in use",
        ),
        (
            json!({"memory": {"limit": 1001, "swap": 1001, "checkBeforeUpdate": true}}),
            "memory.swap.max=0; memory.max=1001",
        ),
        (
            json!({"devices": [{"allow": true}]}),
            "linux.resources.devices has no effect: an update leaves the devices",
        ),
    ] {
        assert_eq!(outcome(&document, &facts(false), &present), wanted, "{document}");
    }
}

#[test]
fn owners() {
    let users = Users { uid: vec![IdMap { inside: 0, outside: 100_000, count: 10 }], ..Users::default() };
    let spec = |options: Value, uid: u32| -> Spec {
        let mount = json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options});
        let document = json!({"mounts": [mount], "process": {"user": {"uid": uid, "gid": 0}}});
        serde_json::from_value(document).expect("a document")
    };
    let writable = spec(json!(["rw", "nosuid"]), 3);
    assert_eq!(owner(&writable, true, Some(&users)), Some(100_003));
    assert_eq!(owner(&writable, true, None), Some(3));
    assert_eq!(owner(&writable, false, Some(&users)), None, "no cgroup namespace of its own");
    assert_eq!(owner(&spec(json!(["ro"]), 3), true, Some(&users)), None);
    assert_eq!(owner(&spec(json!([]), 30), true, Some(&users)), None, "mapped to nobody");
    assert_eq!(owner(&spec(json!([]), 0), true, None), None, "root's already");
}
