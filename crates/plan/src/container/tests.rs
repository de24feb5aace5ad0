//! Golden plans: the whole start of a typical container as text, on every kind of host.
//!
//! A changed plan is a changed product: when a golden file differs, the test prints the new text; read the
//! difference, then replace the file.

use oci::runtime::Spec;
use serde_json::{Value, json};
use types::Rootfs;

use super::{ExecOptions, Options, plan, plan_exec, print, print_exec};
use crate::facts::{Cgroups, Facts, V1, V2};

mod rootless;

fn v1(controllers: &[&str], directory: &str) -> V1 {
    V1 {
        controllers: controllers.iter().map(|c| (*c).to_owned()).collect(),
        mount: format!("/sys/fs/cgroup/{directory}"),
        own: "/".into(),
        delegated: String::new(),
    }
}

fn v2(controllers: &str, mount: &str) -> Option<V2> {
    let controllers = controllers.split_whitespace().map(str::to_owned).collect();
    Some(V2 { controllers, mount: mount.into(), own: "/".into(), delegated: String::new() })
}

fn facts(cgroups: Cgroups) -> Facts {
    let kinds = ["mnt", "pid", "net", "uts", "ipc", "user", "cgroup", "time"];
    Facts {
        cgroups,
        kernel: (6, 18),
        seccomp: true,
        namespaces: kinds.iter().map(|k| (*k).to_owned()).collect(),
        last_capability: 40,
        effective: (1 << 41) - 1,
        bounding: (1 << 41) - 1,
        nofile_hard: 20_000,
        max_user_namespaces: 1000,
        uid: 0,
        swap_limit: true,
        ..Facts::default()
    }
}

fn host_v1() -> Facts {
    let pairs: [(&[&str], &str); 6] = [
        (&["cpu", "cpuacct"], "cpu,cpuacct"),
        (&["cpuset"], "cpuset"),
        (&["memory"], "memory"),
        (&["devices"], "devices"),
        (&["pids"], "pids"),
        (&["name=systemd"], "systemd"),
    ];
    facts(Cgroups { v1: pairs.iter().map(|(c, d)| v1(c, d)).collect(), v2: None })
}

fn host_hybrid() -> Facts {
    let mut facts = host_v1();
    facts.cgroups.v2 = v2("hugetlb", "/sys/fs/cgroup/unified");
    facts
}

pub(super) fn host_v2() -> Facts {
    facts(Cgroups { v1: Vec::new(), v2: v2("cpuset cpu io memory hugetlb pids", "/sys/fs/cgroup") })
}

fn mount(destination: &str, kind: &str, options: &[&str]) -> Value {
    json!({"destination": destination, "type": kind, "source": kind, "options": options})
}

/// What the engine makes of `docker run busybox true`, less its seccomp profile.
pub(super) fn document() -> Value {
    let sets = json!(["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"]);
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": {"uid": 0, "gid": 0, "additionalGids": [10]},
            "args": ["true"],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": {"bounding": sets, "effective": sets, "permitted": sets},
            "oomScoreAdj": 0,
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096}],
        },
        "root": {"path": "rootfs"},
        "hostname": "0123456789ab",
        "mounts": [
            mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/sys/fs/cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
            {"destination": "/etc/hosts", "type": "bind", "source": "/c/hosts", "options": ["rbind", "rprivate"]},
            {"destination": "/data", "type": "bind", "source": "/srv", "options": ["rbind", "ro", "rro", "rslave"]},
        ],
        "linux": {
            "sysctl": {"net.ipv4.ip_unprivileged_port_start": "0"},
            "resources": {
                "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"}],
                "memory": {"limit": 67_108_864, "swap": 134_217_728, "reservation": 1_048_576},
                "cpu": {"shares": 512, "quota": 50_000, "period": 100_000},
                "pids": {"limit": 100},
            },
            "namespaces": [
                {"type": "mount"}, {"type": "network", "path": "fd:net"}, {"type": "uts"}, {"type": "pid"}, {"type": "ipc"},
                {"type": "cgroup"}, {"type": "time"},
            ],
            "maskedPaths": ["/proc/kcore", "/sys/firmware"],
            "readonlyPaths": ["/proc/sys"],
        },
    })
}

fn overlay() -> Rootfs {
    Rootfs::Overlay {
        lower: vec!["/l/2".into(), "/l/1".into()],
        upper: "/c/upper".into(),
        work: "/c/work".into(),
        volatile: false,
    }
}

