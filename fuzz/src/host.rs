//! Hosts that plans are made for.

use plan::facts::{Cgroups, Facts, V1, V2};

fn v1(controllers: &str) -> V1 {
    let mount = format!("/sys/fs/cgroup/{controllers}");
    V1 {
        controllers: controllers.split(',').map(str::to_owned).collect(),
        mount,
        own: "/".into(),
        ..V1::default()
    }
}

fn v2(controllers: &str, mount: &str) -> V2 {
    let controllers = controllers.split_whitespace().map(str::to_owned).collect();
    V2 { controllers, mount: mount.into(), own: "/".into(), ..V2::default() }
}

fn facts(cgroups: Cgroups) -> Facts {
    let namespaces = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
    Facts {
        cgroups,
        kernel: (6, 18),
        seccomp: true,
        namespaces: namespaces.map(str::to_owned).to_vec(),
        last_capability: 40,
        effective: (1 << 41) - 1,
        bounding: (1 << 41) - 1,
        nofile_hard: 1 << 20,
        max_user_namespaces: 1000,
        swap_limit: true,
        apparmor: true,
        selinux: true,
        ..Facts::default()
    }
}

/// One of each layout, and an ordinary user's.
pub(crate) fn all() -> Vec<Facts> {
    let controllers = "cpuset cpu io memory hugetlb pids rdma";
    let all_v1 = [
        "cpu",
        "cpuacct",
        "cpuset",
        "memory",
        "devices",
        "freezer",
        "blkio",
        "pids",
        "net_cls,net_prio",
        "rdma",
    ];
    let old = Cgroups { v1: all_v1.map(v1).to_vec(), v2: None };
    let hybrid = Cgroups { v2: Some(v2("hugetlb", "/sys/fs/cgroup/unified")), ..old.clone() };
    let new = Cgroups { v1: Vec::new(), v2: Some(v2(controllers, "/sys/fs/cgroup")) };
    let user =
        Facts { uid: 1000, gid: 1000, effective: 0, bounding: 0, rootless: true, ..facts(new.clone()) };
    vec![facts(old), facts(hybrid), facts(new), user, Facts::default()]
}