fn planned(document: &Value, facts: &Facts) -> Result<super::Planned, crate::Error> {
    let spec: Spec = serde_json::from_value(document.clone()).expect("a document");
    let options = Options { cgroup_parent: "/berth".into(), ..Options::default() };
    plan("0123456789abcdef", &spec, &overlay(), facts, &options)
}

#[track_caller]
fn check(document: &Value, facts: &Facts, golden: &str) {
    check_plan(planned(document, facts), golden);
}

#[track_caller]
fn check_plan(planned: Result<super::Planned, crate::Error>, golden: &str) {
    let planned = planned.expect("a plan");
    let text = print(&planned.plan);
    assert!(text == golden, "the plan is now\n----\n{text}----\nwarnings {:?}", planned.warnings);
}

#[test]
fn default_on_v1() {
    check(&document(), &host_v1(), include_str!("golden/v1.txt"));
}

#[test]
fn default_on_hybrid() {
    check(&document(), &host_hybrid(), include_str!("golden/hybrid.txt"));
}

#[test]
fn default_on_v2() {
    check(&document(), &host_v2(), include_str!("golden/v2.txt"));
}

#[test]
fn user_namespace() {
    let mut document = document();
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    document["linux"]["namespaces"].as_array_mut().expect("a list").push(json!({"type": "user"}));
    document["linux"]["uidMappings"] = map.clone();
    document["linux"]["gidMappings"] = map;
    check(&document, &host_v2(), include_str!("golden/userns.txt"));
}

#[test]
fn privileged_with_a_terminal() {
    let mut document = document();
    document["process"]["terminal"] = json!(true);
    document["process"]["noNewPrivileges"] = json!(true);
    document["root"]["readonly"] = json!(true);
    document["linux"]["resources"] = json!({"devices": [{"allow": true, "access": "rwm"}]});
    document["linux"]["maskedPaths"] = json!([]);
    document["linux"]["readonlyPaths"] = json!([]);
    document["linux"]["namespaces"] =
        json!([{"type": "mount"}, {"type": "pid"}, {"type": "network"}, {"type": "uts"}]);
    document["linux"]["devices"] = json!([{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o600, "uid": 0, "gid": 0}]);
    check(&document, &host_hybrid(), include_str!("golden/privileged.txt"));
}

/// Nothing of a container in others' mounts is made private, covered or detached but its own root.
#[test]
fn mounts_of_others_are_left_alone() {
    for (namespaces, hung) in [
        (json!([{"type": "pid"}, {"type": "uts"}]), "hang root /b/rootfs"),
        (
            json!([{"type": "mount", "path": "/proc/7/ns/mnt"}, {"type": "uts"}]),
            "hang root /b/rootfs in /proc/7/ns/mnt",
        ),
    ] {
        let mut document = document();
        document["linux"]["namespaces"] = namespaces;
        document["linux"]["sysctl"] = json!({});
        let rootfs = Rootfs::Directory("/b/rootfs".into());
        let spec: Spec = serde_json::from_value(document).expect("a document");
        let options = Options { cgroup_parent: "/berth".into(), ..Options::default() };
        let plan = plan("0123456789abcdef", &spec, &rootfs, &host_v2(), &options).expect("a plan").plan;
        let text = print(&plan);
        for line in [hung, "open root /b/rootfs", "change root"] {
            assert!(text.lines().any(|l| l.trim() == line), "{line} in\n{text}");
        }
        assert!(!text.contains("propagat") && !text.contains("pivot"), "{text}");
        let process = spec.process.expect("a process");
        assert!(plan_exec(&plan, &process, &ExecOptions::default()).is_ok_and(|exec| exec.plan.changed_root));
    }
    let mut document = document();
    document["linux"]["namespaces"] =
        json!([{"type": "user"}, {"type": "uts"}, {"type": "network"}, {"type": "ipc"}]);
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
    document["linux"]["uidMappings"] = map.clone();
    document["linux"]["gidMappings"] = map;
    let refused = planned(&document, &host_v2()).expect_err("no rights").to_string();
    assert!(refused.contains("a user namespace needs a new mount namespace"), "{refused}");
}

#[test]
fn exec_takes_the_rules_of_the_container() {
    let mut document = document();
    document["process"]["noNewPrivileges"] = json!(true);
    let container = planned(&document, &host_v2()).expect("a plan").plan;
    let process = serde_json::from_value(json!({"args": ["sh"], "cwd": "/", "user": {"uid": 5, "gid": 6}}))
        .expect("a process");
    let mut options = ExecOptions { facts: host_v2(), ..ExecOptions::default() };
    let plain = plan_exec(&container, &process, &options).expect("an exec").plan;
    assert_eq!(
        print_exec(&plain),
        "exec in 0123456789abcdef\n  join mnt pid net uts ipc cgroup time\nprocess\n  args [\"sh\"]\n  \
         user 5:6 groups [6] cwd /\n  capabilities bounding 2021 effective 2021 inheritable 0 permitted 2021 ambient 0\n  \
         rlimit 7 1024:4096\n  oom_score_adj 0\n  no_new_privs\n"
    );
    options.privileged = true;
    let process =
        plan_exec(&container, &process, &options).expect("an exec").plan.process.expect("a process");
    assert_eq!(process.capabilities.map(|c| (c.bounding, c.inheritable)), Some(((1 << 41) - 1, 0)));
    assert!(!process.no_new_privs);
}

fn notifying(path: &str, metadata: &str) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "listenerMetadata": metadata,
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]})
}

#[test]
fn refusals_name_the_field() {
    type Change = fn(&mut Value);
    let table: [(Change, &str); 20] = [
        (|d| d["process"]["args"] = json!([]), "process.args names no program"),
        (|d| d["process"]["cwd"] = json!("x"), "process.cwd \"x\" is not an absolute path"),
        (|d| d["process"]["apparmorProfile"] = json!("x"), "process.apparmorProfile \"x\" cannot be applied"),
        (
            |d| d["process"]["rlimits"][0]["type"] = json!("RLIMIT_X"),
            "process.rlimits: \"RLIMIT_X\" is not a limit",
        ),
        (
            |d| d["process"]["rlimits"][0]["soft"] = json!(9999),
            "has a soft limit (9999) above its hard limit (4096)",
        ),
        (|d| d["linux"]["sysctl"] = json!({"kernel.panic": "1"}), "is not in a separate kernel namespace"),
        (
            |d| d["linux"]["sysctl"] = json!({"net.../../kernel/panic": "1"}),
            "is not in a separate kernel namespace",
        ),
        (|d| d["linux"]["cgroupsPath"] = json!("/a/../b"), "is not a plain absolute path"),
        (|d| d["linux"]["cgroupsPath"] = json!("a.slice:b:c"), "systemd cgroup driver"),
        (|d| d["linux"]["resources"]["memory"]["swap"] = json!(1), "must not be below memory.limit"),
        (|d| d["mounts"][6]["source"] = json!("srv"), "source \"srv\" is not an absolute path"),
        (
            |d| d["hooks"] = json!({"poststop": [{"path": "x"}]}),
            "hooks.poststop[0]: path \"x\" is not absolute",
        ),
        (
            |d| d["hooks"] = json!({"startContainer": [{"path": "/x", "timeout": 0}]}),
            "hooks.startContainer[0]: timeout 0 is not positive",
        ),
        (
            |d| d["process"]["user"]["uid"] = json!(u32::MAX),
            "process.user: 4294967295 is not a user or group id",
        ),
        (
            |d| d["process"]["user"]["additionalGids"] = json!([1, u32::MAX]),
            "process.user: 4294967295 is not a user or group id",
        ),
        (
            |d| {
                let limit = d["process"]["rlimits"][0].clone();
                d["process"]["rlimits"].as_array_mut().expect("a list").push(limit);
            },
            "process.rlimits RLIMIT_NOFILE is there twice",
        ),
        (
            |d| {
                d["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW",
                    "syscalls": [{"names": ["mknod"], "action": "SCMP_ACT_NOTIFY"}]});
            },
            "SCMP_ACT_NOTIFY needs listenerPath",
        ),
        (|d| d["process"]["scheduler"] = json!({"policy": "SCHED_ISO"}), "\"SCHED_ISO\" is not a policy"),
        (|d| d["process"]["ioPriority"] = json!({"class": "X"}), "\"X\" is not a class"),
        (|d| d["linux"]["personality"] = json!({"domain": "BSD"}), "\"BSD\" is not a domain"),
    ];
    for (change, wanted) in table {
        let mut document = document();
        change(&mut document);
        let error = planned(&document, &host_v2()).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error:?} does not say {wanted:?}");
    }
}

#[test]
fn refusals_of_what_lies_around_name_the_field() {
    type Change = fn(&mut Value);
    let table: [(Change, &str); 10] = [
        (|d| d["process"]["selinuxLabel"] = json!("x"), "process.selinuxLabel \"x\" cannot be applied"),
        (|d| d["linux"]["intelRdt"] = json!({}), "linux.intelRdt: no resctrl file system is mounted"),
        (|d| d["linux"]["memoryPolicy"] = json!({}), "linux.memoryPolicy: invalid memory policy mode"),
        (
            |d| d["process"]["execCPUAffinity"] = json!({"final": "x"}),
            "process.execCPUAffinity.final \"x\": \"x\" is not a number",
        ),
        (|d| d["linux"]["netDevices"] = json!({"a/b": {}}), "\"a/b\" is not a name of a network device"),
        (
            |d| d["linux"]["netDevices"] = json!({"a": {"name": "n%d%d"}}),
            "the only pattern in a name is one %d",
        ),
        (
            |d| d["linux"]["netDevices"] = json!({"a": {"name": "n"}, "b": {"name": "n"}}),
            "two devices would be named \"n\"",
        ),
        (
            |d| {
                d["linux"]["netDevices"] = json!({"a": {}});
                d["linux"]["namespaces"].as_array_mut().expect("a list").remove(1);
                d["linux"]["sysctl"] = json!({});
            },
            "linux.netDevices need a network namespace",
        ),
        (|d| d["linux"]["seccomp"] = notifying("", ""), "SCMP_ACT_NOTIFY needs listenerPath"),
        (
            |d| d["linux"]["seccomp"] = notifying("", "x"),
            "listenerMetadata means nothing without listenerPath",
        ),
    ];
    for (change, wanted) in table {
        let mut document = document();
        change(&mut document);
        let error = planned(&document, &host_v2()).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error:?} does not say {wanted:?}");
    }
}

/// A plan from a directory, as a bundle has it.
fn planned_bundle(document: &Value) -> super::Planned {
    let spec: Spec = serde_json::from_value(document.clone()).expect("a document");
    let options = Options { cgroup_parent: "/berth".into(), bundle: "/b".into(), ..Options::default() };
    plan("x", &spec, &Rootfs::Directory("/b/rootfs".into()), &host_v2(), &options).expect("a plan")
}

#[test]
fn hooks_find_the_root_in_its_place_and_writable() {
    let mut document = document();
    assert!(print(&planned_bundle(&document).plan).contains("\n  root /b/rootfs\n"));
    document["root"]["readonly"] = json!(true);
    document["hooks"] = json!({
        "prestart": [{"path": "/p"}],
        "createContainer": [{"path": "/c", "args": ["c", "1"], "timeout": 3}, {"path": "/d"}],
        "startContainer": [{"path": "/s"}, {"path": "/t", "env": ["A=b"]}],
        "poststop": [{"path": "/z"}],
    });
    let planned = planned_bundle(&document);
    let text = print(&planned.plan);
    assert!(text.contains("\n  root /b/rootfs on /b/rootfs\n"), "{text}");
    assert!(
        text.contains(
            "\n  link /dev/core -> /proc/kcore\n  wait for hooks\n  createContainer hook #0 /c\n  \
             createContainer hook #1 /d\n  read-only /proc/sys\n  mask /proc/kcore /sys/firmware\n  set ro /\n  pivot\n"
        ),
        "{text}"
    );
    assert!(text.ends_with("  startContainer hook #0 /s\n  startContainer hook #1 /t\n"), "{text}");
    let hooks = planned.plan.process.expect("a process").start_hooks;
    assert_eq!((hooks[0].env.join(" "), hooks[1].env.join(" ")), ("PATH=/bin".into(), "A=b".into()));
}

#[test]
fn a_user_namespace_that_exists_is_joined() {
    let mut document = document();
    document["linux"]["namespaces"]
        .as_array_mut()
        .expect("a list")
        .push(json!({"type": "user", "path": "/proc/7/ns/user"}));
    for maps in [json!([]), json!([{"containerID": 0, "hostID": 1000, "size": 1}])] {
        document["linux"]["uidMappings"] = maps;
        let planned = planned_bundle(&document);
        assert_eq!(planned.plan.joined_users(), Some("/proc/7/ns/user"));
        let text = print(&planned.plan);
        assert!(text.contains("\n  user: /proc/7/ns/user\n"), "{text}");
        assert!(text.contains("\n  bind /dev/null on /dev/null private\n"), "as in a new one: {text}");
    }
}

#[test]
fn what_cannot_be_given_is_told() {
    let mut document = document();
    let sets = json!(["CAP_CHOWN", "CAP_MOON"]);
    document["process"]["capabilities"] = json!({"bounding": sets, "permitted": ["CAP_CHOWN"], "inheritable": ["CAP_CHOWN"], "ambient": ["CAP_CHOWN", "CAP_KILL"]});
    document["mounts"][6]["options"] = json!(["rbind", "mode=755"]);
    document["process"]["user"] = json!({"uid": 5, "gid": 6});
    let planned = planned_bundle(&document);
    assert_eq!(
        planned.warnings,
        [
            "process.capabilities.bounding: \"CAP_MOON\" is not a capability",
            "process.capabilities.ambient: can't raise ambient capability CAP_KILL: it is not both permitted and inheritable",
            "mounts[6] /data: option \"mode=755\" has no effect on a bind mount",
        ]
    );
    let caps = planned.plan.process.and_then(|p| p.capabilities).expect("capabilities");
    assert_eq!((caps.bounding, caps.inheritable, caps.ambient), (1, 1, 1));
    document["process"]["user"] = json!({"uid": 0, "gid": 0});
    assert_eq!(planned_bundle(&document).warnings.len(), 2, "root needs no ambient ones");
}

#[test]
fn what_the_process_is_given_beyond_ids() {
    let mut document = document();
    document["linux"]["timeOffsets"] = json!({"monotonic": {"secs": 1}});
    document["linux"]["netDevices"] = json!({"d1": {"name": "eth%d"}, "d2": {}});
    document["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0"});
    document["linux"]["seccomp"] = notifying("/run/agent", "x");
    document["process"]["apparmorProfile"] = json!("unconfined");
    document["process"]["execCPUAffinity"] = json!({"initial": "0", "final": "1"});
    let plan = planned_bundle(&document).plan;
    let text = print(&plan);
    let lines =
        ["unshare time, monotonic 1 0\n  net devices d1 as eth%d d2 as d2\n", "memory policy 2 [1]\n"];
    assert!(lines.iter().all(|line| text.contains(&format!("\n  {line}"))), "{text}");
    let process = plan.process.expect("a process");
    let seccomp = process.seccomp.expect("a filter");
    assert_eq!((seccomp.listener.as_str(), seccomp.metadata.as_str()), ("/run/agent", "x"));
    assert_eq!(process.apparmor, "", "nothing confines programs here");
    let affinity = process.exec_affinity.expect("processors");
    assert_eq!((affinity.initial, affinity.last), (vec![1], vec![2]));
    let modules = Facts { apparmor: true, selinux: true, ..host_v2() };
    document["process"]["selinuxLabel"] = json!("a:b:c");
    let process = planned(&document, &modules).expect("a plan").plan.process.expect("a process");
    assert_eq!((process.apparmor.as_str(), process.selinux.as_str()), ("unconfined", "a:b:c"));
}

#[test]
fn no_capabilities_named_is_none_given() {
    let mut document = document();
    document["process"].as_object_mut().expect("an object").remove("capabilities");
    let plan = planned_bundle(&document).plan;
    let given = plan.process.as_ref().and_then(|p| p.capabilities);
    assert_eq!(given.map(|c| (c.bounding, c.permitted)), Some((0, 0)));
    let process = serde_json::from_value(json!({"args": ["sh"], "cwd": "/", "user": {}})).expect("a process");
    let options = ExecOptions { facts: host_v2(), ..ExecOptions::default() };
    let exec = plan_exec(&plan, &process, &options).expect("an exec").plan.process.expect("a process");
    assert_eq!(exec.capabilities, given);
}

#[test]
fn what_v2_does_not_have_is_said() {
    let mut document = document();
    document["linux"]["resources"]["memory"]["swappiness"] = json!(10);
    let warnings = planned(&document, &host_v2()).expect("a plan").warnings;
    assert_eq!(warnings, ["linux.resources.memory.swappiness has no effect: cgroup v2 has no such limit"]);
    assert!(planned(&document, &host_v1()).expect("a plan").warnings.is_empty());
}
